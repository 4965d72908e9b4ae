# Sourced by ./check, ./try and .ci/run: numbered steps that show how far they are. A step that succeeds leaves one line; one
# that fails shows everything it printed, and ends the script.
#
# BINE_BUILD   where the build trees are (default: build/ in the source tree)
# BINE_JOBS    how many things at once (default: one per processor)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
builds=${BINE_BUILD:-$root/build}
jobs=${BINE_JOBS:-$(nproc)}
mkdir -p "$builds"
builds=$(cd "$builds" && pwd)
running=

trap '[ -z "$running" ] || kill "$running" 2>/dev/null; exit 130' INT TERM

step_number=0
step_count=

# plan N: how many steps come, so that each can say its number.
plan() { step_count=$1; }

# "75 s", "12 min"
duration() {
    if [ "$1" -lt 100 ]; then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi
}

# progress LOG BEGIN: "120 of 660, about 5 min left", by the last "[120/660]" of ninja or "120/660 Test" of CTest in LOG.
progress() {
    local counts done all spent=$((SECONDS - $2))
    counts=$(tail -c 4000 "$1" | grep -aoE '^(\[[0-9]+/[0-9]+\]| *[0-9]+/[0-9]+ Test)' | tail -1 | grep -oE '[0-9]+/[0-9]+') || true
    if [ -z "$counts" ]; then
        duration "$spent"
        return
    fi
    done=${counts%/*} all=${counts#*/}
    printf '%d of %d' "$done" "$all"
    if [ "$done" -gt 0 ] && [ "$spent" -ge 5 ]; then
        printf ', about %s left' "$(duration $((spent * (all - done) / done)))"
    fi
}

# watched LOG TITLE COMMAND...: runs the command with its output in LOG, and says how far it is: on a terminal every second in
# place, elsewhere once a minute.
watched() {
    local log=$1 title=$2 begin=$SECONDS code=0
    shift 2
    "$@" >"$log" 2>&1 &
    running=$!
    while kill -0 "$running" 2>/dev/null; do
        if [ -t 1 ]; then
            printf '\r%-60s %s\e[K' "$title" "$(progress "$log" "$begin")"
            sleep 1
        else
            for ((i = 0; i < 60; ++i)); do
                kill -0 "$running" 2>/dev/null || break
                sleep 1
            done
            ! kill -0 "$running" 2>/dev/null || printf '%-60s %s\n' "$title" "$(progress "$log" "$begin")"
        fi
    done
    wait "$running" || code=$?
    running=
    [ ! -t 1 ] || printf '\r\e[K'
    return $code
}

# step WORDS COMMAND...: runs the command as the next step.
step() {
    local log=$builds/step.$$.log begin=$SECONDS code=0 title
    title="$((++step_number))${step_count:+/$step_count} $1"
    shift
    watched "$log" "$title" "$@" || code=$?
    if [ $code -ne 0 ]; then
        cat "$log"
        rm -f "$log"
        printf '%-60s FAILED (exit %d): %s\n' "$title" "$code" "$*"
        exit 1
    fi
    rm -f "$log"
    printf '%-60s ok   %4d s\n' "$title" $((SECONDS - begin))
}

# build PRESET [CMAKE ARGUMENT]... -- [TARGET]...: configures and builds one preset in $builds/PRESET.
build() {
    local preset=$1 options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
    [ $# -eq 0 ] || shift
    (cd "$root" && cmake --preset "$preset" -B "$builds/$preset" "${options[@]}") || return
    cmake --build "$builds/$preset" -j "$jobs" ${1:+--target "$@"}
}

# tests WORDS PRESET [CTEST ARGUMENT]...: runs tests as the next step, and adds the line CTest sums them up with to the file
# $BINE_SUMMARY.
tests() {
    local words=$1 preset=$2 log=$builds/ctest.$$.log begin=$SECONDS code=0 line title
    shift 2
    title="$((++step_number))${step_count:+/$step_count} $words"
    watched "$log" "$title" ctest --test-dir "$builds/$preset" --output-on-failure "$@" || code=$?
    line=$(grep -E 'tests (passed|failed)|No tests were found' "$log" | tail -1)
    echo "$words: ${line:-no summary}" >>"${BINE_SUMMARY:-/dev/null}"
    if [ $code -ne 0 ]; then
        cat "$log"
        rm -f "$log"
        printf '%-60s FAILED   %s\n' "$title" "$line"
        exit 1
    fi
    sed -n '/^The following tests did not run/,$p' "$log"
    rm -f "$log"
    printf '%-60s ok   %4d s   %s\n' "$title" $((SECONDS - begin)) "$line"
}
