#pragma once
// Activity: what stands around every call of user code that a reactor makes. Internal.
//
// An exception barrier (nothing is thrown through a loop, ours or a host's) and the log prefix; how long it takes is for stalls.h. Reactor's
// thread. Cost: a few stores.

#include <source_location>
#include <string_view>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/failure.h"
#include "bine/log/context.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// Logs the exception that is being handled as the failure of `what`. For use in a catch (...) block. A thread's forced unwinding is let through.
BINE_EXPORT void logCurrentException(std::string_view what, std::source_location where = std::source_location::current());

/// Failure::current(), but lets a thread's forced unwinding through.
BINE_EXPORT Failure failureOfCurrentException();

/// Calls f; false if it threw: then the exception has been logged as the failure of `what`.
template <class F>
bool guarded(std::string_view what, F&& f) {
    try {
        std::forward<F>(f)();
        return true;
    } catch (...) {
        logCurrentException(what);
        return false;
    }
}

/// As guarded(), but the exception goes into `failure`.
template <class F>
bool guarded(Failure& failure, F&& f) {
    try {
        std::forward<F>(f)();
        return true;
    } catch (...) {
        failure = failureOfCurrentException();
        return false;
    }
}

/// The scope itself: what is logged while it lives carries the prefix that `make(object)` gives, if anything is logged at all.
class Activity {
public:
    Activity(LogContext (*make)(void*), void* object) : scope_(make, object) {}
    explicit Activity(LogContext context) : scope_(std::move(context)) {}

    /// False if f threw: the exception is in `failure`.
    template <class F>
    bool call(Failure& failure, F&& f) {
        return guarded(failure, std::forward<F>(f));
    }
    /// False if f threw: the exception has been logged as the failure of `what`.
    template <class F>
    bool call(std::string_view what, F&& f) {
        return guarded(what, std::forward<F>(f));
    }

private:
    LogScope scope_;
};

/// Runs and releases a call that a TimerHeap gave out.
BINE_EXPORT void runDelayedCall(DelayedCall& call);

}  // namespace bine::inline v0::detail
