#pragma once
// Result<T>: a value, or the Failure that came instead.
//
// A plain value type: move-only if T is. T may be void. Any thread, as T allows. Cost: T and one pointer.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <exception>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "bine/defer/failure.h"

namespace bine::inline v0 {

template <class T = void>
class Result {
    static_assert(!std::is_reference_v<T> && !std::is_same_v<T, Failure> && !std::is_same_v<T, std::exception_ptr>,
                  "a Result holds a plain value: no reference, no Failure and no exception_ptr");

public:
    template <class U = T>
        requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
                 !std::is_same_v<std::remove_cvref_t<U>, Failure>)
    Result(U&& value) {
        std::construct_at(std::addressof(value_), std::forward<U>(value));
    }
    /// From a Failure, or from any exception. An empty Failure counts as a NoCurrentExceptionError.
    template <class F>
        requires(std::is_convertible_v<F, Failure> && (std::is_same_v<std::remove_cvref_t<F>, Failure> || !std::is_convertible_v<F, T>))
    Result(F&& failure) : failure_(Failure(std::forward<F>(failure)).orNoException()) {}

    Result(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : failure_(other.failure_) {
        if (isValue()) std::construct_at(std::addressof(value_), std::move(other.value_));
    }
    Result(const Result& other)
        requires std::copy_constructible<T>
        : failure_(other.failure_) {
        if (isValue()) std::construct_at(std::addressof(value_), other.value_);
    }
    Result& operator=(Result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
        destroyValue();
        failure_ = Failure();
        if (other.isValue()) {
            // Should the move throw, what is left is a failure and no value.
            if constexpr (!std::is_nothrow_move_constructible_v<T>) failure_ = Failure().orNoException();
            std::construct_at(std::addressof(value_), std::move(other.value_));
            failure_ = Failure();
        } else {
            failure_ = other.failure_;  // kept there: without it `other` would destroy a value that it has not
        }
        return *this;
    }
    ~Result() { destroyValue(); }

    bool isValue() const noexcept { return !failure_; }
    bool isFailure() const noexcept { return static_cast<bool>(failure_); }

    /// The value; throws the exception of the failure if there is none.
    T& value() & { return checked(), value_; }
    const T& value() const& { return checked(), value_; }
    T&& value() && { return checked(), std::move(value_); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return std::addressof(value()); }
    const T* operator->() const { return std::addressof(value()); }

    /// The failure; throws std::logic_error if there is none.
    const Failure& failure() const {
        if (!failure_) throw std::logic_error("Result::failure(): there is a value");
        return failure_;
    }

private:
    void checked() const {
        if (failure_) failure_.raiseException();
    }
    void destroyValue() noexcept {
        if (isValue()) std::destroy_at(std::addressof(value_));
    }

    Failure failure_;  // empty: there is a value
    union {
        T value_;
    };
};

template <>
class Result<void> {
public:
    Result() noexcept = default;
    template <class F>
        requires std::is_convertible_v<F, Failure>
    Result(F&& failure) : failure_(Failure(std::forward<F>(failure)).orNoException()) {}

    bool isValue() const noexcept { return !failure_; }
    bool isFailure() const noexcept { return static_cast<bool>(failure_); }
    void value() const {
        if (failure_) failure_.raiseException();
    }
    void operator*() const { value(); }
    const Failure& failure() const {
        if (!failure_) throw std::logic_error("Result::failure(): there is a value");
        return failure_;
    }

private:
    Failure failure_;
};

namespace detail {
template <class R>
inline constexpr bool isResult = false;
template <class T>
inline constexpr bool isResult<Result<T>> = true;
}  // namespace detail

}  // namespace bine::inline v0
