#pragma once
// One level of a chain: what the callables given to addCallback() and its siblings become. Internal to deferred.h.
//
// A callable that returns a Deferred lives, at one address, until that has been fired, and so does the argument it was given: it may be a coroutine
// lambda with captures and reference parameters.

#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "bine/defer/core.h"
#include "bine/defer/fwd.h"
#include "bine/defer/result.h"

namespace bine::inline v0::detail {

// GCC before 13 destroys a temporary closure twice if its full expression contains a co_await.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool kNameItFirst = true;
#else
inline constexpr bool kNameItFirst = false;
#endif

/// What a function returns that was given these callables: a Deferred<U>; with such a compiler one that cannot be awaited without being named.
template <class U, class... Callables>
using DeferredFor =
    std::conditional_t<kNameItFirst && !(std::is_trivially_destructible_v<std::decay_t<Callables>> && ...), NamedDeferred<U>, Deferred<U>>;

/// f with further arguments after the result.
template <class F, class... A>
class Bound {
public:
    template <class G, class... B>
    explicit Bound(std::in_place_t, G&& f, B&&... rest) : f_(std::forward<G>(f)), rest_(std::forward<B>(rest)...) {}

    template <class... V>
        requires std::is_invocable_v<F&, V..., A&...>
    decltype(auto) operator()(V&&... values) {
        return std::apply([&](A&... rest) -> decltype(auto) { return std::invoke(f_, std::forward<V>(values)..., rest...); }, rest_);
    }

private:
    F f_;
    std::tuple<A...> rest_;
};

template <class F, class... A>
struct CallableOfArguments {
    using type = Bound<std::decay_t<F>, std::decay_t<A>...>;
    static type make(F&& f, A&&... rest) { return type(std::in_place, std::forward<F>(f), std::forward<A>(rest)...); }
};
template <class F>
struct CallableOfArguments<F> {
    using type = std::decay_t<F>;
    static F&& make(F&& f) { return std::forward<F>(f); }
};
template <class F, class... A>
using CallableOf = typename CallableOfArguments<F, A...>::type;

/// The side of a level that lets everything pass, and the side that is the same function as the other.
struct PassOn {};
struct SameFunction {};

/// Whether F& can be called. Asked without std::is_invocable unless F points to a member: an error inside a generic lambda is then told in few lines.
template <class F, class... Arguments>
inline constexpr bool callableWith =
    requires { std::declval<F&>()(std::declval<Arguments>()...); } || (std::is_member_pointer_v<F> && std::is_invocable_v<F&, Arguments...>);

/// Whether F can be called with a result: it takes it (by value or by any reference), or ignores it.
template <class F, class Argument>
inline constexpr bool takes = requires { std::declval<F&>()(std::declval<Argument>()); } ||  // first, and in place: so few lines tell of an error inside
                              callableWith<F, Argument> || callableWith<F, Argument&> || callableWith<F>;
template <class F>
inline constexpr bool takes<F, void> = callableWith<F>;

/// How F is called with a result. REQUIRES: takes<F, Argument>
template <class F, class Argument>
struct Invocation {
    static constexpr bool takesRvalue = callableWith<F, Argument>;
    static constexpr bool takesLvalue = !takesRvalue && callableWith<F, Argument&>;
    using type = typename std::conditional_t<takesRvalue, std::invoke_result<F&, Argument>,
                                             std::conditional_t<takesLvalue, std::invoke_result<F&, Argument&>, std::invoke_result<F&>>>::type;
};
template <class F>
struct Invocation<F, void> {
    using type = std::invoke_result_t<F&>;
};

template <class F, class Argument>
decltype(auto) callWith(F& f, Argument&& argument) {
    if constexpr (Invocation<F, Argument>::takesRvalue)
        return std::invoke(f, std::move(argument));
    else if constexpr (Invocation<F, Argument>::takesLvalue)
        return std::invoke(f, argument);
    else
        return std::invoke(f);
}

/// What F returns for a result of type Argument (maybe void), without const and reference.
template <class F, class Argument>
using ReturnOf = std::remove_cvref_t<typename Invocation<F, Argument>::type>;

/// The type that a chain of T carries after a callable that returned R.
template <class R, class T>
struct NextType {
    using type = R;
};
template <class T>
struct NextType<Failure, T> {
    using type = T;
};
template <class U, class T>
struct NextType<Deferred<U>, T> {
    using type = U;
};
template <class U, class T>
struct NextType<NamedDeferred<U>, T> {
    using type = U;
};
template <class U, class T>
struct NextType<Result<U>, T> {
    using type = U;
};

/// Whether what is returned leads to U: errbacks must lead back to the type the chain has.
template <class R, class U>
inline constexpr bool leadsTo =
    std::is_same_v<typename NextType<R, U>::type, U> || (!IsDeferred<R>::value && !std::is_void_v<R> && std::is_convertible_v<R, Result<U>>);

/// What `call` returned (no Deferred) as the result of a chain of U.
template <class U, class Call>
Result<U> resultOf(Call&& call) {
    if constexpr (std::is_void_v<decltype(call())>) {
        call();
        return Result<U>();
    } else {
        return call();
    }
}

/// F and G are callables for values and for failures, or PassOn; or F is for a Result<T> and G is SameFunction.
template <class T, class U, class F, class G>
class Level {
    static constexpr bool both = std::is_same_v<G, SameFunction>;

public:
    static constexpr bool onValue = !std::is_same_v<F, PassOn>;
    static constexpr bool onFailure = !std::is_same_v<G, PassOn>;

    template <class ForF, class ForG>
    Level(ForF&& f, ForG&& g) : f_(std::forward<ForF>(f)), g_(std::forward<ForG>(g)) {}

    using ValueArgument = std::conditional_t<both, Result<T>, T>;
    using FailureArgument = std::conditional_t<both, Result<T>, Failure>;
    auto& forValue() noexcept { return f_; }
    auto& forFailure() noexcept {
        if constexpr (both)
            return f_;
        else
            return g_;
    }

private:
    [[no_unique_address]] F f_;
    [[no_unique_address]] G g_;
};

template <class F, class Argument>
struct DefersFor {
    static constexpr bool value = IsDeferred<ReturnOf<F, Argument>>::value;
};
template <class Argument>
struct DefersFor<PassOn, Argument> {
    static constexpr bool value = false;
};

/// Keeps the argument of a callable that returns a Deferred. `side` makes two empty ones share their place.
template <class Argument, bool kept, int side>
class Kept {
public:
    Argument&& keep(Argument&& argument) noexcept { return std::move(argument); }
};
template <class Argument, int side>
class Kept<Argument, true, side> {
public:
    Argument&& keep(Argument&& argument) { return std::move(argument_.emplace(std::move(argument))); }

private:
    std::optional<Argument> argument_;
};
template <int side>
class Kept<void, true, side> {};
template <int side>
class Kept<void, false, side> {};

template <class T, class U, class F, class G>
class LevelStage final : public Stage {
    using L = Level<T, U, F, G>;
    using ValueArgument = typename L::ValueArgument;
    using FailureArgument = typename L::FailureArgument;
    using FailureCallable = std::conditional_t<std::is_same_v<G, SameFunction>, F, G>;

public:
    template <class ForF, class ForG>
    LevelStage(ForF&& f, ForG&& g) : Stage(operationsOfLevel), level_(std::forward<ForF>(f), std::forward<ForG>(g)) {}

private:
    static LevelStage& of(Stage& stage) noexcept { return static_cast<LevelStage&>(stage); }
    static void destroy(Stage& stage) noexcept { of(stage).~LevelStage(); }

    static void runOnValue(Stage& stage, Core& core) {
        [[maybe_unused]] LevelStage& self = of(stage);
        if constexpr (!L::onValue) {
        } else if constexpr (std::is_void_v<ValueArgument>) {
            core.result.clear();
            settle(core, [&]() -> decltype(auto) { return std::invoke(self.level_.forValue()); });
        } else if constexpr (std::is_same_v<ValueArgument, Result<T>>) {
            Result<T> result = core.result.takeResult<T>();
            settle(core, [&]() -> decltype(auto) { return callWith(self.level_.forValue(), self.keptValue_.keep(std::move(result))); });
        } else {
            T value = core.result.take<T>();
            settle(core, [&]() -> decltype(auto) { return callWith(self.level_.forValue(), self.keptValue_.keep(std::move(value))); });
        }
    }
    static void runOnFailure(Stage& stage, Core& core) {
        if constexpr (L::onFailure) {
            LevelStage& self = of(stage);
            FailureArgument failure(core.result.takeFailure());
            settle(core, [&]() -> decltype(auto) { return callWith(self.level_.forFailure(), self.keptFailure_.keep(std::move(failure))); });
        }
    }
    template <class Call>
    static void settle(Core& core, Call&& call) {
        if constexpr (IsDeferred<std::remove_cvref_t<decltype(call())>>::value)
            call().becomeResultOf(core);
        else if constexpr (std::is_same_v<decltype(call()), U> && !std::is_void_v<U>)
            core.result.setValue<U>(call());
        else
            core.result.set(resultOf<U>(call));
    }

    using KeptValue = Kept<ValueArgument, DefersFor<F, ValueArgument>::value, 0>;
    using KeptFailure = Kept<FailureArgument, DefersFor<FailureCallable, FailureArgument>::value, 1>;
    static constexpr bool isTrivial =
        std::is_trivially_destructible_v<L> && std::is_trivially_destructible_v<KeptValue> && std::is_trivially_destructible_v<KeptFailure>;
    static constexpr Operations operationsOfLevel{L::onValue ? &runOnValue : nullptr, L::onFailure ? &runOnFailure : nullptr, isTrivial ? nullptr : &destroy,
                                                  sizeof(LevelStage)};

    [[no_unique_address]] L level_;
    [[no_unique_address]] KeptValue keptValue_;
    [[no_unique_address]] KeptFailure keptFailure_;
};

}  // namespace bine::inline v0::detail
