# Sourced by ./check, ./try and .ci/run: steps that say one line when they succeed and everything when they do not.
#
# BINE_BUILD   where the build trees are (default: build/ in the source tree)
# BINE_JOBS    how many things at once (default: one per processor)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
builds=${BINE_BUILD:-$root/build}
jobs=${BINE_JOBS:-$(nproc)}
mkdir -p "$builds"
builds=$(cd "$builds" && pwd)

# step WORDS COMMAND...: runs the command; its output is shown only if it fails, and then the script ends.
step() {
    local words=$1 log=$builds/step.$$.log begin=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
        printf '%-60s ok   %4d s\n' "$words" $((SECONDS - begin))
    else
        local code=$?
        cat "$log"
        rm -f "$log"
        printf '%-60s FAILED (exit %d): %s\n' "$words" "$code" "$*"
        exit 1
    fi
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

# tests WORDS PRESET [CTEST ARGUMENT]...: runs tests, and adds the line CTest sums them up with to the file $BINE_SUMMARY.
tests() {
    local words=$1 preset=$2 log=$builds/ctest.$$.log begin=$SECONDS code=0 line
    shift 2
    ctest --test-dir "$builds/$preset" --output-on-failure "$@" >"$log" 2>&1 || code=$?
    line=$(grep -E 'tests (passed|failed)|No tests were found' "$log" | tail -1)
    echo "$words: ${line:-no summary}" >>"${BINE_SUMMARY:-/dev/null}"
    if [ $code -ne 0 ]; then
        cat "$log"
        rm -f "$log"
        printf '%-60s FAILED   %s\n' "$words" "$line"
        exit 1
    fi
    sed -n '/^The following tests did not run/,$p' "$log"
    rm -f "$log"
    printf '%-60s ok   %4d s   %s\n' "$words" $((SECONDS - begin)) "$line"
}
