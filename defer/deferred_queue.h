#pragma once
// DeferredQueue: items handed from those who have them to those who want them, first come first served.
//
//     bine::DeferredQueue<Job> jobs(bine::QueueLimits().size(1000));
//     jobs.put(job);
//     for (;;) perform(co_await jobs.get());
//
// For one thread; nothing blocks. Its end fails all who wait with AbandonedError. Cost: a Deferred for who waits, nothing else if an item is there.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/lock_errors.h"
#include "bine/defer/waiting_line.h"

namespace bine::inline v0 {

/// How far a DeferredQueue may grow; without a word of it, without a bound.
class QueueLimits {
public:
    static constexpr std::size_t unlimited = (std::numeric_limits<std::size_t>::max)();

    QueueLimits() noexcept {}
    /// How many items may wait to be fetched. Zero: an item is taken only if somebody waits for it.
    QueueLimits& size(std::size_t items) noexcept { return size_ = items, *this; }
    /// How many may wait for an item. Zero: get() gets one that is there.
    QueueLimits& backlog(std::size_t waiting) noexcept { return backlog_ = waiting, *this; }

    std::size_t size() const noexcept { return size_; }
    std::size_t backlog() const noexcept { return backlog_; }

private:
    std::size_t size_ = unlimited;
    std::size_t backlog_ = unlimited;
};

template <class T>
class DeferredQueue {
    static_assert(!std::is_void_v<T> && !std::is_reference_v<T>, "the items of a DeferredQueue are values");

public:
    explicit DeferredQueue(QueueLimits limits = QueueLimits()) : store_(std::make_shared<Store>()), limits_(limits) {}
    DeferredQueue(const DeferredQueue&) = delete;
    DeferredQueue& operator=(const DeferredQueue&) = delete;
    ~DeferredQueue() { store_->line.close(); }

    /// Gives the item to who has waited longest: what that does runs before this returns, unless a long row of such hand-overs is on the stack already. Keeps
    /// the item if nobody waits. Throws QueueOverflow, and leaves the item alone, if too many are kept.
    void put(T&& item) {
        checkRoom();
        store_->items.push_back(std::move(item));
        store_->handOut();
    }
    void put(const T& item) { put(T(item)); }

    /// Fires with the longest kept item, or with one that is yet to be put. Fails with QueueUnderflow if too many wait for one. Cancelling it leaves the line,
    /// and costs no item.
    Deferred<T> get(std::source_location where = std::source_location::current()) {
        Store& store = *store_;
        if (store.line.empty() && store.available() != 0) return succeed(store.take());
        if (waiting() >= limits_.backlog()) return fail<T>(QueueUnderflow(), where);
        return store.line.join(where).addCallback([](Ticket ticket) { return ticket.redeem(); });
    }

    /// How many items are kept for who asks next.
    std::size_t pending() const noexcept { return store_->available() - (std::min)(store_->available(), store_->line.size()); }
    /// How many wait for an item, and have none on its way.
    std::size_t waiting() const noexcept { return store_->line.size() - (std::min)(store_->available(), store_->line.size()); }

private:
    class Ticket;

    /// Outlives the queue as long as there are tickets.
    struct Store : std::enable_shared_from_this<Store> {
        std::deque<T> items;
        std::size_t promised = 0;  // items for which there is a ticket
        detail::WaitingLine<Ticket> line;

        std::size_t available() const noexcept { return items.size() - promised; }
        T take() {
            T item = std::move(items.front());
            items.pop_front();
            return item;
        }
        void handOut() {
            const auto self = this->shared_from_this();
            line.serve([this] { return available() != 0; },
                       [this] {
                           ++promised;
                           return Ticket(this->shared_from_this());
                       });
        }
    };

    /// What is handed out: an item, when it arrives. If it does not, because its chain has been ended, the item is still there.
    class Ticket {
    public:
        explicit Ticket(std::shared_ptr<Store> store) noexcept : store_(std::move(store)) {}
        Ticket(Ticket&& other) noexcept : store_(std::move(other.store_)) {}
        Ticket& operator=(Ticket&&) = delete;
        ~Ticket() {
            if (!store_) return;
            --store_->promised;
            store_->handOut();
        }
        T redeem() {
            const auto store = std::move(store_);
            --store->promised;
            return store->take();
        }

    private:
        std::shared_ptr<Store> store_;
    };

    void checkRoom() const {
        if (store_->available() >= store_->line.size() && pending() >= limits_.size()) throw QueueOverflow();
    }

    std::shared_ptr<Store> store_;
    QueueLimits limits_;
};

}  // namespace bine::inline v0
