#pragma once
// What a function returns that has refused its arguments at compile time. Internal to deferred.h.
//
// A public function checks its callables before it does anything else. What does not fit meets a static_assert whose text says what to write, and the rest of
// the body is left out. Such a function returns Refused, which accepts every further call of the chain. So one mistake is one error.

#include <type_traits>

#include "bine/defer/clock.h"
#include "bine/defer/fwd.h"
#include "bine/defer/result.h"

namespace bine::inline v0::detail {

class Refused {
public:
    template <class... X>
    Refused addCallback(X&&...) const;
    template <class... X>
    Refused addErrback(X&&...) const;
    template <class... X>
    Refused addBoth(X&&...) const;
    template <class... X>
    Refused addCallbacks(X&&...) const;
    template <class... X>
    Refused addTimeout(X&&...) const;
    template <class... X>
    Refused chainDeferred(X&&...) const;
    template <class... X>
    Refused ownedBy(X&&...) const;
    template <class... X>
    void ignoreFailures(X&&...) const;
    template <class... X>
    void logFailures(X&&...) const;
    template <class T>
    operator Deferred<T>() const;
};

/// False, for a static_assert that is met only where its template is used.
template <class...>
inline constexpr bool accepted = false;

/// Whether F is a function for addTimeout() of a Deferred<T>.
template <class F, class T>
concept translates =
    std::is_invocable_v<F&, Result<T>, Duration> && (std::is_void_v<T> || std::is_convertible_v<std::invoke_result_t<F&, Result<T>, Duration>, Result<T>>);

}  // namespace bine::inline v0::detail
