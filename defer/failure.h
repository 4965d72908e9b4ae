#pragma once
// Failure: an exception that travels without being thrown, and the way it came.
//
// Copies share the exception; a Failure may go to another thread, and copies on several threads may be looked at at once. What it costs to
// make one: one allocation, no throw; the std::exception_ptr is made when somebody asks for it, once. check() and trap() are a dynamic_cast.
// The places it passed (where its Deferred was made, where that was fired, who awaited it) belong to each copy: noting one on a copy leaves the
// others as they were. A Failure keeps nothing alive but its exception and these places.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "bine/log/export.h"

namespace bine::inline v0 {
namespace detail {

/// How a place came into a Failure's trace.
enum class Passage : std::uint8_t { made, fired, passedTo, awaited };

struct Place {
    Passage passage = Passage::made;
    std::source_location where;
};

/// What the copies of a Failure share. Counted atomically.
class BINE_EXPORT FailureData {
public:
    static constexpr std::size_t mostPlaces = 64;  // the first 32 and the last 32

    /// With debugging on it keeps the stack.
    FailureData();
    FailureData(const FailureData&) = delete;
    FailureData& operator=(const FailureData&) = delete;
    virtual ~FailureData();

    /// The exception as what it nearly always is, or null.
    const std::exception* exception() const noexcept { return exception_; }
    /// Made once, under a lock if it has to be made.
    const std::exception_ptr& pointer() const;
    bool hasPointer() const noexcept { return hasPointer_.load(std::memory_order_acquire); }

    void retain() const noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() const noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
    bool isShared() const noexcept { return references_.load(std::memory_order_acquire) != 1; }

    void addPlace(Place place);
    /// In the order in which they were passed; `dropped` says how many are missing after the first half.
    std::vector<Place> places(std::size_t& dropped) const;
    /// The return addresses of where it was made, the innermost first; null if debugging was off.
    virtual const std::vector<void*>* stack() const noexcept { return stack_.get(); }

protected:
    struct WithoutStack {};
    explicit FailureData(WithoutStack) noexcept {}
    virtual std::exception_ptr makePointer() const = 0;
    void setPointer(std::exception_ptr pointer) noexcept;

    const std::exception* exception_ = nullptr;

private:
    friend class SharedFailureData;

    mutable std::atomic<std::uint32_t> references_{1};
    mutable std::atomic<bool> hasPointer_{false};
    mutable std::exception_ptr pointer_;
    std::uint32_t count_ = 0;  // places ever added
    Place first_[3];
    std::vector<Place> more_;
    std::unique_ptr<const std::vector<void*>> stack_;
};

/// An exception that was never thrown.
template <class E>
class HeldException final : public FailureData {
public:
    template <class U>
    explicit HeldException(U&& exception) : value_(std::forward<U>(exception)) {
        exception_ = &value_;
    }

private:
    std::exception_ptr makePointer() const override { return std::make_exception_ptr(value_); }
    E value_;
};

/// For exceptions that are passed by a reference to a base class: the one being handled if that is it.
BINE_EXPORT FailureData* handledException(const std::exception& exception);

}  // namespace detail

class BINE_EXPORT Failure {
public:
    /// Empty: no failure at all. Fired or asked, it counts as a NoCurrentExceptionError.
    Failure() noexcept = default;

    /// From an exception, which is copied or moved, not thrown.
    template <class E>
        requires(std::is_base_of_v<std::exception, std::remove_cvref_t<E>> && std::is_copy_constructible_v<std::remove_cvref_t<E>>)
    Failure(E&& exception) {
        using Exception = std::remove_cvref_t<E>;
        // catch (const std::exception& e) { return Failure(e); } would slice: take the whole one if it is at hand.
        if constexpr (!std::is_final_v<Exception>)
            if (typeid(exception) != typeid(Exception)) data_ = detail::handledException(exception);
        if (!data_) data_ = new detail::HeldException<Exception>(std::forward<E>(exception));
    }

    /// From a thrown exception of any type. A null pointer gives a NoCurrentExceptionError.
    Failure(std::exception_ptr exception);

    /// The exception being handled. Outside of a catch block: a NoCurrentExceptionError.
    static Failure current();

    Failure(const Failure& other) noexcept : data_(other.data_) {
        if (data_) data_->retain();
    }
    Failure(Failure&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    Failure& operator=(Failure other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }
    ~Failure() {
        if (data_) data_->release();
    }

    explicit operator bool() const noexcept { return data_ != nullptr; }
    /// The same failure (not: an equal one).
    friend bool operator==(const Failure& a, const Failure& b) noexcept { return a.sameException(b); }

    /// The exception if it is an E or derived from it, else null. Valid as long as a copy of this Failure lives.
    template <class E>
    const E* check() const {
        static_assert(std::is_same_v<E, std::remove_cvref_t<E>>, "name the exception's type without const or &");
        if (!data_) return nullptr;
        const std::exception* exception = data_->exception();
        if constexpr (std::is_same_v<E, std::exception>)
            return exception;
        else if constexpr (std::is_class_v<E>) {
            if (exception) return dynamic_cast<const E*>(exception);
            return checkThrown<E>();
        } else {
            return exception ? nullptr : checkThrown<E>();
        }
    }
    /// Whether it is one of these.
    template <class E1, class E2, class... Es>
    bool check() const {
        return check<E1>() || check<E2>() || (... || (check<Es>() != nullptr));
    }

    /// Returns the exception if it is an E. Else throws it: in an errback, any other failure goes on to the next.
    template <class E>
    const E& trap() const {
        if (const E* exception = check<E>()) return *exception;
        raiseException();
    }
    template <class E1, class E2, class... Es>
    void trap() const {
        if (!check<E1, E2, Es...>()) raiseException();
    }

    [[noreturn]] void raiseException() const;
    std::exception_ptr exceptionPtr() const;
    /// Null if it is not derived from std::exception.
    const std::exception* exception() const noexcept { return data_ ? data_->exception() : nullptr; }

    /// The exception's text. None of the functions below throws what the exception's own functions throw.
    std::string getErrorMessage() const;
    /// A sentence for the person who uses the program: Error::userMessage(), or that something unexpected happened.
    std::string userMessage() const;
    /// The exception's class, readable.
    std::string typeName() const;
    /// "TimeoutError: timed out after 5 s", on one line.
    std::string getBriefTraceback() const;
    /// The same and a line for each place it passed, and the stack, if debugging was on when it was made. Ends in '\n'.
    std::string getTraceback() const;
    /// {"type": ..., "message": ..., "frames": [{"passage": "fired at", "file": ..., "line": 1, "function": ...}, ...], "stack": [...]}: all that can be told of
    /// it, as JSON in one line of valid UTF-8. "stack" is there only if debugging was on.
    std::string toJson() const;

    // --- For the rooms of this library.

    bool sameException(const Failure& other) const noexcept;
    void addPlace(detail::Passage passage, const std::source_location& where);
    /// The last place of the program that it passed; none if all are inside the library.
    std::source_location lastPlace() const;
    /// Itself, or a NoCurrentExceptionError if empty.
    Failure orNoException() &&;

private:
    template <class E>
    const E* checkThrown() const {
        try {
            std::rethrow_exception(data_->pointer());
        } catch (const E& exception) {
            return &exception;
        } catch (...) {
            return nullptr;
        }
    }
    explicit Failure(detail::FailureData* data) noexcept : data_(data) {}

    detail::FailureData* data_ = nullptr;
};

/// With debugging on, a Failure keeps the stack of where it was made: for an exception that is thrown, of where it was caught. Off at first. Any thread, at any
/// time. Cost when on: some 10 us for each Failure, and as much for each line when the trace is written; when off, a look at a flag.
BINE_EXPORT void setDebugging(bool on) noexcept;
BINE_EXPORT bool getDebugging() noexcept;

namespace detail {
/// "std::out_of_range".
BINE_EXPORT std::string readableName(const std::type_info& type);
/// The exception being handled; with the places of `known`, if it is that one thrown again.
BINE_EXPORT Failure caughtAfter(const Failure& known);
/// The exception being handled as a Failure; a thread's forced unwinding (pthread_cancel) is let through. For barriers.
BINE_EXPORT Failure caughtFailure();
}  // namespace detail

}  // namespace bine::inline v0
