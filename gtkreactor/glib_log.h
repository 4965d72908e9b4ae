#pragma once
// logToGlib: a log event through g_log(), in the domain "bine". Internal; any thread.
//
// Never as G_LOG_LEVEL_ERROR, which aborts. GLib hides info and debug unless G_MESSAGES_DEBUG names the domain.

#include "bine/log/log.h"

namespace bine::inline v0::detail {

void logToGlib(const LogEvent& event);

} // namespace bine::inline v0::detail
