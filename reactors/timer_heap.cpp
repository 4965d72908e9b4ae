#include "bine/reactors/timer_heap.h"

#include <algorithm>

namespace bine::inline v0::detail {

TimerHeap::~TimerHeap() { clear(); }

void TimerHeap::place(std::size_t at, Entry entry) {
    entry.timer->position = static_cast<std::uint32_t>(at);
    heap_[at] = entry;
}

void TimerHeap::siftUp(std::size_t at, Entry entry) {
    while (at > 0) {
        const std::size_t parent = (at - 1) / 4;
        if (!entry.before(heap_[parent])) break;
        place(at, heap_[parent]);
        at = parent;
    }
    place(at, entry);
}

void TimerHeap::siftDown(std::size_t at, Entry entry) {
    const std::size_t size = heap_.size();
    for (;;) {
        std::size_t child = at * 4 + 1;
        if (child >= size) break;
        const std::size_t end = (std::min)(child + 4, size);
        std::size_t best = child;
        for (++child; child < end; ++child)
            if (heap_[child].before(heap_[best])) best = child;
        if (!heap_[best].before(entry)) break;
        place(at, heap_[best]);
        at = best;
    }
    place(at, entry);
}

// The times of calls that were moved later are only in the calls: bring the top up to date until it is true.
void TimerHeap::settleTop() {
    while (!heap_.empty()) {
        const Entry& top = heap_.front();
        if (top.when == top.timer->when && top.sequence == top.timer->sequence) return;
        siftDown(0, {top.timer->when, top.timer->sequence, top.timer});
    }
}

void TimerHeap::removeAt(std::size_t at) {
    const Entry last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    if (at > 0 && last.before(heap_[(at - 1) / 4]))
        siftUp(at, last);
    else
        siftDown(at, last);
}

void TimerHeap::insert(Timer& timer) {
    ++timer.references;
    timer.queue = this;
    timer.sequence = nextSequence_++;
    if (timer.immediate) {
        timer.position = immediateBase_ + static_cast<std::uint32_t>(immediate_.size());
        immediate_.push_back(&timer);
        ++immediateCount_;
        listener_.immediateCallAdded();
        return;
    }
    const Entry entry{timer.when, timer.sequence, &timer};
    heap_.push_back(entry);
    siftUp(heap_.size() - 1, entry);
    if (timer.position == 0) listener_.deadlineMovedUp();
}

TimePoint TimerHeap::nextDeadline() {
    settleTop();
    return heap_.empty() ? TimePoint::max() : heap_.front().when;
}

DelayedCall TimerHeap::taken(Timer& timer) {
    DelayedCall call(timer);
    --timer.references;  // the queue's own goes over to the handle
    timer.queue = nullptr;
    timer.state = Timer::State::called;
    timer.dropOwners();
    return call;
}

DelayedCall TimerHeap::popDue(TimePoint now, std::uint64_t limit) {
    settleTop();
    if (heap_.empty() || heap_.front().when > now || heap_.front().sequence >= limit) return {};
    Timer& timer = *heap_.front().timer;
    removeAt(0);
    return taken(timer);
}

DelayedCall TimerHeap::popImmediate(std::uint64_t limit) {
    while (!immediate_.empty()) {
        Timer* timer = immediate_.front();
        if (timer && timer->sequence >= limit) break;
        immediate_.pop_front();
        ++immediateBase_;
        if (!timer) continue;
        --immediateCount_;
        return taken(*timer);
    }
    return {};
}

std::vector<DelayedCall> TimerHeap::pending() const {
    std::vector<DelayedCall> all;
    all.reserve(size());
    for (const Entry& entry : heap_) all.emplace_back(*entry.timer);
    for (Timer* timer : immediate_)
        if (timer) all.emplace_back(*timer);
    return all;
}

void TimerHeap::clear() {
    while (size() != 0) {
        DelayedCall call(heap_.empty() ? **std::find_if(immediate_.begin(), immediate_.end(), [](Timer* t) { return t != nullptr; })
                                       : *heap_.back().timer);
        call.cancel();
    }
}

void TimerHeap::forgetImmediate(Timer& timer) {
    immediate_[timer.position - immediateBase_] = nullptr;
    --immediateCount_;
    while (!immediate_.empty() && !immediate_.back()) immediate_.pop_back();
    while (!immediate_.empty() && !immediate_.front()) {
        immediate_.pop_front();
        ++immediateBase_;
    }
}

void TimerHeap::timerChanged(Timer& timer) {
    timer.sequence = nextSequence_++;
    if (timer.immediate) {
        forgetImmediate(timer);
        timer.immediate = false;
        const Entry entry{timer.when, timer.sequence, &timer};
        heap_.push_back(entry);
        siftUp(heap_.size() - 1, entry);
    } else {
        const Entry entry{timer.when, timer.sequence, &timer};
        if (!entry.before(heap_[timer.position])) return;
        siftUp(timer.position, entry);
    }
    if (timer.position == 0) listener_.deadlineMovedUp();
}

void TimerHeap::timerCancelled(Timer& timer) {
    if (timer.immediate)
        forgetImmediate(timer);
    else
        removeAt(timer.position);
    DelayedCall release(timer);
    --timer.references;
}

}  // namespace bine::inline v0::detail
