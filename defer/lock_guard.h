#pragma once
// LockGuard: a lock, or one token of a semaphore, held for the life of an object.
//
//     auto guard = co_await lock.scoped();
//     ...                                        // released at the end of the scope, and when the coroutine's frame is unwound
//
// What a Deferred<LockGuard> carries and nobody takes is released, too: with the chain whose owner died, or with the last handle. One thread. Cost: two
// pointers.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/waiting_line.h"
#include "bine/log/export.h"

namespace bine::inline v0 {
namespace detail {

/// What a LockGuard gives back to.
class BINE_EXPORT Holdable {
public:
    /// Runs what waits for it. No effect if that which was locked is gone.
    virtual void giveBack() noexcept = 0;

protected:
    Holdable() = default;
    Holdable(const Holdable&) = delete;
    Holdable& operator=(const Holdable&) = delete;
    ~Holdable();
};

}  // namespace detail

class [[nodiscard]] LockGuard {
public:
    /// Holds nothing.
    LockGuard() noexcept = default;
    LockGuard(LockGuard&& other) noexcept : held_(std::move(other.held_)) {}
    LockGuard& operator=(LockGuard&& other) noexcept {
        if (this == &other) return *this;
        const LockGuard old(std::move(*this));  // dies last: its end may run anything
        held_ = std::move(other.held_);
        return *this;
    }
    ~LockGuard() { release(); }

    /// Now, not at its end; who waits runs before this returns. No effect if it holds nothing, or if the lock is gone.
    void release() noexcept {
        if (const auto held = std::move(held_)) held->giveBack();
    }
    /// Whether it holds something.
    explicit operator bool() const noexcept { return held_ != nullptr; }

    // --- For the rooms of this library.

    explicit LockGuard(std::shared_ptr<detail::Holdable> held) noexcept : held_(std::move(held)) {}
    /// What it holds stays locked; somebody will release it by hand.
    void leave() noexcept { held_.reset(); }

private:
    std::shared_ptr<detail::Holdable> held_;
};

namespace detail {

/// The tokens of a semaphore, or the one of a lock, and who waits for them. Outlives its lock as long as there are guards.
class BINE_EXPORT Tokens final : public Holdable, public std::enable_shared_from_this<Tokens> {
public:
    explicit Tokens(std::size_t limit) : limit_(limit), tokens_(limit) {}

    std::size_t limit() const noexcept { return limit_; }
    /// Those that nobody holds, or is about to be given.
    std::size_t available() const noexcept { return tokens_ - (std::min)(tokens_, line_.size()); }
    std::size_t waiting() const noexcept { return line_.size(); }

    Deferred<LockGuard> acquire(std::source_location where);
    /// False if none is out.
    bool release();
    void giveBack() noexcept override { release(); }
    /// The lock dies.
    void close() noexcept { line_.close(); }

private:
    std::size_t limit_;
    std::size_t tokens_;
    WaitingLine<LockGuard> line_;
};

/// Calls f(rest...) when `acquired` has fired, and releases when that, or the Deferred that it returns, is done.
template <class F, class... A>
auto runHolding(Deferred<LockGuard> acquired, F&& f, A&&... rest) {
    // The guard's place is the last level: it goes after all that f began has ended, also if an owner ends it.
    auto guard = std::make_shared<LockGuard>();
    auto call = [guard, f = std::decay_t<F>(std::forward<F>(f)), ... rest = std::decay_t<A>(std::forward<A>(rest))](LockGuard held) mutable -> decltype(auto) {
        *guard = std::move(held);
        if constexpr (std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>)
            return std::invoke(std::move(f), std::move(rest)...);
        else
            return std::invoke(f, rest...);
    };
    auto done = std::move(acquired).addCallback(std::move(call)).addBoth([guard](auto result) {
        guard->release();
        return result;
    });
    return DeferredFor<typename decltype(done)::value_type, F, A...>(std::move(done));
}

}  // namespace detail
}  // namespace bine::inline v0
