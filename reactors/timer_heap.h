#pragma once
// TimerHeap: the pending DelayedCalls of one clock, in the order in which they run. Internal; the clock's thread only.
//
// A 4-ary heap with the keys inline, FIFO among equals; calls with zero delay wait in a FIFO of their own. The heap's entries are not told when their call
// changes, and so no call needs to know where its entry is, which would cost a cache miss for each that moves: a call that is cancelled, or moved to an
// earlier time under another entry, leaves its entry behind, and one that is moved to a later time takes its entry along when the old time comes. What is
// left behind never outnumbers what waits by more than a few.

#include <cstdint>
#include <deque>
#include <vector>

#include "bine/defer/clock.h"
#include "bine/defer/home_thread.h"

namespace bine::inline v0::detail {

class BINE_EXPORT TimerHeap final : public TimerQueue {
public:
    /// Told when the heap wants to be looked at earlier than before, so that a kernel timer can be set.
    class Listener {
    public:
        virtual TimePoint clockNow() const = 0;
        virtual void deadlineMovedUp() = 0;
        virtual void immediateCallAdded() = 0;

    protected:
        ~Listener() = default;
    };

    explicit TimerHeap(Listener& listener) : listener_(listener) {}
    ~TimerHeap();

    /// Takes a reference to the timer until it is popped or cancelled.
    void insert(Timer& timer);
    /// The earliest deadline; (TimePoint::max)() when nothing waits. Calls with zero delay are not counted.
    TimePoint nextDeadline();
    /// Whether popDue() is worth a try: at a glance.
    bool mayBeDue(TimePoint now) const noexcept { return !heap_.empty() && heap_.front().when <= now; }
    /// Takes the earliest call that is due at `now` and was scheduled before `limit` (a value of sequence()). Its state is then `called`; null if there is none.
    DelayedCall popDue(TimePoint now, std::uint64_t limit);
    /// The oldest call with zero delay that was scheduled before `limit`.
    DelayedCall popImmediate(std::uint64_t limit);

    bool hasImmediate() const noexcept { return immediateCount_ != 0; }
    std::size_t size() const noexcept { return heap_.size() - leftBehind_ + immediateCount_; }
    /// All that is scheduled later gets at least this number.
    std::uint64_t sequence() const noexcept { return nextSequence_; }
    std::vector<DelayedCall> pending() const;
    /// Cancels everything.
    void clear();

    void timerChanged(Timer& timer) override;
    void timerCancelled(Timer& timer) override;
    TimePoint timerNow() const override { return listener_.clockNow(); }
    void assertThread(const Timer& timer, const char* call) const override;
    /// That of the clock: the one that made it.
    const HomeThread& home() const noexcept { return home_; }

private:
    struct Entry {
        TimePoint when;
        std::uint64_t sequence;
        Timer* timer;  // counted
        // Without branches: nobody can foresee what comes out.
        bool before(const Entry& other) const { return (int(when < other.when) | (int(when == other.when) & int(sequence < other.sequence))) != 0; }
        bool isLeftBehind() const { return timer->queuedAs != sequence; }
        static Entry of(Timer& timer);
    };

    void push(Timer& timer);
    void siftUp(std::size_t at, Entry entry, std::size_t top);
    void siftDown(std::size_t at, Entry entry);
    void settleTop();
    void removeTop();
    void leaveBehind(Timer& timer);
    void sweep();
    void forgetImmediate(Timer& timer);
    static void release(Timer& timer);
    static DelayedCall taken(Timer& timer);

    Listener& listener_;
    const HomeThread home_;
    std::vector<Entry> heap_;
    std::size_t leftBehind_ = 0;
    std::deque<Timer*> immediate_;  // cancelled ones are null
    std::uint32_t immediateBase_ = 0;  // position of the front; wraps
    std::size_t immediateCount_ = 0;
    std::uint64_t nextSequence_ = 1;
};

}  // namespace bine::inline v0::detail
