#pragma once
// Time: what o'clock it is, and "call this later".
//
// A Clock belongs to one thread and all of its functions are called there. Reactors are clocks; ManualClock is one for
// tests. Times come from CLOCK_MONOTONIC: wall-clock jumps change nothing, and time that the machine spends suspended does not count.
// Cost: one allocation per call; schedule, cancel and reset are O(log n), a reset to a later time is one store.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bine/defer/function.h"
#include "bine/defer/fwd.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock;
namespace detail {

class TimerOwnership;

/// Where a timer waits: implemented by the timer heap of a reactor or of a ManualClock.
class BINE_EXPORT TimerQueue {
public:
    virtual void timerChanged(struct Timer& timer) = 0;  ///< timer.when and timer.sequence are new
    virtual void timerCancelled(struct Timer& timer) = 0;
    virtual TimePoint timerNow() const = 0;
    /// Ends the program if `call` of this timer came from a wrong thread.
    virtual void assertThread(const Timer& timer, const char* call) const = 0;

protected:
    ~TimerQueue() = default;
};

/// One delayed call. Counted (not atomically): by its handles, and by the queue while it is pending there.
struct BINE_EXPORT Timer {
    enum class State : std::uint8_t { pending, called, cancelled };

    TimePoint when{};               ///< when it is due
    std::uint64_t sequence = 0;     ///< order among equals
    TimerQueue* queue = nullptr;    ///< null once it is called, cancelled, or the clock is gone
    std::uint32_t references = 0;
    std::uint32_t position = 0;     ///< the queue's own; so are the next two
    TimePoint queuedFor{};
    std::uint64_t queuedAs = 0;
    State state = State::pending;
    bool immediate = false;         ///< scheduled with zero delay: waits in a FIFO, not in the heap
    TimerOwnership* owners = nullptr;
    Function<void()> call;
    std::source_location where;

    void cancel();                  ///< releases the callable at once; no effect unless pending
    void dropOwners() noexcept;
};

BINE_EXPORT Timer* newTimer();
BINE_EXPORT void destroyTimer(Timer* timer) noexcept;
BINE_EXPORT void addTimerOwner(Timer& timer, OwnerHook& hook);
BINE_EXPORT Duration checkedDelay(std::chrono::duration<long double> delay);

}  // namespace detail

namespace detail {

/// Whether a callable with arguments can be kept and called later.
enum class LaterCall { possible, impossible, defers };
/// Alone it is called as an lvalue; with arguments it is called as an rvalue, and so are they.
template <class F, class... Args>
using LaterCallable = std::conditional_t<sizeof...(Args) == 0, std::decay_t<F>&, std::decay_t<F>>;
template <class F, class... Args>
constexpr LaterCall laterCallOf() {
    using Callable = LaterCallable<F, Args...>;
    if constexpr (!std::is_invocable_v<Callable, std::decay_t<Args>...>)
        return LaterCall::impossible;
    else
        return IsDeferred<std::remove_cvref_t<std::invoke_result_t<Callable, std::decay_t<Args>...>>>::value ? LaterCall::defers : LaterCall::possible;
}
template <class F, class... Args>
inline constexpr LaterCall laterCall = laterCallOf<F, Args...>();

/// f(args...), once.
template <class F, class... Args>
auto boundCall(F&& f, Args&&... args) {
    return [f = std::decay_t<F>(std::forward<F>(f)), ... args = std::decay_t<Args>(std::forward<Args>(args))]() mutable -> decltype(auto) {
        return std::invoke(static_cast<LaterCallable<F, Args...>&&>(f), std::move(args)...);
    };
}

}  // namespace detail

/// A delay and the place in the source that asked for it. Anything that counts time converts to it: 5s, 20ms, duration<double>.
class Delay {
public:
    template <class Rep, class Period>
    Delay(std::chrono::duration<Rep, Period> delay, std::source_location where = std::source_location::current())
        : where_(where) {
        if constexpr (std::is_floating_point_v<Rep> || std::ratio_greater_v<Period, std::ratio<1>>)
            value_ = detail::checkedDelay(delay);
        else
            value_ = delay;
    }
    /// Refused in words: a number has no unit.
    template <class Number>
        requires std::is_arithmetic_v<Number>
    Delay(Number) {
        static_assert(!std::is_arithmetic_v<Number>, "a delay has a unit: write 5s or 20ms (using namespace std::chrono_literals), or std::chrono::seconds(n)");
    }
    Duration value() const { return value_; }
    std::source_location where() const { return where_; }

private:
    Duration value_{};
    std::source_location where_;
};

/// A handle to a call that waits for its time (IDelayedCall). Copies share the call. Safe to use after the clock is gone: then the call is cancelled.
/// Dropping every handle does not cancel.
class BINE_EXPORT DelayedCall {
public:
    DelayedCall() = default;
    explicit DelayedCall(detail::Timer& timer) noexcept : timer_(&timer) { ++timer.references; }
    DelayedCall(const DelayedCall& other) noexcept : timer_(other.timer_) {
        if (timer_) ++timer_->references;
    }
    DelayedCall(DelayedCall&& other) noexcept : timer_(std::exchange(other.timer_, nullptr)) {}
    DelayedCall& operator=(DelayedCall other) noexcept {
        std::swap(timer_, other.timer_);
        return *this;
    }
    ~DelayedCall() { release(); }

    /// True while the call still waits: false inside its own body, after it, and after cancel().
    bool active() const noexcept { return timer_ && timer_->state == detail::Timer::State::pending; }
    explicit operator bool() const noexcept { return timer_ != nullptr; }

    /// Forgets the call and releases its captures now. No effect if it no longer waits: it has run, runs, or was cancelled; nor on an empty handle.
    void cancel();
    /// The call runs `delay` from now, earlier or later than before. Throws AlreadyCalled or AlreadyCancelled if it no longer waits (AlreadyCalled for an
    /// empty handle); negative delays are std::invalid_argument.
    void reset(Delay delay);
    /// Moves the call by `by`, which may be negative. Throws as reset() does.
    void delay(Delay by);
    /// When it is due, or was.
    TimePoint getTime() const;
    /// Where in the source it was scheduled.
    std::source_location where() const;

    /// For implementers of clocks. REQUIRES: not empty.
    detail::Timer& timer() const noexcept { return *timer_; }

    /// Cancelled when `owner` dies.
    template <class X>
    DelayedCall ownedBy(X& owner) const {
        if (active()) detail::addTimerOwner(*timer_, detail::hookOf(owner));
        return *this;
    }
    template <class X>
    DelayedCall ownedBy(X* owner) const {
        return ownedBy(detail::ownerAt(owner));
    }

private:
    detail::Timer& pending() const;
    void release() noexcept {
        if (timer_ && --timer_->references == 0) detail::destroyTimer(timer_);
    }
    detail::Timer* timer_ = nullptr;
};

/// A source of time that can call back (IReactorTime).
class BINE_EXPORT Clock {
public:
    virtual ~Clock();
    virtual TimePoint now() const = 0;

    /// Calls f(args...) once, not earlier than `delay` from now; a zero delay means a later turn of the loop, never now. Equal times keep
    /// the order of the calls. An exception from f is logged. Negative delays throw std::invalid_argument.
    template <class F, class... Args>
    DelayedCall callLater(Delay delay, F&& f, Args&&... args) {
        constexpr auto verdict = detail::laterCall<F, Args...>;
        static_assert(verdict != detail::LaterCall::impossible,
                      "callLater: this callable does not take the arguments that follow it: write callLater(5s, f, 42) for [](int n) { ... }, callLater(5s, f) for [] { ... }");
        static_assert(verdict != detail::LaterCall::defers,
                      "callLater: the callable returns a Deferred, which callLater does not wait for: write deferLater(clock, 5s, f), or end it with .logFailures()");
        if constexpr (verdict != detail::LaterCall::possible) {
            return {};
        } else if constexpr (sizeof...(Args) == 0) {
            return scheduleCall(delay, Function<void()>(std::forward<F>(f)));
        } else {
            return scheduleCall(delay, detail::boundCall(std::forward<F>(f), std::forward<Args>(args)...));
        }
    }

    /// The calls that wait, in no particular order.
    virtual std::vector<DelayedCall> getDelayedCalls() const = 0;

    /// Ends the program with a message on stderr, which names `call` and both threads, if this is not the clock's thread. The default checks nothing. For what
    /// stands on a clock, and is to say at once that it was called from a wrong thread.
    virtual void assertThread(std::string_view call) const;

    /// How long work that can be cut into pieces may go on in one call: 10 ms; in somebody else's loop, a turn's budget.
    virtual Duration timeSlice() const;

protected:
    /// Takes a timer whose `when` and `where` are set; keeps a reference until it is called or cancelled.
    virtual void schedule(detail::Timer& timer) = 0;

private:
    DelayedCall scheduleCall(Delay delay, Function<void()> call);
};

}  // namespace bine::inline v0
