#pragma once
// logToQt: a log event through Qt's logging. Internal; any thread.
//
// The logging category is "bine" or "bine.<namespace>", so QT_LOGGING_RULES and qInstallMessageHandler see
// these as they see any other.

#include "bine/log/log.h"

namespace bine::inline v0::detail {

void logToQt(const LogEvent& event);

} // namespace bine::inline v0::detail
