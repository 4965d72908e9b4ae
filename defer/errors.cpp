#include "bine/defer/errors.h"

#include <cstdio>

#include "bine/log/place.h"

namespace bine::inline v0 {
namespace {

std::string seconds(std::chrono::nanoseconds duration) {
    char text[48];
    std::snprintf(text, sizeof text, "%.9g s", std::chrono::duration<double>(duration).count());
    return text;
}

}  // namespace

// The destructors are out of line: one home for each class's type information.
Error::~Error() = default;
std::string Error::userMessage() const { return what(); }
bool Error::isTransient() const { return false; }
std::string Error::phase() const { return {}; }

CancelledError::CancelledError(const std::string& why) : Error(why) {}
CancelledError::~CancelledError() = default;
std::string CancelledError::userMessage() const { return "This was cancelled."; }

AlreadyCalledError::AlreadyCalledError(const std::string& why) : Error(why) {}
AlreadyCalledError::AlreadyCalledError(std::source_location created, std::source_location fired)
    : Error("this Deferred" + detail::placeAfter("made at", created) + " has already been fired" + detail::placeAfter("at", fired)),
      created_(created), fired_(fired) {}
AlreadyCalledError::~AlreadyCalledError() = default;

AbandonedError::AbandonedError(std::source_location created)
    : Error("there will be no answer: the Resolver" + detail::placeAfter("made at", created) + " died without firing"), created_(created) {}
AbandonedError::~AbandonedError() = default;
std::string AbandonedError::userMessage() const { return "This was given up before there was an answer."; }

TimeoutError::TimeoutError(const std::string& why) : Error(why) {}
TimeoutError::TimeoutError(std::chrono::nanoseconds duration) : Error("timed out after " + seconds(duration)), duration_(duration) {}
TimeoutError::TimeoutError(const std::string& why, std::chrono::nanoseconds duration) : Error(why), duration_(duration), telling_(true) {}
TimeoutError::~TimeoutError() = default;
std::string TimeoutError::userMessage() const {
    if (telling_) return std::string(what()) + ". Try again later.";
    if (duration_ == std::chrono::nanoseconds::zero()) return "This took too long. Try again later.";
    return "There was no answer within " + seconds(duration_) + ". Try again later.";
}
bool TimeoutError::isTransient() const { return true; }

NoCurrentExceptionError::NoCurrentExceptionError(const std::string& why) : Error(why) {}
NoCurrentExceptionError::~NoCurrentExceptionError() = default;

AlreadyCalled::AlreadyCalled(const std::string& why) : Error(why) {}
AlreadyCalled::~AlreadyCalled() = default;

AlreadyCancelled::AlreadyCancelled(const std::string& why) : Error(why) {}
AlreadyCancelled::~AlreadyCancelled() = default;

}  // namespace bine::inline v0
