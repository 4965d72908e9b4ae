#include "bine/defer/failure.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "bine/defer/errors.h"
#include "bine/defer/stack.h"

namespace bine::inline v0 {
namespace detail {

static std::atomic<bool> debugging{false};

FailureData::FailureData() {
    if (debugging.load(std::memory_order_relaxed)) stack_ = currentStack();
}

FailureData::~FailureData() = default;

void FailureData::setPointer(std::exception_ptr pointer) noexcept {
    pointer_ = std::move(pointer);
    hasPointer_.store(true, std::memory_order_release);
}

const std::exception_ptr& FailureData::pointer() const {
    if (!hasPointer()) {
        static std::mutex& mutex = *new std::mutex;  // never destroyed: failures are looked at in static destructors too
        std::exception_ptr made = makePointer();     // user code (a copy constructor): outside of the lock
        const std::lock_guard lock(mutex);
        if (!hasPointer()) {
            pointer_ = std::move(made);
            hasPointer_.store(true, std::memory_order_release);
        }
    }
    return pointer_;
}

void FailureData::addPlace(Place place) {
    constexpr std::size_t inlinePlaces = std::size(decltype(first_){});
    constexpr std::size_t half = mostPlaces / 2;
    if (count_ < inlinePlaces)
        first_[count_] = place;
    else if (count_ < mostPlaces)
        more_.push_back(place);
    else  // the last half is a ring
        more_[half - inlinePlaces + (count_ - half) % half] = place;
    ++count_;
}

std::vector<Place> FailureData::places(std::size_t& dropped) const {
    constexpr std::size_t inlinePlaces = std::size(decltype(first_){});
    constexpr std::size_t half = mostPlaces / 2;
    dropped = count_ > mostPlaces ? count_ - mostPlaces : 0;
    std::vector<Place> all;
    const auto at = [&](std::size_t i) {
        if (i < inlinePlaces) return first_[i];
        return more_[(i < half ? i : half + (i - half) % half) - inlinePlaces];
    };
    for (std::size_t i = 0; i < count_; ++i)
        if (i < half || i >= half + dropped) all.push_back(at(i));
    return all;
}

/// A thrown exception.
class ThrownException final : public FailureData {
public:
    ThrownException(std::exception_ptr pointer, const std::exception* exception) {
        setPointer(std::move(pointer));
        exception_ = exception;
    }

private:
    std::exception_ptr makePointer() const override { return nullptr; }
};

/// The exception of another, with places of its own.
class SharedFailureData final : public FailureData {
public:
    explicit SharedFailureData(const FailureData& origin) : FailureData(WithoutStack()), origin_(&origin) {
        if (const auto* shared = dynamic_cast<const SharedFailureData*>(origin_)) origin_ = shared->origin_;
        origin_->retain();
        exception_ = origin_->exception();
        count_ = origin.count_;
        std::copy(std::begin(origin.first_), std::end(origin.first_), std::begin(first_));
        more_ = origin.more_;
    }
    ~SharedFailureData() override { origin_->release(); }
    const std::vector<void*>* stack() const noexcept override { return origin_->stack(); }

private:
    std::exception_ptr makePointer() const override { return origin_->pointer(); }
    const FailureData* origin_;
};

std::string readableName(const std::type_info& type) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
    std::string text = status == 0 && name ? name.get() : type.name();
    // The inline namespace is nobody's business.
    for (std::size_t at; (at = text.find("bine::v0::")) != std::string::npos;) text.erase(at + 6, 4);
    return text;
}

FailureData* handledException(const std::exception& exception) {
    if (!std::current_exception()) return nullptr;
    try {
        throw;
    } catch (const std::exception& handled) {
        if (&handled == &exception) return new ThrownException(std::current_exception(), &handled);
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
    }
    return nullptr;
}

Failure caughtAfter(const Failure& known) {
    Failure caught = Failure::current();
    return known && caught == known ? known : caught;
}

Failure caughtFailure() {
    try {
        throw;
    } catch (const std::exception&) {
        return Failure::current();
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
        return Failure::current();
    }
}

}  // namespace detail

void setDebugging(bool on) noexcept { detail::debugging.store(on, std::memory_order_relaxed); }
bool getDebugging() noexcept { return detail::debugging.load(std::memory_order_relaxed); }

Failure::Failure(std::exception_ptr exception) {
    if (!exception) {
        *this = Failure(NoCurrentExceptionError("a Failure was made of a null exception_ptr"));
        return;
    }
    const std::exception* standard = nullptr;
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& e) {
        standard = &e;  // it lives in memory that the pointer shares
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
    }
    data_ = new detail::ThrownException(std::move(exception), standard);
}

Failure Failure::current() {
    std::exception_ptr exception = std::current_exception();
    if (!exception) return NoCurrentExceptionError();
    return Failure(std::move(exception));
}

Failure Failure::orNoException() && {
    if (!data_) return NoCurrentExceptionError("an empty Failure");
    return std::move(*this);
}

void Failure::raiseException() const { std::rethrow_exception(exceptionPtr()); }

std::exception_ptr Failure::exceptionPtr() const {
    return data_ ? data_->pointer() : std::make_exception_ptr(NoCurrentExceptionError("an empty Failure"));
}

bool Failure::sameException(const Failure& other) const noexcept {
    if (data_ == other.data_) return true;
    if (!data_ || !other.data_) return false;
    if (data_->exception() || other.data_->exception()) {
        if (data_->exception() == other.data_->exception()) return true;
    }
    return data_->hasPointer() && other.data_->hasPointer() && data_->pointer() == other.data_->pointer();
}

void Failure::addPlace(detail::Passage passage, const std::source_location& where) {
    if (!data_ || where.line() == 0) return;
    if (data_->isShared()) {
        auto* own = new detail::SharedFailureData(*data_);
        data_->release();
        data_ = own;
    }
    data_->addPlace({passage, where});
}

}  // namespace bine::inline v0
