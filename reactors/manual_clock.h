#pragma once
// ManualClock: time that a test advances. Nothing happens by itself; advance() runs what falls due, on the caller's stack.
//
// Belongs to the thread that made it; another thread that schedules or advances ends the program with a message. It starts at TimePoint{} + 1 hour, so that times before "now" can be expressed.

#include "bine/defer/clock.h"
#include "bine/reactors/timer_heap.h"

namespace bine::inline v0 {

class BINE_EXPORT ManualClock : public Clock, private detail::TimerHeap::Listener {
public:
    ManualClock();
    ~ManualClock() override;

    TimePoint now() const override { return now_; }
    std::vector<DelayedCall> getDelayedCalls() const override;

    /// Moves the time on by `by` and runs what falls due on the way, each call at its own time, in order; also calls that are scheduled meanwhile
    /// and fall due. A call with zero delay runs at the next advance(), advance(0s) too. A call that reschedules itself with zero delay runs once per advance().
    /// Exceptions from calls are logged. Throws std::invalid_argument for a negative `by`. May be called from inside a call (nested).
    void advance(Delay by);
    void assertThread(std::string_view call) const override { timers_.home().check(call); }
    /// advance() once per step.
    void pump(std::initializer_list<Duration> steps);

protected:
    void schedule(detail::Timer& timer) override;

private:
    TimePoint clockNow() const override { return now_; }
    void deadlineMovedUp() override {}
    void immediateCallAdded() override {}
    void runImmediate();

    TimePoint now_;
    detail::TimerHeap timers_{*this};
};

}  // namespace bine::inline v0
