#pragma once
// Resolver<T>: the producer's end of a Deferred<T>. Included by deferred.h.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <cstddef>
#include <functional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "bine/defer/core.h"
#include "bine/defer/deferred.h"
#include "bine/defer/failure.h"
#include "bine/defer/result.h"

namespace bine::inline v0 {

/// The producer's end. Moved, not copied. If it dies without having fired, whoever waits gets AbandonedError, now.
template <class T>
class Resolver {
public:
    Resolver(std::source_location created = std::source_location::current()) : core_(detail::Core::make(created)) {}

    /// `canceller` is called with the Resolver (or without arguments) when the operation is cancelled, at most once: it stops the work and may fire; if it does
    /// not, CancelledError is fired. It is released as soon as this is fired. After a cancel with a canceller, a late firing throws AlreadyCalledError; after one
    /// without, it is dropped.
    template <class F>
        requires(std::is_invocable_v<std::decay_t<F>&, Resolver&> || std::is_invocable_v<std::decay_t<F>&>)
    explicit Resolver(F&& canceller, std::source_location created = std::source_location::current()) : Resolver(created) {
        core_->template setCanceller<detail::CancellerStage<T, std::decay_t<F>>>(std::forward<F>(canceller));
    }
    /// Empty: for a member, until a Resolver is moved in. A moved-from one is empty, too. deferred(), callback() and errback() of an empty one throw
    /// std::logic_error.
    Resolver(std::nullptr_t) noexcept : core_(nullptr) {}
    Resolver(Resolver&& other) noexcept : core_(std::exchange(other.core_, nullptr)), given_(other.given_) {}
    Resolver& operator=(Resolver&& other) noexcept {
        if (this != &other) {
            Resolver old(std::move(*this));  // dies last: it may abandon somebody
            core_ = std::exchange(other.core_, nullptr);
            given_ = other.given_;
        }
        return *this;
    }
    ~Resolver() {
        if (core_) core_->abandon();
    }
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    /// Refused in words.
    Resolver(Resolver&) : core_(nullptr) {
        static_assert(detail::accepted<T>, "a Resolver has one holder and is not copied: hand it on with std::move(resolver)");
    }

    /// False if it is empty.
    explicit operator bool() const noexcept { return core_ != nullptr; }

    /// The consumer's end; once. Throws std::logic_error after that. This place is where the Deferred was made, in all that is said of it.
    Deferred<T> deferred(std::source_location made = std::source_location::current()) {
        if (!core_) throwEmpty();
        if (given_) detail::throwMisuse("Resolver::deferred(): the Deferred has been given out before");
        given_ = true;
        core_->setCreated(made);
        core_->retain();
        core_->giveHandle();
        return Deferred<T>(*core_);
    }

    // --- Firing: runs the callbacks, now. A second time throws AlreadyCalledError.

    void callback(std::source_location where = std::source_location::current())
        requires std::is_void_v<T>
    {
        fire(where, [](detail::Slot& result) { result.setVoid(); });
    }
    template <class V = T>
        requires(!std::is_void_v<T> && std::is_convertible_v<V, T> && !std::is_same_v<std::remove_cvref_t<V>, Failure> &&
                 !detail::isResult<std::remove_cvref_t<V>> && !detail::IsDeferred<std::remove_cvref_t<V>>::value)
    void callback(V&& value, std::source_location where = std::source_location::current()) {
        fire(where, [&](detail::Slot& result) { result.setValue<T>(std::forward<V>(value)); });
    }
    void callback(Result<T> outcome, std::source_location where = std::source_location::current()) {
        fire(where, [&](detail::Slot& result) { result.set(std::move(outcome)); });
    }
    void callback(Failure failure, std::source_location where = std::source_location::current()) { errback(std::move(failure), where); }
    /// Refused in words.
    template <class V>
        requires(!std::is_convertible_v<V, T> && !std::is_convertible_v<V, Result<T>> && !std::is_convertible_v<V, Failure>)
    void callback(V&&, std::source_location = {}) {
        if constexpr (detail::IsDeferred<std::remove_cvref_t<V>>::value)
            static_assert(detail::accepted<V>, "callback: a Deferred is no result: write std::move(d).chainDeferred(std::move(resolver))");
        else if constexpr (std::is_void_v<T>)
            static_assert(detail::accepted<V>, "callback: a Resolver<> carries no value: write resolver.callback()");
        else
            static_assert(detail::accepted<V>, "callback: this is no value of the type that the Resolver carries: a Resolver<int> takes an int, a Failure or a Result<int>");
    }

    void errback(Failure failure, std::source_location where = std::source_location::current()) {
        fire(where, [&](detail::Slot& result) { result.setFailure(std::move(failure).orNoException()); });
    }
    /// With the exception being handled; outside of a catch block, with NoCurrentExceptionError.
    void errback(std::source_location where = std::source_location::current()) { errback(Failure::current(), where); }

    /// Whether it was fired, or cancelled; true if it is empty.
    bool called() const noexcept { return !core_ || core_->called(); }

private:
    template <class>
    friend class Deferred;
    template <class, class>
    friend class detail::CancellerStage;

    explicit Resolver(detail::Core& core) noexcept : core_(&core), given_(true) { core.retain(); }
    [[noreturn]] static void throwEmpty() { detail::throwMisuse("this Resolver is empty: it was moved away, or nothing was moved into it yet"); }

    template <class Set>
    void fire(std::source_location where, Set&& set) {
        if (!core_) throwEmpty();
        if (!core_->mayFire()) return;
        detail::Core& core = *core_;
        const detail::CoreRef pin(core);  // this object may die of what runs now
        try {
            set(core.result);
        } catch (...) {  // the value could not be made: whoever waits hears of it
            core.result.setFailure(detail::caughtFailure());
        }
        core.fire(where);
    }

    detail::Core* core_;
    bool given_ = false;
};

namespace detail {

template <class T, class F>
class CancellerStage final : public Stage {
public:
    template <class ForF>
    explicit CancellerStage(ForF&& f) : Stage(operationsOfCanceller), f_(std::forward<ForF>(f)) {}

private:
    static void run(Stage& stage, Core& core) {
        F& f = static_cast<CancellerStage&>(stage).f_;
        if constexpr (std::is_invocable_v<F&, Resolver<T>&>) {
            Resolver<T> view(core);
            std::invoke(f, view);
        } else {
            std::invoke(f);
        }
    }
    static void destroy(Stage& stage) noexcept { static_cast<CancellerStage&>(stage).~CancellerStage(); }
    static constexpr Operations operationsOfCanceller{&CancellerStage::run, nullptr, std::is_trivially_destructible_v<F> ? nullptr : &CancellerStage::destroy, sizeof(CancellerStage)};

    [[no_unique_address]] F f_;
};

}  // namespace detail

}  // namespace bine::inline v0
