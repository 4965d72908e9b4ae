#pragma once
// DeferredLock: one at a time, first come first served.
//
//     bine::Deferred<> Account::transfer(Money amount) {
//         auto guard = co_await lock_.scoped();
//         ...                                              // what is awaited here happens without another transfer in between
//     }
//     lock_.run([this] { return save(); });                // the same for a function
//
// For one thread, between its callbacks and coroutines; nothing blocks. Its end fails all who wait with AbandonedError. Cost: nothing if it is free, else a
// Deferred for who waits.

#include <cstddef>
#include <memory>
#include <source_location>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/lock_errors.h"
#include "bine/defer/lock_guard.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT DeferredLock {
public:
    DeferredLock() : tokens_(std::make_shared<detail::Tokens>(1)) {}
    DeferredLock(const DeferredLock&) = delete;
    DeferredLock& operator=(const DeferredLock&) = delete;
    ~DeferredLock() { tokens_->close(); }

    /// Fires with this lock when it is the caller's: now, or in turn. Whoever it fires for has to release() it. Cancelling it leaves the line. run() and
    /// scoped() are harder to get wrong.
    Deferred<DeferredLock*> acquire(std::source_location where = std::source_location::current()) {
        return tokens_->acquire(where).addCallback([this](LockGuard guard) {
            guard.leave();
            return this;
        });
    }
    /// Hands it to who has waited longest: what that does runs before this returns, unless a long row of such hand-overs is on the stack already. Throws
    /// NotAcquiredError if it is free.
    void release() {
        if (!tokens_->release()) throw NotAcquiredError("DeferredLock::release: it is not locked");
    }

    /// Fires with a guard that releases the lock at its end.
    Deferred<LockGuard> scoped(std::source_location where = std::source_location::current()) { return tokens_->acquire(where); }

    /// Calls f(rest...) when the lock is free, and holds it until f has returned, or the Deferred that it returned is done. Fires with the result of f.
    template <class F, class... A>
    auto run(F&& f, A&&... rest) {
        return detail::runHolding(scoped(), std::forward<F>(f), std::forward<A>(rest)...);
    }

    /// Held by somebody, or being handed on.
    bool locked() const noexcept { return tokens_->available() == 0; }
    /// How many wait.
    std::size_t waiting() const noexcept { return tokens_->waiting(); }

private:
    std::shared_ptr<detail::Tokens> tokens_;
};

}  // namespace bine::inline v0
