#pragma once
// Deferred<T> and Resolver<T>: a result that comes later, its consumer's end and its producer's end.
//
//     bine::Resolver<int> answer;                    // the producer: answer.callback(42)
//     bine::Deferred<int> d = answer.deferred();     // the consumer: d.addCallback(...), d.cancel(), co_await d
//
// One thread: that of the loop. Callbacks run synchronously, inside callback(), or inside addCallback() if the result is there. Handles are moved, not copied; dropping
// one cancels nothing. Cost: nothing is allocated for a result that is there, one block for a whole chain that waits.

#include <cxxabi.h>

#include <concepts>
#include <functional>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "bine/defer/core.h"
#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/defer/function.h"
#include "bine/defer/fwd.h"
#include "bine/defer/owner.h"
#include "bine/defer/result.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

namespace detail {

// GCC before 13 destroys temporaries of closure type twice if their expression contains a co_await: there, what was made with such a closure must be named first.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool kNameItFirst = true;
#else
inline constexpr bool kNameItFirst = false;
#endif

/// The Deferred that a function returns which was given these callables.
template <class U, class... Callables>
using DeferredFor = std::conditional_t<kNameItFirst && !(std::is_trivially_destructible_v<std::decay_t<Callables>> && ...), NamedDeferred<U>, Deferred<U>>;

template <class R>
struct IsResult : std::false_type {};
template <class T>
struct IsResult<Result<T>> : std::true_type {};

/// What a chain carries after a callback that returns R, if it carried T before.
template <class R, class T>
struct Next {
    using type = std::remove_cvref_t<R>;
};
template <class T>
struct Next<void, T> {
    using type = void;
};
template <class T>
struct Next<Failure, T> {
    using type = T;
};
template <class U, class T>
struct Next<Deferred<U>, T> {
    using type = U;
};
template <class U, class T>
struct Next<NamedDeferred<U>, T> {
    using type = U;
};
template <class U, class T>
struct Next<Result<U>, T> {
    using type = U;
};

/// f with further arguments after the result.
template <class F, class... A>
struct Bound {
    F f;
    std::tuple<A...> rest;
    template <class... V>
        requires std::is_invocable_v<F&, V..., A&...>
    decltype(auto) operator()(V&&... values) {
        return std::apply([&](A&... more) -> decltype(auto) { return std::invoke(f, std::forward<V>(values)..., more...); }, rest);
    }
};
template <class F, class... A>
auto bind(F&& f, A&&... rest) {
    if constexpr (sizeof...(A) == 0)
        return std::decay_t<F>(std::forward<F>(f));
    else
        return Bound<std::decay_t<F>, std::decay_t<A>...>{std::forward<F>(f), {std::forward<A>(rest)...}};
}
template <class F, class... A>
using BoundOf = decltype(detail::bind(std::declval<F>(), std::declval<A>()...));

/// The side of a level that lets everything pass.
struct PassOn {};

template <class F, class T>
inline constexpr bool takesValue = std::is_invocable_v<F&, T&&>;
template <class F>
inline constexpr bool takesValue<F, void> = std::is_invocable_v<F&>;

// A callback may take the value, or ignore it.
template <class T, class F>
decltype(auto) callWithValue(F& f, Slot& slot) {
    if constexpr (std::is_void_v<T>) {
        slot.clear();
        return std::invoke(f);
    } else if constexpr (std::is_invocable_v<F&, T&&>) {
        T value = std::move(slot.value<T>());
        slot.clear();
        return std::invoke(f, std::move(value));
    } else if constexpr (std::is_invocable_v<F&, T&>) {
        T value = std::move(slot.value<T>());
        slot.clear();
        return std::invoke(f, value);
    } else {
        static_assert(std::is_invocable_v<F&>, "addCallback: the callback takes neither the value that the Deferred carries, nor nothing");
        slot.clear();
        return std::invoke(f);
    }
}
template <class F>
decltype(auto) callWithFailure(F& f, Slot& slot) {
    Failure failure = std::move(slot.failure());
    slot.clear();
    if constexpr (std::is_invocable_v<F&, Failure&&>) {
        return std::invoke(f, std::move(failure));
    } else if constexpr (std::is_invocable_v<F&, Failure&>) {
        return std::invoke(f, failure);
    } else {
        static_assert(std::is_invocable_v<F&>, "addErrback: the errback takes neither a Failure nor nothing");
        return std::invoke(f);
    }
}
template <class T, class F>
decltype(auto) callWithResult(F& f, Slot& slot) {
    if (slot.kind() == Slot::Kind::failure) {
        Result<T> result(std::move(slot.failure()));
        slot.clear();
        return std::invoke(f, std::move(result));
    }
    if constexpr (std::is_void_v<T>) {
        slot.clear();
        return std::invoke(f, Result<void>());
    } else {
        Result<T> result(std::move(slot.value<T>()));
        slot.clear();
        return std::invoke(f, std::move(result));
    }
}

template <class T, class F>
using ValueCallReturns = decltype(callWithValue<T>(std::declval<F&>(), std::declval<Slot&>()));
template <class F>
using FailureCallReturns = decltype(callWithFailure(std::declval<F&>(), std::declval<Slot&>()));
template <class T, class F>
using ResultCallReturns = decltype(callWithResult<T>(std::declval<F&>(), std::declval<Slot&>()));

/// Puts what `call` returns or throws into the slot; a Deferred is given to `later`.
template <class U, class Call, class Later>
void settle(Slot& slot, Call&& call, Later&& later) {
    using R = decltype(call());
    const Failure incoming = slot.kind() == Slot::Kind::failure ? slot.failure() : Failure();
    try {
        if constexpr (std::is_void_v<R>) {
            call();
            slot.emplace<void>();
        } else if constexpr (IsDeferred<std::remove_cvref_t<R>>::value) {
            later(call());
        } else if constexpr (IsResult<std::remove_cvref_t<R>>::value) {
            auto result = call();
            if (result.isFailure())
                slot.setFailure(result.failure());
            else if constexpr (std::is_void_v<U>)
                slot.emplace<void>();
            else
                slot.emplace<U>(std::move(result).value());
        } else if constexpr (std::is_same_v<std::remove_cvref_t<R>, Failure>) {
            slot.setFailure(call());
        } else {
            static_assert(std::is_convertible_v<R, U>, "an errback must lead back to the type that the Deferred carries (or throw, or return the Failure)");
            slot.emplace<U>(call());
        }
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        slot.setFailure(caughtAfter(incoming));
    }
}

/// A level with a callback and an errback, of which either may be PassOn.
template <class T, class U, class F, class G>
struct Level final : Stage {
    Level(F&& f, G&& g) : f(std::move(f)), g(std::move(g)) {}
    void run(Core& core, RunList&) override { apply(core.result, [&](auto&& deferred) { std::move(deferred).continueIn(core); }); }
    template <class Later>
    void apply(Slot& slot, Later&& later) {
        if (slot.kind() == Slot::Kind::failure) {
            if constexpr (!std::is_same_v<G, PassOn>) settle<U>(slot, [&]() -> decltype(auto) { return callWithFailure(g, slot); }, later);
        } else {
            if constexpr (!std::is_same_v<F, PassOn>) settle<U>(slot, [&]() -> decltype(auto) { return callWithValue<T>(f, slot); }, later);
        }
    }
    [[no_unique_address]] F f;
    [[no_unique_address]] G g;
};

/// A level with one function for both.
template <class T, class U, class F>
struct BothLevel final : Stage {
    explicit BothLevel(F&& f) : f(std::move(f)) {}
    void run(Core& core, RunList&) override { apply(core.result, [&](auto&& deferred) { std::move(deferred).continueIn(core); }); }
    template <class Later>
    void apply(Slot& slot, Later&& later) {
        settle<U>(slot, [&]() -> decltype(auto) { return callWithResult<T>(f, slot); }, later);
    }
    [[no_unique_address]] F f;
};

/// The end of a chain that hands its result to another's Resolver.
template <class T>
struct ForwardLevel final : Stage {
    explicit ForwardLevel(Resolver<T>&& target) : target(std::move(target)) {}
    void run(Core& core, RunList& list) override;
    Resolver<T> target;
};

BINE_EXPORT void reportUnhandled(const Failure& failure) noexcept;
[[noreturn]] BINE_EXPORT void throwMovedAway();
[[noreturn]] BINE_EXPORT void throwAlreadyGiven();

template <class T>
class Awaiter;
class PromiseBase;
template <class T>
class Promise;

}  // namespace detail

/// A weak, typeless reference to a Deferred: for Cancel buttons, bridges and inspectors. It keeps neither the chain waiting nor its result.
class BINE_EXPORT DeferredRef {
public:
    DeferredRef() = default;
    explicit DeferredRef(detail::Core* core) noexcept : core_(core) {
        if (core_) core_->ref();
    }
    DeferredRef(const DeferredRef& other) noexcept : DeferredRef(other.core_) {}
    DeferredRef(DeferredRef&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    DeferredRef& operator=(DeferredRef other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~DeferredRef() {
        if (core_) core_->unref();
    }
    void cancel() {
        if (core_) core_->cancel();
    }
    void pause() {
        if (core_) core_->pause();
    }
    void unpause() {
        if (core_) core_->unpause();
    }
    std::string describe() const { return core_ ? core_->describe() : "nothing"; }
    explicit operator bool() const noexcept { return core_ != nullptr; }

private:
    detail::Core* core_ = nullptr;
};

template <class T>
class Deferred {
    static_assert(!std::is_reference_v<T>, "a Deferred carries a value: use a pointer instead of a reference");
    static_assert(!detail::IsDeferred<T>::value, "a Deferred of a Deferred does not exist: return the inner one from a callback, and the outer waits for it");
    static_assert(!std::is_same_v<T, Failure> && !std::is_same_v<T, std::exception_ptr>, "a failure is not a value: use errback(), or throw");

public:
    using value_type = T;
    using promise_type = detail::Promise<T>;

    Deferred(Deferred&& other) noexcept { take(other); }
    Deferred& operator=(Deferred&& other) noexcept {
        if (this != &other) {
            drop();
            take(other);
        }
        return *this;
    }
    ~Deferred() { drop(); }

    // --- Callbacks. On an rvalue the type may change: std::move(d).addCallback(...) returns the next Deferred. On an lvalue it stays. Further arguments come after the result.

    /// f gets the value; a failure passes by. f returns a value, nothing, a Deferred, a Result or a Failure, or throws.
    template <class F, class... A>
    auto addCallback(F&& f, A&&... rest) && {
        using Callable = detail::BoundOf<F, A...>;
        using U = typename detail::Next<std::remove_cvref_t<detail::ValueCallReturns<T, Callable>>, T>::type;
        return std::move(*this).template level<U, detail::Level<T, U, Callable, detail::PassOn>, detail::ValueCallReturns<T, Callable>, Callable>(
            detail::bind(std::forward<F>(f), std::forward<A>(rest)...), detail::PassOn());
    }
    /// f gets the Failure; a value passes by. What f returns leads back to T.
    template <class F, class... A>
    auto addErrback(F&& f, A&&... rest) && {
        using Callable = detail::BoundOf<F, A...>;
        checkErrback<detail::FailureCallReturns<Callable>, T>();
        return std::move(*this).template level<T, detail::Level<T, T, detail::PassOn, Callable>, detail::FailureCallReturns<Callable>, Callable>(
            detail::PassOn(), detail::bind(std::forward<F>(f), std::forward<A>(rest)...));
    }
    /// One level: an exception from f is not seen by g.
    template <class F, class G>
    auto addCallbacks(F&& f, G&& g) && {
        using U = typename detail::Next<std::remove_cvref_t<detail::ValueCallReturns<T, std::decay_t<F>>>, T>::type;
        using R = detail::ValueCallReturns<T, std::decay_t<F>>;
        using E = detail::FailureCallReturns<std::decay_t<G>>;
        checkErrback<E, U>();
        using Either = std::conditional_t<detail::IsDeferred<std::remove_cvref_t<R>>::value, R, E>;
        return std::move(*this).template level<U, detail::Level<T, U, std::decay_t<F>, std::decay_t<G>>, Either, F, G>(std::decay_t<F>(std::forward<F>(f)),
                                                                                                                     std::decay_t<G>(std::forward<G>(g)));
    }
    /// f gets a Result<T>: the value or the Failure.
    template <class F, class... A>
    auto addBoth(F&& f, A&&... rest) && {
        using Callable = detail::BoundOf<F, A...>;
        using R = detail::ResultCallReturns<T, Callable>;
        using U = typename detail::Next<std::remove_cvref_t<R>, T>::type;
        return std::move(*this).template level<U, detail::BothLevel<T, U, Callable>, R, Callable>(detail::bind(std::forward<F>(f), std::forward<A>(rest)...));
    }

    template <class F, class... A>
    Deferred& addCallback(F&& f, A&&... rest) & {
        using Callable = detail::BoundOf<F, A...>;
        using U = typename detail::Next<std::remove_cvref_t<detail::ValueCallReturns<T, Callable>>, T>::type;
        checkSameType<U>();
        promote().template add<detail::Level<T, T, Callable, detail::PassOn>>(detail::bind(std::forward<F>(f), std::forward<A>(rest)...), detail::PassOn());
        return *this;
    }
    template <class F, class... A>
    Deferred& addErrback(F&& f, A&&... rest) & {
        using Callable = detail::BoundOf<F, A...>;
        checkErrback<detail::FailureCallReturns<Callable>, T>();
        promote().template add<detail::Level<T, T, detail::PassOn, Callable>>(detail::PassOn(), detail::bind(std::forward<F>(f), std::forward<A>(rest)...));
        return *this;
    }
    template <class F, class G>
    Deferred& addCallbacks(F&& f, G&& g) & {
        checkSameType<typename detail::Next<std::remove_cvref_t<detail::ValueCallReturns<T, std::decay_t<F>>>, T>::type>();
        checkErrback<detail::FailureCallReturns<std::decay_t<G>>, T>();
        promote().template add<detail::Level<T, T, std::decay_t<F>, std::decay_t<G>>>(std::decay_t<F>(std::forward<F>(f)), std::decay_t<G>(std::forward<G>(g)));
        return *this;
    }
    template <class F, class... A>
    Deferred& addBoth(F&& f, A&&... rest) & {
        using Callable = detail::BoundOf<F, A...>;
        checkSameType<typename detail::Next<std::remove_cvref_t<detail::ResultCallReturns<T, Callable>>, T>::type>();
        promote().template add<detail::BothLevel<T, T, Callable>>(detail::bind(std::forward<F>(f), std::forward<A>(rest)...));
        return *this;
    }

    /// Hands the result on to another's producer end; what is left here carries nothing.
    Deferred<void> chainDeferred(Resolver<T> target) && {
        Deferred<void> next(&promote());
        state_ = State::empty;
        next.core_->template add<detail::ForwardLevel<T>>(std::move(target));
        return next;
    }

    // --- Control.

    /// Stops the operation: its canceller runs, and CancelledError comes out unless the canceller fired something better. No effect once fired.
    void cancel() {
        if (state_ == State::core) core_->cancel();
    }
    /// Callbacks wait until as many unpause() calls have followed.
    void pause() { promote().pause(); }
    void unpause() {
        if (state_ == State::core) core_->unpause();
    }
    /// Whether it has been fired; its callbacks may still wait.
    bool called() const noexcept { return state_ == State::core ? core_->called() : state_ != State::empty; }
    std::string describe() const {
        switch (state_) {
        case State::core: return core_->describe();
        case State::value: return "fired with a value";
        case State::failure: return "failed with " + failure().getBriefTraceback();
        case State::empty: break;
        }
        return "moved away";
    }
    DeferredRef ref() { return DeferredRef(&promote()); }

    /// The whole chain, what was added and what will be, ends when `owner` dies: nothing of it runs afterwards.
    template <class X>
    Deferred ownedBy(X& owner) && {
        promote().own(detail::hookOf(owner));
        return std::move(*this);
    }
    template <class X>
    Deferred ownedBy(X* owner) && {
        return std::move(*this).ownedBy(*owner);
    }
    template <class X>
    Deferred& ownedBy(X& owner) & {
        promote().own(detail::hookOf(owner));
        return *this;
    }
    template <class X>
    Deferred& ownedBy(X* owner) & {
        return ownedBy(*owner);
    }

    // co_await waits in a coroutine that returns a Deferred: the value, or the exception thrown. An lvalue is left empty-handed: its result is taken.

    // --- For the engine.

    explicit Deferred(detail::Core* core) noexcept : state_(State::core) { core_ = core; }  // takes the reference and the consumer's role
    static Deferred settled(detail::Slot& slot) {
        Deferred d;
        d.fill(slot);
        return d;
    }
    /// `core` goes on with the result of this one.
    void continueIn(detail::Core& core) && {
        if (state_ == State::core) {
            state_ = State::empty;
            core.waitFor(*core_);
        } else {
            moveInto(core.result);
        }
    }

private:
    template <class>
    friend class Deferred;
    template <class>
    friend class detail::Awaiter;
    enum class State : std::uint8_t { empty, core, value, failure };
    struct Nothing {};
    using Value = std::conditional_t<std::is_void_v<T>, Nothing, T>;

    Deferred() noexcept {}

    Value& inlineValue() noexcept { return value_; }
    const Failure& failure() const noexcept { return failure_; }

    void fill(detail::Slot& slot) {
        if (slot.kind() == detail::Slot::Kind::failure) {
            std::construct_at(std::addressof(failure_), std::move(slot.failure()));
            state_ = State::failure;
        } else {
            if constexpr (std::is_void_v<T>)
                std::construct_at(std::addressof(value_));
            else
                std::construct_at(std::addressof(value_), std::move(slot.value<T>()));
            state_ = State::value;
        }
        slot.clear();
    }
    void moveInto(detail::Slot& slot) {
        const State state = std::exchange(state_, State::empty);
        if (state == State::failure) {
            slot.setFailure(std::move(failure_));
            std::destroy_at(std::addressof(failure_));
        } else if (state == State::value) {
            if constexpr (std::is_void_v<T>)
                slot.template emplace<void>();
            else
                slot.template emplace<T>(std::move(value_));
            std::destroy_at(std::addressof(value_));
        } else {
            detail::throwMovedAway();
        }
    }
    void take(Deferred& other) noexcept {
        state_ = std::exchange(other.state_, State::empty);
        switch (state_) {
        case State::core: core_ = other.core_; break;
        case State::value:
            std::construct_at(std::addressof(value_), std::move(other.value_));
            std::destroy_at(std::addressof(other.value_));
            break;
        case State::failure:
            std::construct_at(std::addressof(failure_), std::move(other.failure_));
            std::destroy_at(std::addressof(other.failure_));
            break;
        case State::empty: break;
        }
    }
    void drop() noexcept {
        switch (std::exchange(state_, State::empty)) {
        case State::core: core_->releaseByHandle(); break;
        case State::value: std::destroy_at(std::addressof(value_)); break;
        case State::failure:
            detail::reportUnhandled(failure_);
            std::destroy_at(std::addressof(failure_));
            break;
        case State::empty: break;
        }
    }
    /// The Core of this handle, made if there is none yet.
    detail::Core& promote() {
        if (state_ == State::core) return *core_;
        if (state_ == State::empty) detail::throwMovedAway();
        detail::Core* core = detail::Core::make({});
        core->beginFiring({});
        core->holdByHandle();
        moveInto(core->result);
        state_ = State::core;
        core_ = core;
        return *core;
    }
    template <class U, class L, class R, class... Callables, class... A>
    detail::DeferredFor<U, Callables...> level(A&&... arguments) && {
        // A result that is there goes through the level without a Core; but a callable that returns a Deferred must live on, at one place, until that is fired.
        if constexpr (!detail::IsDeferred<std::remove_cvref_t<R>>::value) {
            if (state_ == State::value || state_ == State::failure) {
                detail::Slot slot;
                moveInto(slot);
                L level(std::forward<A>(arguments)...);
                level.apply(slot, [](auto&&) {});
                return Deferred<U>::settled(slot);
            }
        }
        detail::Core& core = promote();
        state_ = State::empty;
        Deferred<U> next(&core);
        core.template add<L>(std::forward<A>(arguments)...);
        return next;
    }
    template <class U>
    static constexpr void checkSameType() {
        static_assert(std::is_same_v<U, T>, "on an lvalue a callback must return the type that the Deferred carries: use std::move(d).addCallback(...), which returns the next Deferred");
    }
    template <class R, class U>
    static constexpr void checkErrback() {
        using Returned = typename detail::Next<std::remove_cvref_t<R>, U>::type;
        static_assert(std::is_same_v<Returned, U> || (std::is_convertible_v<Returned, U> && !detail::IsDeferred<std::remove_cvref_t<R>>::value),
                      "an errback must lead back to the type that the Deferred carries: return such a value, throw, or return the Failure");
    }

    union {
        detail::Core* core_;
        Value value_;
        Failure failure_;
    };
    State state_ = State::empty;
};

/// What was made with a callable that GCC before 13 would destroy twice if it were awaited in the same expression. Otherwise a Deferred.
template <class T>
class NamedDeferred : public Deferred<T> {
public:
    NamedDeferred(Deferred<T>&& deferred) noexcept : Deferred<T>(std::move(deferred)) {}
    using Deferred<T>::addCallback;
    using Deferred<T>::addErrback;
    using Deferred<T>::addCallbacks;
    using Deferred<T>::addBoth;
    using Deferred<T>::ownedBy;

    template <class F, class... A>
    auto addCallback(F&& f, A&&... rest) && {
        return named(std::move(base()).addCallback(std::forward<F>(f), std::forward<A>(rest)...));
    }
    template <class F, class... A>
    auto addErrback(F&& f, A&&... rest) && {
        return named(std::move(base()).addErrback(std::forward<F>(f), std::forward<A>(rest)...));
    }
    template <class F, class G>
    auto addCallbacks(F&& f, G&& g) && {
        return named(std::move(base()).addCallbacks(std::forward<F>(f), std::forward<G>(g)));
    }
    template <class F, class... A>
    auto addBoth(F&& f, A&&... rest) && {
        return named(std::move(base()).addBoth(std::forward<F>(f), std::forward<A>(rest)...));
    }
    template <class X>
    NamedDeferred ownedBy(X& owner) && {
        return std::move(base()).ownedBy(owner);
    }
    template <class X>
    NamedDeferred ownedBy(X* owner) && {
        return std::move(base()).ownedBy(owner);
    }

private:
    Deferred<T>& base() noexcept { return *this; }
    template <class U>
    static NamedDeferred<U> named(Deferred<U>&& deferred) {
        return std::move(deferred);
    }
};

/// The producer's end. Moved, not copied. If it dies before it has fired, whoever waits gets AbandonedError.
template <class T>
class Resolver {
public:
    explicit Resolver(std::source_location created = std::source_location::current()) : core_(detail::Core::make(created)) { core_->holdByResolver(); }
    /// `canceller` runs at most once, when the operation is cancelled: it stops the work, and may fire the Resolver& that it gets. One that does not gives CancelledError.
    template <class F>
        requires(std::is_invocable_v<std::decay_t<F>&, Resolver&> || std::is_invocable_v<std::decay_t<F>&>)
    explicit Resolver(F&& canceller, std::source_location created = std::source_location::current()) : Resolver(created) {
        core_->setCanceller([f = std::decay_t<F>(std::forward<F>(canceller))](detail::Core& core) mutable {
            if constexpr (std::is_invocable_v<std::decay_t<F>&, Resolver&>) {
                Resolver borrowed(core);
                std::invoke(f, borrowed);
            } else {
                std::invoke(f);
            }
        });
    }
    Resolver(Resolver&& other) noexcept : core_(std::exchange(other.core_, nullptr)), borrowed_(other.borrowed_), given_(other.given_) {}
    Resolver& operator=(Resolver&& other) noexcept {
        if (this != &other) {
            Resolver old(std::move(*this));  // dies last: it may abandon somebody
            core_ = std::exchange(other.core_, nullptr);
            borrowed_ = other.borrowed_;
            given_ = other.given_;
        }
        return *this;
    }
    ~Resolver() {
        if (!core_) return;
        if (borrowed_)
            core_->unref();
        else
            core_->resolverGone();
    }

    /// The consumer's end. Once: throws std::logic_error the second time.
    Deferred<T> deferred() {
        if (std::exchange(given_, true) || borrowed_ || !core_) detail::throwAlreadyGiven();
        core_->ref();
        core_->holdByHandle();
        return Deferred<T>(core_);
    }

    // --- Firing: runs the callbacks now. A second time throws AlreadyCalledError; after a cancel without canceller one firing is dropped silently.

    void callback(std::source_location where = std::source_location::current())
        requires std::is_void_v<T>
    {
        fire(where, [this] { core_->result.template emplace<void>(); });
    }
    template <class U = T>
        requires(!std::is_void_v<T> && std::is_convertible_v<U, T> && !detail::IsDeferred<std::remove_cvref_t<U>>::value &&
                 !std::is_same_v<std::remove_cvref_t<U>, Failure> && !detail::IsResult<std::remove_cvref_t<U>>::value)
    void callback(U&& value, std::source_location where = std::source_location::current()) {
        fire(where, [&] { core_->result.template emplace<T>(std::forward<U>(value)); });
    }
    void callback(Failure failure, std::source_location where = std::source_location::current()) { errback(std::move(failure), where); }
    void callback(Result<T> result, std::source_location where = std::source_location::current()) {
        if (result.isFailure()) return errback(result.failure(), where);
        if constexpr (std::is_void_v<T>)
            callback(where);
        else
            fire(where, [&] { core_->result.template emplace<T>(std::move(result).value()); });
    }
    /// Returning it from a callback is how a Deferred waits for another.
    template <class U>
    void callback(Deferred<U>, std::source_location = {}) = delete;
    void errback(Failure failure, std::source_location where = std::source_location::current()) {
        fire(where, [&] { core_->result.setFailure(std::move(failure)); });
    }
    /// With the exception that is being handled; NoCurrentExceptionError if there is none.
    void errback(std::source_location where = std::source_location::current()) { errback(Failure::current(), where); }

    /// Whether it was fired, or cancelled.
    bool called() const noexcept { return !core_ || core_->called(); }

private:
    template <class>
    friend struct detail::ForwardLevel;
    explicit Resolver(detail::Core& borrowed) noexcept : core_(&borrowed), borrowed_(true) { core_->ref(); }

    template <class Set>
    void fire(std::source_location where, Set&& set) {
        if (!core_) detail::throwMovedAway();
        switch (core_->beginFiring(where)) {
        case detail::Core::Firing::already: core_->throwAlreadyCalled();
        case detail::Core::Firing::swallow: return;
        case detail::Core::Firing::fire: break;
        }
        detail::Core* core = core_;  // this object may be destroyed by what runs now
        core->ref();
        try {
            set();
        } catch (...) {  // the value's constructor
            core->result.setFailure(detail::caughtFailure());
        }
        core->fired();
        core->unref();
    }

    detail::Core* core_;
    bool borrowed_ = false;
    bool given_ = false;
};

namespace detail {

// The target runs before the rest of this chain, as if its callback() had been called here; but from the list, so that the stack stays flat.
template <class T>
void ForwardLevel<T>::run(Core& core, RunList& list) {
    Core& next = *target.core_;
    switch (next.beginFiring({})) {
    case Core::Firing::already:
        core.result.setFailure(AlreadyCalledError());
        return;
    case Core::Firing::swallow: break;
    case Core::Firing::fire:
        next.result.takeFrom(core.result);
        list.push(core);
        next.prepareRun();
        list.push(next);
        break;
    }
    core.result.template emplace<void>();
}

template <class T>
class Awaiter {
public:
    Awaiter(Deferred<T>&& deferred, PromiseBase& promise, const std::source_location& where) noexcept
        : deferred_(std::move(deferred)), promise_(&promise), where_(where) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() {}

    bool await_ready() const noexcept { return deferred_.state_ != Deferred<T>::State::core || deferred_.core_->settled(); }
    template <std::derived_from<PromiseBase> P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
        if (Core::ofFrame(coroutine.address()).awaitFrom(*deferred_.core_)) return true;
        Slot slot;
        slot.setFailure(std::logic_error("a coroutine awaited a Deferred that waits for that coroutine"));
        deferred_ = Deferred<T>::settled(slot);
        return false;
    }
    T await_resume();

private:
    Deferred<T> deferred_;
    PromiseBase* promise_ = nullptr;
    std::source_location where_;
};

/// The end of a coroutine: its frame goes, the core, in the same block, lives on. It is a real suspension with an end out of line: a coroutine without one may be
/// given a frame on the caller's stack, where no core stands before it.
class FinalAwaiter {
public:
    explicit FinalAwaiter(Core& core) noexcept : core_(core) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) noexcept { core_.frameFinished(); }
    void await_resume() const noexcept {}

private:
    Core& core_;
};

class PromiseBase {
public:
    std::suspend_never initial_suspend() const noexcept { return {}; }
    void* operator new(std::size_t size) { return Core::newFrame(size); }
    void operator delete(void* frame) noexcept { Core::deleteFrame(frame); }

    template <class U>
    Awaiter<U> await_transform(Deferred<U>&& deferred, std::source_location where = std::source_location::current()) noexcept {
        return Awaiter<U>(std::move(deferred), *this, where);
    }
    template <class U>
    Awaiter<U> await_transform(Deferred<U>& deferred, std::source_location where = std::source_location::current()) noexcept {
        return Awaiter<U>(std::move(deferred), *this, where);
    }
    template <class U>
    Awaiter<U> await_transform(NamedDeferred<U>& deferred, std::source_location where = std::source_location::current()) noexcept {
        return Awaiter<U>(std::move(deferred), *this, where);
    }
    /// name it first: auto d = f([captures] {...}); co_await d;
    template <class U>
    Awaiter<U> await_transform(NamedDeferred<U>&& deferred) = delete;
    template <class X>
        requires(!IsDeferred<std::remove_cvref_t<X>>::value)
    void await_transform(X&&) {
        static_assert(IsDeferred<std::remove_cvref_t<X>>::value, "a coroutine that returns a Deferred can only await a Deferred");
    }

    /// Throws it; should it leave the coroutine, the places that it passed are not forgotten.
    [[noreturn]] void raise(Failure& failure, const std::source_location& where) {
        failure.addPlace(Passage::awaited, where);
        thrown_ = failure;
        failure.raiseException();
    }

protected:
    Failure thrown_;
};

template <class T>
T Awaiter<T>::await_resume() {
    Slot slot;
    if (deferred_.state_ == Deferred<T>::State::core)
        deferred_.core_->takeResult(slot);
    else
        deferred_.moveInto(slot);
    if (slot.kind() == Slot::Kind::failure) promise_->raise(slot.failure(), where_);
    if constexpr (!std::is_void_v<T>) return std::move(slot.value<T>());
}

template <class T, class Self>
class PromiseOf : public PromiseBase {
public:
    Deferred<T> get_return_object(std::source_location where = std::source_location::current()) {
        const auto handle = std::coroutine_handle<Self>::from_promise(static_cast<Self&>(*this));
        core_ = &Core::ofFrame(handle.address());
        core_->frameStarted(handle, where);
        core_->ref();
        core_->holdByHandle();
        return Deferred<T>(core_);
    }
    FinalAwaiter final_suspend() noexcept { return FinalAwaiter(*core_); }
    void unhandled_exception() noexcept { core_->result.setFailure(caughtAfter(thrown_)); }

protected:
    Core* core_ = nullptr;
};

template <class T>
class Promise : public PromiseOf<T, Promise<T>> {
public:
    template <class U = T>
        requires std::is_convertible_v<U, T>
    void return_value(U&& value) {
        this->core_->result.template emplace<T>(std::forward<U>(value));
    }
};
template <>
class Promise<void> : public PromiseOf<void, Promise<void>> {
public:
    void return_void() noexcept { core_->result.emplace<void>(); }
};

}  // namespace detail

/// A Deferred that has its value.
template <class T>
Deferred<std::decay_t<T>> succeed(T&& value) {
    detail::Slot slot;
    slot.emplace<std::decay_t<T>>(std::forward<T>(value));
    return Deferred<std::decay_t<T>>::settled(slot);
}
inline Deferred<void> succeed() {
    detail::Slot slot;
    slot.emplace<void>();
    return Deferred<void>::settled(slot);
}
/// A Deferred that has failed.
template <class T = void>
Deferred<T> fail(Failure failure, std::source_location where = std::source_location::current()) {
    failure.addPlace(detail::Passage::fired, where);
    detail::Slot slot;
    slot.setFailure(std::move(failure));
    return Deferred<T>::settled(slot);
}

}  // namespace bine::inline v0
