#pragma once
// retry: an operation that is tried again until it succeeds.
//
//     bine::retry(reactor, bine::RetryPolicy().attempts(5).initial(1s).factor(2).maximum(60s), [&reactor, url] { return bine::getPage(reactor, url); });
//
// Each attempt begins after the last has failed and a pause has passed, which grows. The clock's thread. Cost: two coroutine frames, and a timer per pause;
// the stack does not grow with the number of attempts.

#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/defer_later.h"
#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// How often, how long between, and after which failures.
class BINE_EXPORT RetryPolicy {
public:
    RetryPolicy() noexcept {}

    /// How often in all, at least once; without end unless set.
    RetryPolicy& attempts(std::uint64_t most) {
        attempts_ = most;
        return *this;
    }
    /// The first pause; 1 s unless set.
    RetryPolicy& initial(Delay pause) {
        initial_ = checked(pause);
        return *this;
    }
    /// By how much each pause is longer than the one before; 2 unless set, at least 1.
    RetryPolicy& factor(double factor);
    /// The longest pause; 60 s unless set.
    RetryPolicy& maximum(Delay pause) {
        maximum_ = checked(pause);
        return *this;
    }
    /// By what part, 0 to 1, each pause is shortened or lengthened at random, so that many who failed together do not come back together; 0.1 unless set.
    RetryPolicy& jitter(double part);
    /// After which failures it is tried again; after all but CancelledError unless set. f(const Failure&) returns bool.
    template <class F>
        requires std::is_invocable_r_v<bool, F&, const Failure&>
    RetryPolicy& when(F f) {
        when_ = std::move(f);
        return *this;
    }

    // --- For retry(), and whoever tries by other means.

    /// Whether another attempt is due after `failed` that failed, the last one with this.
    bool goesOn(std::uint64_t failed, const Failure& failure) const;
    /// How long to wait then.
    Duration pauseAfter(std::uint64_t failed) const;

private:
    static Duration checked(Delay pause);

    std::uint64_t attempts_ = ~std::uint64_t{0};
    Duration initial_ = std::chrono::seconds(1);
    Duration maximum_ = std::chrono::seconds(60);
    double factor_ = 2;
    double jitter_ = 0.1;
    std::function<bool(const Failure&)> when_;
};

namespace detail {

template <class F>
struct RetriedValue {
    using Returned = std::remove_cvref_t<std::invoke_result_t<F&>>;
    static_assert(IsDeferred<Returned>::value, "retry: the operation must return a Deferred");
    using type = typename Returned::value_type;
};

template <class T, class F>
Deferred<T> retrying(Clock& clock, RetryPolicy policy, F f) {
    for (std::uint64_t failed = 1;; ++failed) {
        Failure failure;
        try {
            Deferred<T> attempt = f();
            if constexpr (std::is_void_v<T>) {
                co_await attempt;
                co_return;
            } else {
                co_return co_await attempt;
            }
        } catch (...) {
            failure = caughtFailure();
        }
        if (!policy.goesOn(failed, failure)) failure.raiseException();
        co_await deferLater(clock, policy.pauseAfter(failed));
    }
}

}  // namespace detail

/// Calls f(), which returns a Deferred, until that fires with a value, and fires with it; fails with the last failure when the policy says that it is enough.
/// An f that throws has failed. Cancelling it, or its owner's death, ends the attempt that runs, or the pause.
template <class F>
auto retry(Clock& clock, RetryPolicy policy, F&& f) {
    using Callable = std::decay_t<F>;
    using T = typename detail::RetriedValue<Callable>::type;
    detail::DeferredFor<T, Callable> deferred(detail::retrying<T, Callable>(clock, std::move(policy), std::forward<F>(f)));
    return deferred;
}

}  // namespace bine::inline v0
