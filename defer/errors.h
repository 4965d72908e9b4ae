#pragma once
// The error types of this floor, and Error, the root of all of Bine's.
//
// what() is for logs. userMessage() is a sentence a person can act on, isTransient() says whether trying again later makes sense, phase() names the
// step that went wrong ("" if there is none to name). Plain values: any thread.

#include <chrono>
#include <source_location>
#include <stdexcept>
#include <string>

#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    ~Error() override;
    virtual std::string userMessage() const;  ///< what(), unless a class knows better
    virtual bool isTransient() const;         ///< false
    virtual std::string phase() const;        ///< ""
};

/// A Deferred was cancelled: by cancel(), or because something it waits for died with its owner.
class BINE_EXPORT CancelledError : public Error {
public:
    explicit CancelledError(const std::string& why = "cancelled");
    ~CancelledError() override;
    std::string userMessage() const override;
};

/// A Deferred was fired a second time. Thrown at the second call, which is at fault.
class BINE_EXPORT AlreadyCalledError : public Error {
public:
    explicit AlreadyCalledError(const std::string& why = "this Deferred has already been fired");
    AlreadyCalledError(std::source_location created, std::source_location fired);
    ~AlreadyCalledError() override;
    std::source_location created() const noexcept { return created_; }  ///< where the Deferred was made
    std::source_location fired() const noexcept { return fired_; }      ///< where it was fired first

private:
    std::source_location created_;
    std::source_location fired_;
};

/// The Resolver died and had not fired: nobody will ever answer.
class BINE_EXPORT AbandonedError : public Error {
public:
    explicit AbandonedError(std::source_location created = {});
    ~AbandonedError() override;
    std::source_location created() const noexcept { return created_; }  ///< where the Deferred was made
    std::string userMessage() const override;

private:
    std::source_location created_;
};

/// A deadline passed. duration() is the deadline, or zero if it is unknown.
class BINE_EXPORT TimeoutError : public Error {
public:
    explicit TimeoutError(const std::string& why = "timed out");
    explicit TimeoutError(std::chrono::nanoseconds duration);
    /// `why` is a sentence that names the host, or the like, and the duration: userMessage() shows it to people.
    TimeoutError(const std::string& why, std::chrono::nanoseconds duration);
    ~TimeoutError() override;
    std::chrono::nanoseconds duration() const noexcept { return duration_; }
    std::string userMessage() const override;
    bool isTransient() const override;

private:
    std::chrono::nanoseconds duration_{};
    bool telling_ = false;  // what() is for people
};

/// Failure::current() or errback() outside of a catch block; also what an empty Failure stands for.
class BINE_EXPORT NoCurrentExceptionError : public Error {
public:
    explicit NoCurrentExceptionError(const std::string& why = "no exception is being handled");
    ~NoCurrentExceptionError() override;
};

/// A delayed call was to be changed or cancelled after it was called. Thrown.
class BINE_EXPORT AlreadyCalled : public Error {
public:
    explicit AlreadyCalled(const std::string& why = "this delayed call has already been called");
    ~AlreadyCalled() override;
};

/// A delayed call was to be changed or cancelled after it was cancelled. Thrown.
class BINE_EXPORT AlreadyCancelled : public Error {
public:
    explicit AlreadyCancelled(const std::string& why = "this delayed call has already been cancelled");
    ~AlreadyCancelled() override;
};

}  // namespace bine::inline v0
