#pragma once
// Function: a callable that is moved, never copied; what callbacks are kept in.
//
// Callables of up to 32 bytes that move without throwing and need no stricter alignment than a pointer are stored inline, others in one allocation.
// A Function belongs to whoever holds it; any thread may hold one, one at a time. Calling an empty one throws std::bad_function_call. Trap: a Function
// that is replaced while it runs destroys the callable under its own feet; move it into a local before the call if the callee can get at it.

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "bine/log/export.h"

namespace bine::inline v0 {

template <class Signature>
class Function;

namespace detail {

[[noreturn]] BINE_EXPORT void throwEmptyFunction();

template <class F>
concept Nullable = std::is_pointer_v<F> || std::is_member_pointer_v<F> || requires(const F& f) {
    f == nullptr;
    static_cast<bool>(f);
};

}  // namespace detail

template <class R, class... A>
class Function<R(A...)> {
    static constexpr std::size_t inlineSize = 32;

public:
    Function() noexcept = default;
    Function(std::nullptr_t) noexcept {}
    Function(Function&& other) noexcept { take(other); }

    /// Anything callable with A... whose result converts to R. A null pointer or an empty function object gives an empty Function.
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, Function> && std::is_invocable_r_v<R, std::decay_t<F>&, A...>)
    Function(F&& f) {
        using Callable = std::decay_t<F>;
        if constexpr (detail::Nullable<Callable> && !std::is_function_v<std::remove_reference_t<F>>)
            if (f == nullptr) return;
        if constexpr (isInline<Callable>)
            ::new (static_cast<void*>(storage_)) Callable(std::forward<F>(f));
        else
            ::new (static_cast<void*>(storage_)) Callable*(new Callable(std::forward<F>(f)));
        operations_ = &operationsOf<Callable>;
    }

    /// What was held before dies last: its destructor may use this Function again.
    Function& operator=(Function&& other) noexcept {
        if (this != &other) {
            Function dying(std::move(*this));
            take(other);
        }
        return *this;
    }
    Function& operator=(std::nullptr_t) noexcept {
        Function dying(std::move(*this));
        return *this;
    }
    ~Function() {
        if (operations_) operations_->destroy(storage_);
    }

    explicit operator bool() const noexcept { return operations_ != nullptr; }
    friend bool operator==(const Function& f, std::nullptr_t) noexcept { return !f.operations_; }

    R operator()(A... arguments) {
        if (!operations_) detail::throwEmptyFunction();
        return operations_->call(storage_, std::forward<A>(arguments)...);
    }

private:
    struct Operations {
        R (*call)(void*, A&&...);
        void (*relocate)(void* to, void* from) noexcept;
        void (*destroy)(void*) noexcept;
    };

    template <class F>
    static constexpr bool isInline =
        sizeof(F) <= inlineSize && alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;

    template <class F>
    static F& callable(void* storage) noexcept {
        if constexpr (isInline<F>)
            return *std::launder(static_cast<F*>(storage));
        else
            return **std::launder(static_cast<F**>(storage));
    }
    template <class F>
    static R call(void* storage, A&&... arguments) {
        if constexpr (std::is_member_pointer_v<F>)
            return callMember(callable<F>(storage), std::forward<A>(arguments)...);
        else if constexpr (std::is_void_v<R>)
            static_cast<void>(callable<F>(storage)(std::forward<A>(arguments)...));
        else
            return callable<F>(storage)(std::forward<A>(arguments)...);
    }
    template <class M, class Object, class... Rest>
    static R callMember(M member, Object&& object, Rest&&... rest) {
        auto& target = [&]() -> auto& {
            if constexpr (std::is_pointer_v<std::remove_cvref_t<Object>>)
                return *object;
            else
                return object;
        }();
        if constexpr (std::is_void_v<R>)
            static_cast<void>((target.*member)(std::forward<Rest>(rest)...));
        else
            return (target.*member)(std::forward<Rest>(rest)...);
    }
    template <class F>
    static void relocate(void* to, void* from) noexcept {
        if constexpr (isInline<F>) {
            F& old = callable<F>(from);
            ::new (to) F(std::move(old));
            old.~F();
        } else {
            ::new (to) F*(&callable<F>(from));
        }
    }
    template <class F>
    static void destroy(void* storage) noexcept {
        if constexpr (isInline<F>)
            callable<F>(storage).~F();
        else
            delete &callable<F>(storage);
    }
    template <class F>
    static constexpr Operations operationsOf{&call<F>, &relocate<F>, &destroy<F>};

    void take(Function& other) noexcept {
        operations_ = std::exchange(other.operations_, nullptr);
        if (operations_) operations_->relocate(storage_, other.storage_);
    }

    const Operations* operations_ = nullptr;
    alignas(void*) std::byte storage_[inlineSize];
};

}  // namespace bine::inline v0
