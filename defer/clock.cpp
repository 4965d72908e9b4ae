#include "bine/defer/clock.h"

#include <limits>
#include <stdexcept>

#include "bine/defer/errors.h"
#include "bine/defer/home_thread.h"
#include "bine/defer/owner.h"
#include "bine/defer/pool.h"

namespace bine::inline v0 {
namespace detail {

/// One owner of a timer.
class TimerOwnership final : public Owned {
public:
    TimerOwnership(Timer& timer, TimerOwnership* next) : timer(timer), next(next) {}
    void ownerDied() noexcept override { timer.cancel(); }
    Timer& timer;
    TimerOwnership* next;
};

static_assert(sizeof(Timer) <= 2 * ThreadMemory::unit - ThreadMemory::mallocHeader, "see there");

Timer* newTimer() { return ::new (threadMemory().allocate(sizeof(Timer))) Timer; }

void destroyTimer(Timer* timer) noexcept {
    timer->dropOwners();
    timer->~Timer();
    threadMemory().release(timer, sizeof(Timer));
}

void Timer::dropOwners() noexcept {
    while (TimerOwnership* first = owners) {
        owners = first->next;
        delete first;
    }
}

void Timer::cancel() {
    if (state != State::pending) return;
    DelayedCall keep(*this);
    state = State::cancelled;
    if (TimerQueue* waiting = std::exchange(queue, nullptr)) waiting->timerCancelled(*this);
    dropOwners();
    call = nullptr;
}

void addTimerOwner(Timer& timer, OwnerHook& hook) {
    timer.owners = new TimerOwnership(timer, timer.owners);
    timer.owners->bindTo(hook);
}

Duration checkedDelay(std::chrono::duration<long double> delay) {
    constexpr long double longest = static_cast<long double>(Duration::max().count()) / 2;
    const long double nanoseconds = std::chrono::duration<long double, std::nano>(delay).count();
    if (nanoseconds != nanoseconds) throw std::invalid_argument("a delay must be a number");
    if (nanoseconds >= longest) return Duration::max() / 2;
    if (nanoseconds <= -longest) return -(Duration::max() / 2);
    const auto whole = static_cast<Duration::rep>(nanoseconds);
    return Duration(static_cast<long double>(whole) < nanoseconds ? whole + 1 : whole);  // never early
}

// Saturates: a call in the far future is only far.
static TimePoint later(TimePoint from, Duration by) {
    if (by > Duration::zero() && from > TimePoint::max() - by) return TimePoint::max() - Duration(1);
    return from + by;
}

}  // namespace detail

Clock::~Clock() = default;
void Clock::assertThread(std::string_view) const {}
Duration Clock::timeSlice() const { return std::chrono::milliseconds(10); }

DelayedCall Clock::scheduleCall(Delay delay, Function<void()> call) {
    if (delay.value() < Duration::zero()) throw std::invalid_argument("callLater: the delay is negative");
    DelayedCall handle(*detail::newTimer());
    detail::Timer& timer = handle.timer();
    timer.immediate = delay.value() == Duration::zero();
    timer.when = detail::later(now(), delay.value());
    timer.where = delay.where();
    timer.call = std::move(call);
    schedule(timer);
    return handle;
}

detail::Timer& DelayedCall::pending() const {
    if (!timer_ || timer_->state == detail::Timer::State::called) throw AlreadyCalled();
    if (timer_->state == detail::Timer::State::cancelled) throw AlreadyCancelled();
    return *timer_;
}

static void checkThread(const detail::Timer& timer, const char* call) {
    if constexpr (detail::checksEachCall) timer.queue->assertThread(timer, call);
}

void DelayedCall::cancel() {
    if (!timer_ || !timer_->queue) return;
    checkThread(*timer_, "DelayedCall::cancel()");
    timer_->cancel();
}

void DelayedCall::reset(Delay delay) {
    detail::Timer& timer = pending();
    checkThread(timer, "DelayedCall::reset()");
    if (delay.value() < Duration::zero()) throw std::invalid_argument("DelayedCall::reset: the delay is negative");
    timer.when = detail::later(timer.queue->timerNow(), delay.value());
    timer.queue->timerChanged(timer);
}

void DelayedCall::delay(Delay by) {
    detail::Timer& timer = pending();
    checkThread(timer, "DelayedCall::delay()");
    timer.when = detail::later(timer.when, by.value());
    timer.queue->timerChanged(timer);
}

TimePoint DelayedCall::getTime() const { return timer_ ? timer_->when : TimePoint{}; }

std::source_location DelayedCall::where() const { return timer_ ? timer_->where : std::source_location{}; }

}  // namespace bine::inline v0
