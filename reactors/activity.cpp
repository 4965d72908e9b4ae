#include "bine/reactors/activity.h"

#include <cxxabi.h>

#include "bine/log/log.h"

namespace bine::inline v0::detail {

// pthread_cancel and pthread_exit unwind with an exception of their own, which must not be swallowed: rethrow it from within the handler.
static void letForcedUnwindThrough() {
    try {
        throw;
    } catch (abi::__forced_unwind&) {
        throw;
    } catch (...) {
    }
}

Failure failureOfCurrentException() {
    letForcedUnwindThrough();
    return Failure::current();
}

void logCurrentException(std::string_view what, std::source_location where) {
    letForcedUnwindThrough();
    static const Logger log("bine.reactor");
    log.failure(std::current_exception(), what, LogLevel::critical, {}, where);
}

void runDelayedCall(DelayedCall& call) {
    Function<void()> f = std::move(call.timer().call);
    try {
        f();
    } catch (...) {
        logCurrentException("Unhandled error in a delayed call", call.where());
    }
}

}  // namespace bine::inline v0::detail
