#pragma once
// Coroutines: any function that returns a Deferred<T> may be one. Included by deferred.h.
//
// The body runs at once, up to its first co_await of something that has no result yet; later it is resumed by the loop that runs the chain it waits for,
// with the log prefix of its start. Awaiting a result that is there does not suspend. A failure is thrown at the co_await. co_await std::move(d) and
// co_await f() consume; co_await d takes the result and leaves d with nothing. cancel() goes to what is awaited. An owner's death ends what is awaited too, but
// for a d that is no variable of the coroutine: that goes on. Cost: one allocation, of the frame with its Core; awaiting costs none.
//
// Trap: parameters are copied into the frame, but what a reference, a pointer or a string_view parameter names is not; the same for a lambda's
// captures, unless the lambda is a callback of a Deferred: these live as long as needed.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include "bine/defer/core.h"
#include "bine/defer/deferred.h"
#include "bine/defer/mistakes.h"
#include "bine/log/context.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

class AwaiterBase;
template <class T>
class Awaiter;

class BINE_EXPORT PromiseBase {
public:
    PromiseBase(const PromiseBase&) = delete;
    PromiseBase& operator=(const PromiseBase&) = delete;

    static void* operator new(std::size_t size) { return Core::newFrame(size); }
    static void operator delete(void* frame, std::size_t) noexcept { Core::deleteFrame(frame); }

    /// The body is run as a loop runs it, from within its first suspension: what comes after it happens there too, the frame's end included.
    class Start {
    public:
        explicit Start(Core& core) noexcept : core_(core) {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>) const { core_.start(); }
        void await_resume() const noexcept {}

    private:
        Core& core_;
    };
    Start initial_suspend() noexcept { return Start(*core_); }
    std::suspend_always final_suspend() noexcept {
        core_->bodyEnds();
        return {};
    }
    void unhandled_exception();

    template <class U>
    Awaiter<U> await_transform(Deferred<U>&& deferred, std::source_location where = std::source_location::current()) noexcept {
        return Awaiter<U>(*this, deferred, false, where);
    }
    template <class U>
    Awaiter<U> await_transform(Deferred<U>& deferred, std::source_location where = std::source_location::current()) noexcept {
        return Awaiter<U>(*this, deferred, true, where);
    }
    template <class U>
    Awaiter<U> await_transform(NamedDeferred<U>& deferred, std::source_location where = std::source_location::current()) noexcept {
        return Awaiter<U>(*this, deferred, true, where);
    }
    template <class U>
    Awaiter<U> await_transform(NamedDeferred<U>&& deferred, std::source_location where = std::source_location::current()) noexcept {
        static_assert(accepted<U>, "co_await: GCC 12 destroys the captures of this lambda twice: give the Deferred a name: auto d = f([captures] { ... }); co_await d;");
        return Awaiter<U>(*this, deferred, false, where);
    }
    template <class X>
        requires(!IsDeferred<std::remove_cvref_t<X>>::value)
    std::suspend_never await_transform(X&&) noexcept {
        if constexpr (!std::is_same_v<std::remove_cvref_t<X>, Refused>)
            static_assert(accepted<X>, "co_await: a coroutine that returns a Deferred awaits only Deferreds: to let time pass, write co_await bine::deferLater(clock, 1s)");
        return {};
    }

    Core& core() const noexcept { return *core_; }
    const LogContext& context() const noexcept { return context_; }
    /// Throws it here, and knows it again should it leave the body.
    [[noreturn]] void raise(Failure failure, const std::source_location& where);

protected:
    explicit PromiseBase(void* frame) noexcept;
    ~PromiseBase() = default;

private:
    friend class AwaiterBase;

    Core* core_;
    AwaiterBase* awaiter_ = nullptr;  // has suspended, and not taken its result yet
    LogContext context_;
    Failure raised_;
};

/// What co_await makes of a Deferred. Several may be at work in one expression, and a compiler may let all of them suspend before it asks any for what it
/// got: then each keeps its own.
class AwaiterBase {
public:
    AwaiterBase(const AwaiterBase&) = delete;
    AwaiterBase& operator=(const AwaiterBase&) = delete;

protected:
    explicit AwaiterBase(PromiseBase& promise) noexcept : promise_(promise) {}
    ~AwaiterBase() {
        if (promise_.awaiter_ != this) return;
        promise_.awaiter_ = nullptr;
        core().result.clear();  // nobody asked: another one in the expression threw
    }
    void suspends() {
        if (promise_.awaiter_) promise_.awaiter_->keep();
        promise_.awaiter_ = this;
    }
    /// True if the result is in the Core, and not kept here.
    bool resumes() noexcept { return promise_.awaiter_ == this && (promise_.awaiter_ = nullptr, true); }
    virtual void keep() = 0;
    Core& core() const noexcept { return promise_.core(); }

    PromiseBase& promise_;
};

template <class T>
class Awaiter final : private AwaiterBase {
public:
    Awaiter(PromiseBase& promise, Deferred<T>& deferred, bool keepsHandle, std::source_location where) noexcept
        : AwaiterBase(promise), deferred_(deferred), where_(where), keepsHandle_(keepsHandle) {}

    bool await_ready() const { return deferred_.readyForAwait(); }
    void await_suspend(std::coroutine_handle<>) {
        suspends();
        suspended_ = true;
        const Core::Handle handle = keepsHandle_ ? core().whoHas(&deferred_) : Core::Handle::given;
        core().await(deferred_.coreForAwait(keepsHandle_), handle, !std::is_void_v<T>);
    }
    T await_resume() {
        Result<T> result = take();
        if (result.isFailure()) promise_.raise(result.failure(), where_);
        if constexpr (!std::is_void_v<T>) return *std::move(result);
    }

private:
    Result<T> take() {
        if (!suspended_) return deferred_.takeForAwait(keepsHandle_);
        if (resumes()) return core().result.template takeResult<T>();
        return std::move(*kept_);
    }
    void keep() override { kept_ = std::make_unique<Result<T>>(core().result.template takeResult<T>()); }

    Deferred<T>& deferred_;
    std::unique_ptr<Result<T>> kept_;
    std::source_location where_;
    bool keepsHandle_;
    bool suspended_ = false;
};

template <class T>
class PromiseOf : public PromiseBase {
protected:
    using PromiseBase::PromiseBase;

public:
    Deferred<T> get_return_object(std::source_location where = std::source_location::current()) noexcept {
        core().setCreated(where);
        core().retain();
        core().giveHandle();
        return Deferred<T>(core());
    }
};

template <class T>
class Promise final : public PromiseOf<T> {
public:
    Promise() noexcept : PromiseOf<T>(std::coroutine_handle<Promise>::from_promise(*this).address()) {}

    template <class U = T>
        requires(std::is_convertible_v<U, Result<T>> && !IsDeferred<std::remove_cvref_t<U>>::value)
    void return_value(U&& value) {
        this->core().result.set(Result<T>(std::forward<U>(value)));
    }
    /// Refused in words.
    template <class U>
        requires(!std::is_convertible_v<U, Result<T>> || IsDeferred<std::remove_cvref_t<U>>::value)
    void return_value(U&&) {
        if constexpr (IsDeferred<std::remove_cvref_t<U>>::value)
            static_assert(accepted<U>, "co_return: a Deferred is no result: write co_return co_await std::move(d);");
        else
            static_assert(accepted<U>, "co_return: this is no value of the type that the Deferred carries: a Deferred<int> takes an int, a Failure or a Result<int>");
    }
};

template <>
class Promise<void> final : public PromiseOf<void> {
public:
    Promise() noexcept : PromiseOf<void>(std::coroutine_handle<Promise>::from_promise(*this).address()) {}
    void return_void() noexcept { core().result.setVoid(); }
};

}  // namespace bine::inline v0::detail
