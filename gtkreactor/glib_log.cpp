#include "bine/gtkreactor/glib_log.h"

#include <glib.h>

#include "bine/log/format.h"

namespace bine::inline v0::detail {
namespace {

GLogLevelFlags levelOf(LogLevel level) {
    switch (level) {
    case LogLevel::debug: return G_LOG_LEVEL_DEBUG;
    case LogLevel::info: return G_LOG_LEVEL_INFO;
    case LogLevel::critical: return G_LOG_LEVEL_CRITICAL;
    default: return G_LOG_LEVEL_WARNING;
    }
}

} // namespace

void logToGlib(const LogEvent& event) {
    g_log("bine", levelOf(event.level), "[%s] %s", event.logNamespace.c_str(), formatLogText(event).c_str());
}

} // namespace bine::inline v0::detail
