#pragma once
// The level that Deferred::addTimeout() adds. Internal to deferred.h.

#include <functional>
#include <type_traits>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/errors.h"
#include "bine/defer/level.h"
#include "bine/defer/result.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// CancelledError, or a FirstError or FailureGroup of nothing else.
BINE_EXPORT bool isCancellation(const Failure& failure) noexcept;

/// What a Deferred says when its time has passed, unless it knows better: TimeoutError in place of CancelledError.
struct CancelledIsTimeout {
    template <class T>
    Result<T> operator()(Result<T> result, Duration timeout) const {
        if (result.isFailure() && isCancellation(result.failure())) return Failure(TimeoutError(timeout));
        return result;
    }
};

/// The level that ends the time. It has the timer: where this dies unrun, the timer ends too.
template <class T, class F>
class Deadline {
public:
    template <class ForF>
    Deadline(DelayedCall call, Duration timeout, ForF&& translate)
        : call_(std::move(call)), timeout_(timeout), translate_(std::forward<ForF>(translate)) {}
    Deadline(Deadline&&) = default;
    Deadline& operator=(Deadline&&) = delete;
    ~Deadline() { call_.cancel(); }

    decltype(auto) operator()(Result<T> result) {
        const bool expired = call_.timer().state == Timer::State::called;
        call_.cancel();
        return expired ? Result<T>(translated(std::move(result))) : std::move(result);
    }

private:
    Result<T> translated(Result<T>&& result) { return resultOf<T>([&]() -> decltype(auto) { return std::invoke(translate_, std::move(result), timeout_); }); }

    DelayedCall call_;
    Duration timeout_;
    [[no_unique_address]] F translate_;
};

}  // namespace bine::inline v0::detail
