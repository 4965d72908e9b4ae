#pragma once
// DeferredSemaphore: so many at a time, first come first served.
//
//     bine::DeferredSemaphore downloads(4);
//     for (const auto& url : urls) pages.push_back(downloads.run([&, url] { return bine::getPage(reactor, url); }));
//
// For one thread; nothing blocks. Its end fails all who wait with AbandonedError. Cost: as DeferredLock.

#include <cstddef>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/lock_errors.h"
#include "bine/defer/lock_guard.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT DeferredSemaphore {
public:
    /// Throws std::invalid_argument for zero tokens.
    explicit DeferredSemaphore(std::size_t tokens) : tokens_(std::make_shared<detail::Tokens>(tokens)) {
        if (tokens == 0) throw std::invalid_argument("DeferredSemaphore: it needs one token at least");
    }
    DeferredSemaphore(const DeferredSemaphore&) = delete;
    DeferredSemaphore& operator=(const DeferredSemaphore&) = delete;
    ~DeferredSemaphore() { tokens_->close(); }

    /// Fires with this semaphore when one of its tokens is the caller's: now, or in turn. Whoever it fires for has to release() it. Cancelling it leaves the
    /// line. run() and scoped() are harder to get wrong.
    Deferred<DeferredSemaphore*> acquire(std::source_location where = std::source_location::current()) {
        return tokens_->acquire(where).addCallback([this](LockGuard guard) {
            guard.leave();
            return this;
        });
    }
    /// Hands a token to who has waited longest, as DeferredLock::release(). Throws NotAcquiredError if all tokens are there.
    void release() {
        if (!tokens_->release()) throw NotAcquiredError("DeferredSemaphore::release: nobody holds a token");
    }

    /// Fires with a guard that releases the token at its end.
    Deferred<LockGuard> scoped(std::source_location where = std::source_location::current()) { return tokens_->acquire(where); }

    /// Calls f(rest...) when there is a token, and holds it until f has returned, or the Deferred that it returned is done. Fires with the result of f.
    template <class F, class... A>
    auto run(F&& f, A&&... rest) {
        return detail::runHolding(scoped(), std::forward<F>(f), std::forward<A>(rest)...);
    }

    /// How many are free.
    std::size_t tokens() const noexcept { return tokens_->available(); }
    /// How many there are in all.
    std::size_t limit() const noexcept { return tokens_->limit(); }
    /// How many wait.
    std::size_t waiting() const noexcept { return tokens_->waiting(); }

private:
    std::shared_ptr<detail::Tokens> tokens_;
};

}  // namespace bine::inline v0
