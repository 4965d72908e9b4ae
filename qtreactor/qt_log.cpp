#include "bine/qtreactor/qt_log.h"

#include <QtCore/qlogging.h>
#include <QtCore/qloggingcategory.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "bine/log/format.h"

namespace bine::inline v0::detail {
namespace {

/// One for each namespace that ever spoke. They are never freed: Qt keeps pointers to their names, and threads
/// may log until the very end.
const QLoggingCategory& categoryOf(std::string_view logNamespace) {
    static std::mutex mutex;
    static auto& categories = *new std::map<std::string, std::unique_ptr<QLoggingCategory>, std::less<>>;
    const std::scoped_lock lock(mutex);
    auto found = categories.find(logNamespace);
    if (found == categories.end()) {
        found = categories.emplace(logNamespace, nullptr).first;
        const bool ours = logNamespace == "bine" || logNamespace.substr(0, 5) == "bine.";
        static auto& names = *new std::map<std::string, std::string, std::less<>>;
        const std::string& name =
            names.emplace(logNamespace, ours ? std::string(logNamespace) : "bine." + std::string(logNamespace))
                .first->second;
        found->second = std::make_unique<QLoggingCategory>(name.c_str());
    }
    return *found->second;
}

QtMsgType typeOf(LogLevel level) {
    switch (level) {
    case LogLevel::debug: return QtDebugMsg;
    case LogLevel::info: return QtInfoMsg;
    case LogLevel::warn: return QtWarningMsg;
    default: return QtCriticalMsg;
    }
}

} // namespace

void logToQt(const LogEvent& event) {
    const QLoggingCategory& category = categoryOf(event.logNamespace);
    const QtMsgType type = typeOf(event.level);
    if (!category.isEnabled(type)) return;
    const QMessageLogger logger(event.where.file_name(), static_cast<int>(event.where.line()),
                                event.where.function_name(), category.categoryName());
    const std::string text = formatLogText(event);
    switch (type) {
    case QtDebugMsg: logger.debug("%s", text.c_str()); break;
    case QtInfoMsg: logger.info("%s", text.c_str()); break;
    case QtWarningMsg: logger.warning("%s", text.c_str()); break;
    default: logger.critical("%s", text.c_str()); break;
    }
}

} // namespace bine::inline v0::detail
