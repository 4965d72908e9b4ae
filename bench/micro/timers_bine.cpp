// Delayed calls of Bine's reactor.
#include "bine/reactors/native_reactors.h"
#include "timers.h"

using std::chrono::milliseconds;

static bine::EpollReactor& reactor() {
    static bine::EpollReactor reactor;
    return reactor;
}

static std::vector<bine::DelayedCall>& liveCalls(std::int64_t n) {
    static std::vector<bine::DelayedCall> live;
    while (std::ssize(live) < n) live.push_back(reactor().callLater(milliseconds(farDelayMs()), [] { std::abort(); }));
    return live;
}

static std::int64_t scheduleAndCancel(std::int64_t count, std::int64_t n) {
    liveCalls(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        bine::DelayedCall call = reactor().callLater(milliseconds(farDelayMs()), [] { std::abort(); });
        call.cancel();
        if (i % kPerPass == 0) reactor().iterate();
    }
    endMeasured();
    return count;
}

static std::int64_t scheduleAndFire(std::int64_t, std::int64_t n) {
    std::int64_t fired = 0;
    beginMeasured();
    for (std::int64_t i = 0; i < n; ++i) reactor().callLater(milliseconds(nearDelayMs()), [&fired] { ++fired; });
    endMeasured();
    waitUntilAllAreDue();
    beginMeasured();
    while (fired < n) reactor().iterate();
    endMeasured();
    return n;
}

static std::int64_t reset(std::int64_t count, std::int64_t n) {
    auto& live = liveCalls(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        live[static_cast<std::size_t>(busyOne(i, n))].reset(milliseconds(2 * kHourMs));
        if (i % kPerPass == 0) reactor().iterate();
    }
    endMeasured();
    return count;
}

static std::int64_t pass(std::int64_t count, std::int64_t n) {
    liveCalls(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) reactor().iterate();
    endMeasured();
    return count;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {{"schedule and cancel", scheduleAndCancel, 1'000'000, 0},
                                           {"schedule and fire", scheduleAndFire, 1'000'000, 0},
                                           {"reset", reset, 10'000, 0},
                                           {"pass", pass, 10'000, 0},
                                           {}};
    return measureMain(argc, argv, measures);
}
