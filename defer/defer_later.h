#pragma once
// deferLater: a Deferred that fires after a while.
//
//     co_await bine::deferLater(reactor, 2s);
//     bine::deferLater(reactor, 5s, [this] { return lookUp(name_); }).ownedBy(this).addCallback(...);
//
// The clock's thread. Cost: a timer, a Deferred, and the link between them.

#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"

namespace bine::inline v0 {

/// Fires with nothing, `delay` from now. Cancelling it takes the timer out. Throws std::invalid_argument for a negative delay; fails with AbandonedError if
/// the clock dies before.
[[nodiscard]] inline Deferred<> deferLater(Clock& clock, Delay delay) {
    if (delay.value() < Duration::zero()) throw std::invalid_argument("deferLater: the delay is negative");
    const auto call = std::make_shared<DelayedCall>();
    Resolver<> due([call] { call->cancel(); });
    Deferred<> deferred = due.deferred(delay.where());
    *call = clock.callLater(delay, [due = std::move(due)]() mutable { due.callback(); });
    return deferred;
}

/// Calls f(rest...) `delay` from now, and fires with what it returns or throws; if that is a Deferred, with the result of that.
template <class F, class... A>
auto deferLater(Clock& clock, Delay delay, F&& f, A&&... rest) {
    using Callable = std::decay_t<F>;
    auto call = [f = Callable(std::forward<F>(f)), ... rest = std::decay_t<A>(std::forward<A>(rest))]() mutable -> decltype(auto) {
        if constexpr (std::is_invocable_v<Callable, std::decay_t<A>...>)
            return std::invoke(std::move(f), std::move(rest)...);
        else
            return std::invoke(f, rest...);
    };
    return deferLater(clock, delay).addCallback(std::move(call));
}

}  // namespace bine::inline v0
