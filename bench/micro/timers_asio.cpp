// steady_timers of asio. What is cancelled is told of it through the loop's queue.
#include <asio.hpp>
#include <vector>

#include "timers.h"

using std::chrono::milliseconds;

static asio::io_context context(1);
static const auto work = asio::make_work_guard(context); // without any the context stops, and stays so

static void never(const asio::error_code& error) {
    if (!error) std::abort();
}

static std::vector<asio::steady_timer>& liveTimers(std::int64_t n) {
    static std::vector<asio::steady_timer> live;
    live.reserve(static_cast<std::size_t>(n));
    while (std::ssize(live) < n) live.emplace_back(context, milliseconds(farDelayMs())).async_wait(never);
    return live;
}

static std::int64_t scheduleAndCancel(std::int64_t count, std::int64_t n) {
    liveTimers(n);
    asio::steady_timer timer(context);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        timer.expires_after(milliseconds(farDelayMs()));
        timer.async_wait(never);
        timer.cancel();
        if (i % kPerPass == 0) context.poll();
    }
    context.poll();
    endMeasured();
    return count;
}

static std::int64_t scheduleAndFire(std::int64_t, std::int64_t n) {
    std::vector<asio::steady_timer> timers;
    timers.reserve(static_cast<std::size_t>(n));
    std::int64_t fired = 0;
    beginMeasured();
    for (std::int64_t i = 0; i < n; ++i)
        timers.emplace_back(context, milliseconds(nearDelayMs())).async_wait([&fired](const asio::error_code&) { ++fired; });
    endMeasured();
    waitUntilAllAreDue();
    beginMeasured();
    while (fired < n) context.poll();
    endMeasured();
    return n;
}

static std::int64_t reset(std::int64_t count, std::int64_t n) {
    auto& live = liveTimers(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        asio::steady_timer& timer = live[static_cast<std::size_t>(busyOne(i, n))];
        timer.expires_after(milliseconds(2 * kHourMs));
        timer.async_wait(never);
        if (i % kPerPass == 0) context.poll();
    }
    context.poll();
    endMeasured();
    return count;
}

static std::int64_t pass(std::int64_t count, std::int64_t n) {
    liveTimers(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) context.poll();
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
