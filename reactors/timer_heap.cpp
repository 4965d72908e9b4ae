#include "bine/reactors/timer_heap.h"

#include <algorithm>
#include <cstddef>

#include "bine/defer/errors.h"
#include "bine/defer/pool.h"
#include "bine/log/place.h"

namespace bine::inline v0::detail {

TimerHeap::~TimerHeap() { clear(); }

namespace {

// A call that is near the top is needed soon, and in a large heap it is in nobody's cache.
void fetchAhead(const Timer& timer) {
    const auto* const begin = reinterpret_cast<const std::byte*>(&timer);
    for (std::size_t at = 0; at < sizeof(Timer); at += 64) __builtin_prefetch(begin + at);
}

}  // namespace

TimerHeap::Entry TimerHeap::Entry::of(Timer& timer) {
    timer.queuedFor = timer.when;
    timer.queuedAs = timer.sequence;
    return {timer.when, timer.sequence, &timer};
}

void TimerHeap::release(Timer& timer) {
    DelayedCall last(timer);
    --timer.references;
}

void TimerHeap::push(Timer& timer) {
    const Entry entry = Entry::of(timer);
    heap_.push_back(entry);
    ++timer.references;
    siftUp(heap_.size() - 1, entry, 0);
    if (heap_.front().timer == &timer) listener_.deadlineMovedUp();
}

void TimerHeap::siftUp(std::size_t at, Entry entry, std::size_t top) {
    while (at > top) {
        const std::size_t parent = (at - 1) / 4;
        if (!entry.before(heap_[parent])) break;
        heap_[at] = heap_[parent];
        at = parent;
    }
    heap_[at] = entry;
}

// The gap goes down to a leaf, and then up to the place of what nearly always belongs far down: this compares less.
void TimerHeap::siftDown(std::size_t at, Entry entry) {
    const std::size_t top = at, size = heap_.size();
    for (;;) {
        const std::size_t child = at * 4 + 1;
        if (child >= size) break;
        std::size_t best = child;
        if (child + 3 < size) {
            // Whichever it will be: its children.
            if (const std::size_t next = child * 4 + 1; next + 15 < size) {
                const auto* const begin = reinterpret_cast<const std::byte*>(&heap_[next]);
                for (std::size_t ahead = 0; ahead < 16 * sizeof(Entry); ahead += 64) __builtin_prefetch(begin + ahead);
            }
            const Entry* const four = &heap_[child];
            const std::size_t left = four[1].before(four[0]), right = 2 + std::size_t{four[3].before(four[2])};
            best += four[right].before(four[left]) ? right : left;
        } else {
            for (std::size_t other = child + 1; other < size; ++other)
                if (heap_[other].before(heap_[best])) best = other;
        }
        heap_[at] = heap_[best];
        if (at <= 4) fetchAhead(*heap_[at].timer);
        at = best;
    }
    siftUp(at, entry, top);
}

void TimerHeap::removeTop() {
    const Entry last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) siftDown(0, last);
}

// What the top says of its call may be out of date: until it is true.
void TimerHeap::settleTop() {
    while (!heap_.empty()) {
        const Entry& top = heap_.front();
        Timer& timer = *top.timer;
        if (top.isLeftBehind()) {
            removeTop();
            --leftBehind_;
            release(timer);
        } else if (top.sequence != timer.sequence) {
            siftDown(0, Entry::of(timer));
        } else {
            return;
        }
    }
}

void TimerHeap::leaveBehind(Timer& timer) {
    if (heap_.back().timer == &timer && !heap_.back().isLeftBehind()) {
        heap_.pop_back();
        return release(timer);
    }
    timer.queuedAs = 0;
    ++leftBehind_;
}

// In time linear in the heap's size, when as many entries as half of it have been left behind since.
void TimerHeap::sweep() {
    constexpr std::size_t few = 64;
    if (leftBehind_ < few || leftBehind_ < heap_.size() / 2) return;
    std::erase_if(heap_, [](const Entry& entry) {
        if (!entry.isLeftBehind()) return false;
        release(*entry.timer);
        return true;
    });
    leftBehind_ = 0;
    for (std::size_t at = heap_.size() / 4 + 1; at-- > 0;)
        if (at < heap_.size()) siftDown(at, heap_[at]);
}

void TimerHeap::insert(Timer& timer) {
    timer.queue = this;
    timer.sequence = nextSequence_++;
    if (timer.immediate) {
        ++timer.references;
        timer.position = immediateBase_ + static_cast<std::uint32_t>(immediate_.size());
        immediate_.push_back(&timer);
        ++immediateCount_;
        listener_.immediateCallAdded();
        return;
    }
    push(timer);
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
    if (ownersDied()) endDeadOwners();
    settleTop();
    if (heap_.empty() || heap_.front().when > now || heap_.front().sequence >= limit) return {};
    Timer& timer = *heap_.front().timer;
    removeTop();
    return taken(timer);
}

DelayedCall TimerHeap::popImmediate(std::uint64_t limit) {
    if (ownersDied()) endDeadOwners();
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
    for (const Entry& entry : heap_)
        if (!entry.isLeftBehind()) all.emplace_back(*entry.timer);
    for (Timer* timer : immediate_)
        if (timer) all.emplace_back(*timer);
    return all;
}

void TimerHeap::clear() {
    while (!heap_.empty()) {
        const Entry last = heap_.back();
        if (!last.isLeftBehind()) {
            DelayedCall(*last.timer).cancel();  // which takes it off
            continue;
        }
        heap_.pop_back();
        --leftBehind_;
        release(*last.timer);
    }
    while (immediateCount_ != 0)
        DelayedCall(**std::find_if(immediate_.begin(), immediate_.end(), [](Timer* timer) { return timer != nullptr; })).cancel();
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

void TimerHeap::assertThread(const Timer& timer, const char* call) const {
    home_.check([&] { return std::string(call) + " of the call" + placeAfter("scheduled at", timer.where); });
}

void TimerHeap::timerChanged(Timer& timer) {
    timer.sequence = nextSequence_++;
    if (timer.immediate) {
        forgetImmediate(timer);
        timer.immediate = false;
        push(timer);
        release(timer);  // the FIFO's reference
    } else if (timer.when < timer.queuedFor) {
        const DelayedCall kept(timer);
        leaveBehind(timer);
        push(timer);
        sweep();
    }
}

void TimerHeap::timerCancelled(Timer& timer) {
    if (timer.immediate) {
        forgetImmediate(timer);
        release(timer);
    } else {
        leaveBehind(timer);
        sweep();
    }
}

}  // namespace bine::inline v0::detail
