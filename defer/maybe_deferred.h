#pragma once
// maybeDeferred, execute, ensureDeferred: a Deferred of whatever a function does.
//
//     bine::maybeDeferred(handler, request).addErrback(reply);       // handler may return a value, fail, throw, or return a Deferred
//
// The function is called at once, on this thread. It may be a coroutine lambda with captures, and take its arguments by reference: temporaries live until the
// Deferred that it returns has fired. Cost: one allocation if that is so, else none.

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"

namespace bine::inline v0 {
namespace detail {

/// A callable and its arguments in one place. Temporaries are moved there, what has a name is referred to.
template <class F, class... A>
class HeldCall {
public:
    HeldCall(F&& f, A&&... arguments) : f_(std::forward<F>(f)), arguments_(std::forward<A>(arguments)...) {}
    decltype(auto) operator()() {
        const auto call = [&](auto&... arguments) -> decltype(auto) { return std::invoke(std::forward<F>(f_), std::forward<A>(arguments)...); };
        return std::apply(call, arguments_);
    }

private:
    F f_;
    std::tuple<A...> arguments_;
};

/// Whether X, as written in F&&, is a temporary that a coroutine could refer to.
template <class X>
inline constexpr bool isTemporary = !std::is_reference_v<X> && !std::is_empty_v<X>;
template <class F>
inline constexpr bool isTemporaryCallable = isTemporary<F> && !std::is_pointer_v<F> && !std::is_member_pointer_v<F>;

template <class F, class... A>
struct MaybeDeferred {
    static_assert(std::is_invocable_v<F, A...>, "maybeDeferred, execute: the function cannot be called with these arguments");
    using Return = std::remove_cvref_t<std::invoke_result_t<F, A...>>;
    static_assert(!IsDeferred<Return>::value || !std::is_lvalue_reference_v<std::invoke_result_t<F, A...>>,
                  "maybeDeferred: the function returns a reference to a Deferred, which only its holder can give away: std::move() it there");
    using Value = typename NextType<Return, void>::type;
    template <class X>
    using Temporary = std::conditional_t<std::is_reference_v<X>, int, X>;  // what has a name is not destroyed twice
    using type = DeferredFor<Value, Temporary<F>, Temporary<A>...>;
};

}  // namespace detail

/// Calls f(arguments...). A Deferred that it returns comes back as it is. A value becomes one that has fired; a Failure, a Result that holds one, or an
/// exception becomes one that has failed.
template <class F, class... A>
typename detail::MaybeDeferred<F, A...>::type maybeDeferred(F&& f, A&&... arguments) {
    using Maybe = detail::MaybeDeferred<F, A...>;
    using Value = typename Maybe::Value;
    try {
        if constexpr (!detail::IsDeferred<typename Maybe::Return>::value) {
            return Deferred<Value>(
                detail::resultOf<Value>([&]() -> decltype(auto) { return std::invoke(std::forward<F>(f), std::forward<A>(arguments)...); }));
        } else if constexpr (!(detail::isTemporaryCallable<F> || ... || detail::isTemporary<A>)) {
            return std::invoke(std::forward<F>(f), std::forward<A>(arguments)...);
        } else {
            using Call = detail::HeldCall<F, A...>;
            auto call = std::make_unique<Call>(std::forward<F>(f), std::forward<A>(arguments)...);
            Deferred<Value> deferred = (*call)();
            if (!deferred.called()) deferred.addErrback([call = std::move(call)](const Failure& failure) { return failure; });
            return deferred;
        }
    } catch (...) {
        return Deferred<Value>(Result<Value>(detail::caughtFailure()));
    }
}

/// maybeDeferred() for functions that return a plain value: one that returns a Deferred, which would have to be unpacked, is refused by the compiler.
template <class F, class... A>
typename detail::MaybeDeferred<F, A...>::type execute(F&& f, A&&... arguments) {
    static_assert(!detail::IsDeferred<typename detail::MaybeDeferred<F, A...>::Return>::value,
                  "execute() does not unpack a Deferred that the function returns: use maybeDeferred()");
    return maybeDeferred(std::forward<F>(f), std::forward<A>(arguments)...);
}

/// Its argument, if that is a Deferred: what a coroutine returns is one, too. The compiler refuses all else.
template <class D>
    requires(detail::IsDeferred<std::remove_cvref_t<D>>::value)
D ensureDeferred(D&& deferred) {
    return std::forward<D>(deferred);
}
template <class X>
    requires(!detail::IsDeferred<std::remove_cvref_t<X>>::value)
void ensureDeferred(X&&) {
    static_assert(detail::IsDeferred<std::remove_cvref_t<X>>::value,
                  "ensureDeferred() takes a Deferred, which is what a coroutine returns when it is called; of a value succeed() makes one, of a function "
                  "maybeDeferred()");
}

}  // namespace bine::inline v0
