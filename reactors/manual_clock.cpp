#include "bine/reactors/manual_clock.h"

#include <initializer_list>
#include <stdexcept>

#include "bine/reactors/activity.h"

namespace bine::inline v0 {

ManualClock::ManualClock() : now_(std::chrono::hours(1)) {}
ManualClock::~ManualClock() = default;

std::vector<DelayedCall> ManualClock::getDelayedCalls() const { return timers_.pending(); }

void ManualClock::schedule(detail::Timer& timer) {
    assertThread("callLater()");
    timers_.insert(timer);
}

void ManualClock::advance(Delay by) {
    assertThread("ManualClock::advance()");
    if (by.value() < Duration::zero()) throw std::invalid_argument("a clock is not moved backwards");
    const TimePoint target = now_ + by.value();
    runImmediate();
    // Calls scheduled from now on run if they fall due on the way; the sequence bounds only those that are due without time passing.
    for (;;) {
        const TimePoint next = timers_.nextDeadline();
        if (next > target) break;
        if (next > now_) now_ = next;
        if (DelayedCall call = timers_.popDue(now_, timers_.sequence())) detail::runDelayedCall(call);
        if (target > now_) runImmediate();
    }
    if (target > now_) now_ = target;
}

void ManualClock::runImmediate() {
    const auto limit = timers_.sequence();
    while (DelayedCall call = timers_.popImmediate(limit)) detail::runDelayedCall(call);
}

void ManualClock::pump(std::initializer_list<Duration> steps) {
    for (const Duration step : steps) advance(step);
}

}  // namespace bine::inline v0
