#pragma once
// Deferred<T> and Resolver<T>: a result that comes later; the consumer's end and the producer's end.
//
//     bine::Resolver<int> answer;                    // the producer's: callback(), errback()
//     bine::Deferred<int> d = answer.deferred();     // the consumer's: addCallback(), cancel(), co_await
//
// Both belong to the thread that made them. Callbacks run synchronously: inside callback(), or inside addCallback() if the result is there. Handles are
// moved, not copied; dropping one cancels nothing, and a failure that nobody handled is logged as critical when its consumer is gone. Cost: a result that is
// there allocates nothing, a chain that waits makes one allocation.

#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "bine/base/text_traits.h"
#include "bine/defer/clock.h"
#include "bine/defer/core.h"
#include "bine/defer/deferred_ref.h"
#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/defer/fwd.h"
#include "bine/defer/level.h"
#include "bine/defer/mistakes.h"
#include "bine/defer/owner.h"
#include "bine/defer/result.h"
#include "bine/defer/timeout.h"

namespace bine::inline v0 {

namespace detail {
template <class T>
class Awaiter;
template <class T>
class Promise;
template <class T>
class PromiseOf;
template <class T, class F>
class CancellerStage;

template <class T>
inline constexpr bool isText = std::is_convertible_v<T, std::string_view> || std::is_convertible_v<T, std::string>;
template <class Text, class T>
Text textAs(const T& text) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>)
        return TextTraits<Text>::make(text);
    else
        return TextTraits<Text>::make(std::string(text));
}
}  // namespace detail

template <class T>
class Deferred {
    static_assert(!std::is_reference_v<T>, "a Deferred carries a value: take a pointer, not a reference");
    static_assert(!detail::IsDeferred<T>::value, "there is no Deferred of a Deferred: return the inner one from a callback, and the outer one waits for it");
    static_assert(!std::is_same_v<T, Failure> && !std::is_same_v<T, std::exception_ptr>, "a failure is no value: use errback() or fail(), or throw");

public:
    using value_type = T;
    using promise_type = detail::Promise<T>;

    /// Empty: for a member, until a Deferred is moved in. A moved-from one is empty, too. Every use but cancel(), called(), describe() and the test below
    /// throws std::logic_error.
    Deferred() noexcept : nothing_() {}
    Deferred(Deferred&& other) noexcept { take(other); }
    Deferred& operator=(Deferred&& other) noexcept {
        if (this != &other) {
            Deferred old(std::move(*this));
            take(other);
        }
        return *this;
    }
    ~Deferred() { drop(); }
    Deferred(const Deferred&) = delete;
    Deferred& operator=(const Deferred&) = delete;
    /// Refused in words.
    Deferred(Deferred&) { static_assert(detail::accepted<T>, "a Deferred has one holder and is not copied: hand it on with std::move(d)"); }
    Deferred& operator=(Deferred&) {
        static_assert(detail::accepted<T>, "a Deferred has one holder and is not copied: hand it on with std::move(d)");
        return *this;
    }

    /// False if it is empty.
    explicit operator bool() const noexcept { return state_ != State::empty; }

    // --- Callbacks. On an rvalue the type may change: std::move(d).addCallback(f) returns the next Deferred. On an lvalue the type stays, and it returns d.
    // Further arguments come after the result. Callables may return a value, nothing, a Result, a Failure or a Deferred (which is waited for), or throw.

    /// f gets the value, or ignores it. Failures pass.
    template <class F, class... A>
    auto addCallback(F&& f, A&&... rest) && {
        using C = detail::CallableOf<F, A...>;
        if constexpr (detail::takes<C, T>) {
            return std::move(*this).template level<NextOf<C, T>, C, detail::PassOn, C>(
                detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...), detail::PassOn());
        } else {
            static_assert(detail::accepted<C>,
                          "addCallback: this callback does not take the result: for a Deferred<int> write [](int value) { ... }, for a Deferred<> write [] { ... }; "
                          "further arguments come after the result");
            return detail::Refused();
        }
    }
    /// f gets the Failure. Values pass. What f returns leads back to T.
    template <class F, class... A>
    auto addErrback(F&& f, A&&... rest) && {
        using C = detail::CallableOf<F, A...>;
        if constexpr (!detail::takes<C, Failure>) {
            static_assert(detail::accepted<C>,
                          "addErrback: this errback does not take a Failure: write [](const bine::Failure& failure) { ... }; failure.trap<E>() selects exceptions");
            return detail::Refused();
        } else if constexpr (detail::leadsTo<detail::ReturnOf<C, Failure>, T>) {
            return std::move(*this).template level<T, detail::PassOn, C, C>(
                detail::PassOn(), detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...));
        } else if constexpr (std::is_void_v<detail::ReturnOf<C, Failure>>) {
            static_assert(detail::accepted<C>,
                          "addErrback: this errback returns nothing, but the Deferred carries a value here: end it with a value of that type, or return failure;");
            return detail::Refused();
        } else {
            static_assert(detail::accepted<C>,
                          "addErrback: this errback returns another type than the Deferred carries here: return a value of that type, or return failure;");
            return detail::Refused();
        }
    }
    /// f gets either, as a Result<T>.
    template <class F, class... A>
    auto addBoth(F&& f, A&&... rest) && {
        using C = detail::CallableOf<F, A...>;
        if constexpr (detail::takes<C, Result<T>>) {
            return std::move(*this).template level<NextOf<C, Result<T>>, C, detail::SameFunction, C>(
                detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...), detail::SameFunction());
        } else {
            static_assert(detail::accepted<C>, "addBoth: this callback does not take a Result: for a Deferred<int> write [](bine::Result<int> result) { ... }");
            return detail::Refused();
        }
    }
    /// One level: g does not see what f throws.
    template <class F, class G>
    auto addCallbacks(F&& f, G&& g) && {
        using C = std::decay_t<F>;
        using E = std::decay_t<G>;
        if constexpr (!detail::takes<C, T>)
            return std::move(*this).addCallback(std::forward<F>(f));  // refused there
        else if constexpr (!isErrback<E, NextOf<C, T>>)
            return Deferred<NextOf<C, T>>().addErrback(std::forward<G>(g));  // refused there
        else
            return std::move(*this).template level<NextOf<C, T>, C, E, F, G>(std::forward<F>(f), std::forward<G>(g));
    }
    template <class F>
    auto addCallbacks(F&& f) && {
        return std::move(*this).addCallback(std::forward<F>(f));
    }

    template <class F, class... A>
    Deferred& addCallback(F&& f, A&&... rest) & {
        using C = detail::CallableOf<F, A...>;
        if constexpr (!detail::takes<C, T>)
            std::move(*this).addCallback(std::forward<F>(f), std::forward<A>(rest)...);  // refused there
        else if constexpr (keepsType<NextOf<C, T>>())
            add<C, detail::PassOn>(detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...), detail::PassOn());
        return *this;
    }
    template <class F, class... A>
    Deferred& addErrback(F&& f, A&&... rest) & {
        using C = detail::CallableOf<F, A...>;
        if constexpr (isErrback<C, T>)
            add<detail::PassOn, C>(detail::PassOn(), detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...));
        else
            std::move(*this).addErrback(std::forward<F>(f), std::forward<A>(rest)...);  // refused there
        return *this;
    }
    template <class F, class... A>
    Deferred& addBoth(F&& f, A&&... rest) & {
        using C = detail::CallableOf<F, A...>;
        if constexpr (!detail::takes<C, Result<T>>)
            std::move(*this).addBoth(std::forward<F>(f), std::forward<A>(rest)...);  // refused there
        else if constexpr (keepsType<NextOf<C, Result<T>>>())
            add<C, detail::SameFunction>(detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...), detail::SameFunction());
        return *this;
    }
    template <class F, class G>
    Deferred& addCallbacks(F&& f, G&& g) & {
        using C = std::decay_t<F>;
        using E = std::decay_t<G>;
        if constexpr (!detail::takes<C, T>)
            std::move(*this).addCallback(std::forward<F>(f));  // refused there
        else if constexpr (!isErrback<E, T>)
            std::move(*this).addErrback(std::forward<G>(g));  // refused there
        else if constexpr (keepsType<NextOf<C, T>>())
            add<C, E>(std::forward<F>(f), std::forward<G>(g));
        return *this;
    }
    template <class F>
    Deferred& addCallbacks(F&& f) & {
        return addCallback(std::forward<F>(f));
    }

    /// The text as that of a toolkit: `answer.as<QString>()` with "bine/qtreactor/qt_text.h". For results that convert to std::string_view or std::string.
    template <class Text>
    Deferred<Text> as() && {
        static_assert(TextResult<Text>, "as: this type has no TextTraits that make it: for QString and QByteArray include \"bine/qtreactor/qt_text.h\"");
        static_assert(detail::isText<T>, "as: the result is no text: this is for Deferred<std::string> and the like");
        if constexpr (TextResult<Text> && detail::isText<T>)
            return std::move(*this).addCallback([](const auto& text) { return detail::textAs<Text>(text); });
        else
            return {};
    }
    /// Refused in words.
    template <class Text>
    Deferred<Text> as() & {
        static_assert(detail::accepted<Text>, "as: on a Deferred with a name, write std::move(d).as<QString>(): the type changes");
        return {};
    }

    /// Fires `target` with the result, value or failure; what goes on here is nothing. If `target` has been fired already, AlreadyCalledError goes on here.
    Deferred<void> chainDeferred(Resolver<T> target) && {
        if (!target) detail::throwMisuse("chainDeferred: the Resolver is empty: it was moved away, or nothing was moved into it yet");
        detail::Core& own = core();
        checkNotTaken();
        state_ = State::empty;
        Deferred<void> next(own);
        own.addForward(*std::exchange(target.core_, nullptr));
        return next;
    }

    // --- The end of a chain whose result does not matter.

    /// Drops the result, value or failure, without a word.
    void ignoreFailures() && {
        std::move(*this).addBoth([](const Result<T>&) {});
    }
    /// Drops a value; logs a failure as an error, with `what` in front ("Cannot save the window's position") and the place of this call.
    void logFailures(std::string what = {}, std::source_location where = std::source_location::current()) && {
        std::move(*this).addBoth([what = std::move(what), where](const Result<T>& result) {
            if (result.isFailure()) detail::logFailure(result.failure(), what, where);
        });
    }

    // --- Control.

    /// Stops the operation: its canceller runs, or that of what it waits for at last. Unless the canceller fires something better, CancelledError comes. No
    /// effect once there is a result.
    void cancel() {
        if (state_ == State::core) core_->cancel();
    }
    /// Cancels this if what has been added so far has no result when `timeout` is over. The CancelledError of that, also as the FirstError or FailureGroup of a
    /// list, is TimeoutError from here on; another failure, or a value that a canceller or an errback found, passes. What is added later has no deadline.
    Deferred addTimeout(Delay timeout, Clock& clock) && {
        addDeadline(timeout, clock, detail::CancelledIsTimeout());
        return std::move(*this);
    }
    Deferred& addTimeout(Delay timeout, Clock& clock) & {
        addDeadline(timeout, clock, detail::CancelledIsTimeout());
        return *this;
    }
    /// The same; onTimeoutCancel(Result<T>, timeout) says what the result is when the time was over. It is not asked otherwise.
    template <class F>
    detail::DeferredFor<T, F> addTimeout(Delay timeout, Clock& clock, F&& onTimeoutCancel) && {
        addTimeout(timeout, clock, std::forward<F>(onTimeoutCancel));
        return std::move(*this);
    }
    template <class F>
    Deferred& addTimeout(Delay timeout, Clock& clock, F&& onTimeoutCancel) & {
        if constexpr (detail::translates<std::decay_t<F>, T>)
            addDeadline(timeout, clock, std::forward<F>(onTimeoutCancel));
        else
            static_assert(detail::accepted<F>,
                          "addTimeout: this function does not fit: for a Deferred<int> write [](bine::Result<int> result, bine::Duration timeout) { return result; }");
        return *this;
    }
    /// Callbacks wait until as many unpause() calls have come.
    void pause() { core().pause(); }
    void unpause() {
        if (state_ == State::core) core_->unpause();
    }
    /// pause(), until what is returned dies.
    [[nodiscard]] Hold hold() { return Hold(ref()); }
    /// Whether it was fired. Its callbacks may still wait for something.
    bool called() const noexcept { return state_ != State::core || core_->called(); }
    /// For people: unfired, its result, or what it waits for.
    std::string describe() const {
        switch (state_) {
        case State::core: return core_->describe();
        case State::value: return std::is_void_v<T> ? "fired with nothing" : "fired with a value";
        case State::failure: return "failed with " + failure_.getBriefTraceback();
        case State::taken: return "its result was taken";
        case State::empty: break;
        }
        return "empty";
    }
    DeferredRef ref() { return DeferredRef(core()); }

    /// When `owner` dies, the whole chain ends, what was added before and what is added later: nothing of it runs any more, what it waits for is cancelled at
    /// its source. Where in the chain this is said makes no difference.
    template <class X>
    Deferred ownedBy(X& owner) && {
        core().own(detail::hookOf(owner));
        return std::move(*this);
    }
    template <class X>
    Deferred ownedBy(X* owner) && {
        return std::move(*this).ownedBy(detail::ownerAt(owner));
    }
    template <class X>
    Deferred& ownedBy(X& owner) & {
        core().own(detail::hookOf(owner));
        return *this;
    }
    template <class X>
    Deferred& ownedBy(X* owner) & {
        return ownedBy(detail::ownerAt(owner));
    }

    // --- For the rooms of this library.

    /// Takes a reference, and the role of the handle.
    explicit Deferred(detail::Core& core) noexcept : core_(&core), state_(State::core) {}
    explicit Deferred(Result<T>&& result) : nothing_() { fill(std::move(result)); }
    /// The chain of `core`, a stage of which returned this, goes on with the result.
    void becomeResultOf(detail::Core& core) && {
        if (state_ == State::core) {
            checkNotTaken();
            state_ = State::empty;
            core.waitFor(*core_);
        } else {
            core.result.set(takeInline());
        }
    }

private:
    template <class>
    friend class Deferred;
    template <class>
    friend class detail::Awaiter;
    enum class State : std::uint8_t { empty, core, value, failure, taken };  // taken: by an await
    struct Nothing {};
    using Value = std::conditional_t<std::is_void_v<T>, Nothing, T>;

    /// What a chain carries after C has been called with an Argument.
    template <class C, class Argument>
    using NextOf = typename detail::NextType<detail::ReturnOf<C, Argument>, T>::type;
    template <class C, class U>
    static constexpr bool isErrback = requires { requires detail::takes<C, Failure> && detail::leadsTo<detail::ReturnOf<C, Failure>, U>; };
    template <class U>
    static constexpr bool keepsType() {
        static_assert(std::is_same_v<U, T>,
                      "addCallback: on a Deferred with a name, the callback returns the type that the Deferred carries: to change the type, write "
                      "auto next = std::move(d).addCallback(...);");
        return std::is_same_v<U, T>;
    }

    template <class F, class G, class ForF, class ForG>
    Deferred& add(ForF&& f, ForG&& g) {
        detail::Core& own = core();
        checkNotTaken();
        own.template add<detail::LevelStage<T, T, F, G>>(std::forward<ForF>(f), std::forward<ForG>(g));
        return *this;
    }

    /// A result that is there needs no Core, unless a callable that returns a Deferred has to stay somewhere.
    template <class U, class F, class G, class... Callables, class ForF, class ForG>
    detail::DeferredFor<U, Callables...> level(ForF&& f, ForG&& g) && {
        using L = detail::Level<T, U, F, G>;
        constexpr bool both = std::is_same_v<G, detail::SameFunction>;
        if (state_ == State::value) {
            if constexpr (!L::onValue) {
                return Deferred<U>(takeInline());
            } else if constexpr (!detail::DefersFor<F, typename L::ValueArgument>::value) {
                F callable(std::forward<ForF>(f));
                return Deferred<U>::ofCall([&]() -> decltype(auto) {
                    if constexpr (both)
                        return detail::callWith(callable, takeInline());
                    else if constexpr (std::is_void_v<T>)
                        return state_ = State::empty, std::invoke(callable);
                    else
                        return detail::callWith(callable, takeValue());
                });
            }
        } else if (state_ == State::failure) {
            using FailureCallable = std::conditional_t<both, F, G>;
            if constexpr (!L::onFailure) {
                return Deferred<U>(Result<U>(takeFailure()));
            } else if constexpr (!detail::DefersFor<FailureCallable, typename L::FailureArgument>::value) {
                FailureCallable callable([&]() -> decltype(auto) {
                    if constexpr (both)
                        return std::forward<ForF>(f);
                    else
                        return std::forward<ForG>(g);
                }());
                const Failure before = failure_;
                return Deferred<U>::ofCall([&]() -> decltype(auto) { return detail::callWith(callable, typename L::FailureArgument(takeFailure())); }, before);
            }
        }
        detail::Core& own = core();
        checkNotTaken();
        state_ = State::empty;
        Deferred<U> next(own);
        own.template add<detail::LevelStage<T, U, F, G>>(std::forward<ForF>(f), std::forward<ForG>(g));
        return next;
    }
    template <class Call>
    static Deferred ofCall(Call&& call, const Failure& before = {}) {
        try {
            return Deferred(detail::resultOf<T>(call));
        } catch (...) {
            Failure failure = detail::caughtFailure();
            return Deferred(Result<T>(before && failure.sameException(before) ? before : std::move(failure)));
        }
    }

    template <class F>
    void addDeadline(Delay timeout, Clock& clock, F&& translate) {
        if (state_ != State::core && state_ != State::empty) return;
        DelayedCall call = clock.callLater(timeout, [ref = ref()]() mutable { ref.cancel(); });
        addBoth(detail::Deadline<T, std::decay_t<F>>(std::move(call), timeout.value(), std::forward<F>(translate)));
    }

    void checkNotTaken() const {
        if constexpr (!std::is_void_v<T>)
            if (core_->isTaken()) detail::throwMisuse("the result of this Deferred has been taken by co_await, or will be");
    }
    /// Its Core, made if there is none yet.
    detail::Core& core() { return state_ == State::core ? *core_ : makeCore(); }
    detail::Core& makeCore() {
        if (state_ == State::empty) detail::throwMisuse("this Deferred is empty: it was moved away, or nothing was moved into it yet");
        detail::Core* const made = detail::Core::make({});
        made->giveHandle();
        if (state_ == State::taken)
            made->becomeTaken();
        else
            made->result.set(takeInline());
        made->fire({});
        core_ = made;
        state_ = State::core;
        return *made;
    }

    void fill(Result<T>&& result) {
        if (result.isFailure()) {
            std::construct_at(std::addressof(failure_), result.failure());
            state_ = State::failure;
            return;
        }
        if constexpr (std::is_void_v<T>)
            std::construct_at(std::addressof(value_));
        else
            std::construct_at(std::addressof(value_), *std::move(result));
        state_ = State::value;
    }
    Failure takeFailure() noexcept {
        Failure failure = std::move(failure_);
        std::destroy_at(std::addressof(failure_));
        state_ = State::empty;
        return failure;
    }
    Value takeValue() {
        Value value = std::move(value_);
        std::destroy_at(std::addressof(value_));
        state_ = State::empty;
        return value;
    }
    Result<T> takeInline() {
        if (state_ == State::empty || state_ == State::taken) detail::throwMisuse("this Deferred is empty: it was moved away, its result was taken, or nothing was moved into it yet");
        if (state_ == State::failure) return takeFailure();
        if constexpr (std::is_void_v<T>) {
            state_ = State::empty;
            return {};
        } else {
            return takeValue();
        }
    }
    void take(Deferred& other) noexcept {
        state_ = std::exchange(other.state_, State::empty);
        if (state_ == State::core) {
            core_ = other.core_;
        } else if (state_ == State::value) {
            std::construct_at(std::addressof(value_), std::move(other.value_));
            std::destroy_at(std::addressof(other.value_));
        } else if (state_ == State::failure) {
            std::construct_at(std::addressof(failure_), std::move(other.failure_));
            std::destroy_at(std::addressof(other.failure_));
        }
    }
    void drop() noexcept {
        const State state = std::exchange(state_, State::empty);
        if (state == State::core) {
            core_->dropHandle();
        } else if (state == State::value) {
            std::destroy_at(std::addressof(value_));
        } else if (state == State::failure) {
            detail::reportUnhandled(failure_, {});
            std::destroy_at(std::addressof(failure_));
        }
    }

    // --- For co_await.

    bool readyForAwait() const {
        if (state_ == State::empty || state_ == State::taken) detail::throwMisuse("co_await: this Deferred is empty: it was moved away, its result was taken, or nothing was moved into it yet");
        if (state_ != State::core) return true;
        checkNotTaken();
        return core_->isFinal();
    }
    Result<T> takeForAwait(bool keepsHandle) {
        if (state_ == State::core) return core_->takeFinal<T>();
        Result<T> result = takeInline();
        if (keepsHandle) leaveNothing();
        return result;
    }
    void leaveNothing() {
        if constexpr (std::is_void_v<T>)
            fill({});
        else
            state_ = State::taken;
    }
    detail::Core& coreForAwait(bool keepsHandle) noexcept {
        if (!keepsHandle) state_ = State::empty;
        return *core_;
    }

    union {
        Nothing nothing_;
        detail::Core* core_;
        Value value_;
        Failure failure_;
    };
    State state_ = State::empty;
};

/// What was made with a callable that GCC before 13 would destroy twice were it awaited in the same expression. A Deferred in all other respects.
template <class T>
class NamedDeferred : public Deferred<T> {
public:
    NamedDeferred(Deferred<T>&& deferred) noexcept : Deferred<T>(std::move(deferred)) {}
    NamedDeferred(NamedDeferred&&) noexcept = default;
    NamedDeferred& operator=(NamedDeferred&&) noexcept = default;
    /// Refused in words.
    NamedDeferred(NamedDeferred& other) : Deferred<T>(other) {}

    using Deferred<T>::addCallback;
    using Deferred<T>::addErrback;
    using Deferred<T>::addBoth;
    using Deferred<T>::addCallbacks;
    using Deferred<T>::addTimeout;
    using Deferred<T>::ownedBy;

    template <class F, class... A>
    auto addCallback(F&& f, A&&... rest) && {
        return named(std::move(*this).plain().addCallback(std::forward<F>(f), std::forward<A>(rest)...));
    }
    template <class F, class... A>
    auto addErrback(F&& f, A&&... rest) && {
        return named(std::move(*this).plain().addErrback(std::forward<F>(f), std::forward<A>(rest)...));
    }
    template <class F, class... A>
    auto addBoth(F&& f, A&&... rest) && {
        return named(std::move(*this).plain().addBoth(std::forward<F>(f), std::forward<A>(rest)...));
    }
    template <class F, class... G>
    auto addCallbacks(F&& f, G&&... g) && {
        return named(std::move(*this).plain().addCallbacks(std::forward<F>(f), std::forward<G>(g)...));
    }
    template <class Text>
    NamedDeferred<Text> as() && {
        return named(std::move(*this).plain().template as<Text>());
    }
    NamedDeferred<void> chainDeferred(Resolver<T> target) && { return std::move(*this).plain().chainDeferred(std::move(target)); }
    template <class... F>
    NamedDeferred addTimeout(Delay timeout, Clock& clock, F&&... onTimeoutCancel) && {
        return std::move(*this).plain().addTimeout(timeout, clock, std::forward<F>(onTimeoutCancel)...);
    }
    template <class X>
    NamedDeferred ownedBy(X& owner) && {
        return std::move(*this).plain().ownedBy(owner);
    }
    template <class X>
    NamedDeferred ownedBy(X* owner) && {
        return std::move(*this).plain().ownedBy(owner);
    }

    /// name it first: auto d = f([captures] { ... }); co_await d;
    void operator co_await() && = delete;

private:
    Deferred<T>&& plain() && noexcept { return std::move(*this); }
    template <class U>
    static NamedDeferred<U> named(Deferred<U>&& deferred) noexcept {
        return std::move(deferred);
    }
};

/// A Deferred that has its value already.
template <class T>
Deferred<std::decay_t<T>> succeed(T&& value) {
    return Deferred<std::decay_t<T>>(Result<std::decay_t<T>>(std::forward<T>(value)));
}
inline Deferred<> succeed() { return Deferred<>(Result<>()); }

/// A Deferred that has failed already: fail<int>(NoSuchUser(name)).
template <class T = void>
Deferred<T> fail(Failure failure, std::source_location where = std::source_location::current()) {
    failure = std::move(failure).orNoException();
    failure.addPlace(detail::Passage::made, where);
    return Deferred<T>(Result<T>(std::move(failure)));
}

}  // namespace bine::inline v0

#include "bine/defer/coroutine.h"
#include "bine/defer/resolver.h"
