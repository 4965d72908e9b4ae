#pragma once
// Steps: work in small portions, written as a coroutine that yields between them; for a Cooperator.
//
//     bine::Steps Index::addAll(std::vector<std::string> files) {
//         for (const auto& file : files) {
//             add(file);
//             co_yield {};                 // others may have a turn
//         }
//         co_yield save();                 // a Deferred: goes on when that has fired
//     }
//
// The body begins with the first step. One thread. What is named by a reference, a pointer or a view among the parameters must outlive it, and so must a lambda
// with captures, unless cooperate() is given the lambda itself. Cost: one allocation, of the frame.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"

namespace bine::inline v0 {

class [[nodiscard]] Steps {
public:
    class promise_type;

    Steps(Steps&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    Steps& operator=(Steps&& other) noexcept {
        const Steps old(std::exchange(frame_, std::exchange(other.frame_, nullptr)));
        return *this;
    }
    /// What has not been done is not done any more: the frame is unwound where it stands.
    ~Steps() {
        if (frame_) frame_.destroy();
    }

    /// For whoever runs them: does one step. False if it was the last, as it also is if it throws, which is what the body threw. `wait` is set if a Deferred
    /// was yielded, for which the next step has to wait.
    inline bool next(std::optional<Deferred<>>& wait);

private:
    explicit Steps(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

    std::coroutine_handle<promise_type> frame_;  // null: moved away
};

class Steps::promise_type {
public:
    promise_type() noexcept {}

    /// What co_yield {} yields.
    class Nothing {
    public:
        Nothing() noexcept {}
    };

    Steps get_return_object() noexcept { return Steps(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept { ended_ = true; }
    // Not thrown on: there are compilers that destroy the frame's variables twice then.
    void unhandled_exception() {
        ended_ = true;
        failure_ = detail::caughtFailure();
    }

    std::suspend_always yield_value(Nothing) noexcept { return {}; }
    template <class T>
    std::suspend_always yield_value(Deferred<T>&& deferred) {
        if constexpr (std::is_void_v<T>)
            wait_.emplace(std::move(deferred));
        else
            wait_.emplace(std::move(deferred).addCallback([](auto&&...) {}));
        return {};
    }
    /// Uses it up.
    template <class T>
    std::suspend_always yield_value(Deferred<T>& deferred) {
        return yield_value(std::move(deferred));
    }
    template <class T>
    void yield_value(NamedDeferred<T>&&) = delete;  // name it first: auto d = f([captures] { ... }); co_yield d;

    template <class X>
    std::suspend_never await_transform(X&&) noexcept {
        static_assert(std::is_void_v<X>, "Steps yield what they wait for: co_yield f(); to co_await, write a coroutine that returns a Deferred");
        return {};
    }

private:
    friend class Steps;

    std::optional<Deferred<>> wait_;
    Failure failure_;
    bool ended_ = false;
};

inline bool Steps::next(std::optional<Deferred<>>& wait) {
    if (!frame_ || frame_.promise().ended_) return false;
    frame_.resume();
    promise_type& promise = frame_.promise();
    if (promise.wait_) {
        wait.emplace(std::move(*promise.wait_));
        promise.wait_.reset();
    }
    if (promise.failure_) promise.failure_.raiseException();
    return !promise.ended_;
}

}  // namespace bine::inline v0
