#pragma once
// Logging: what happened, told to whoever listens.
//
// Any thread may call everything here. An event is delivered on the thread that logs it, to the observers in
// the order they were added and then to the output: stderr, or what a host put in its place. No lock is held
// meanwhile. Nothing here throws but for lack of memory when an observer is added: logging is what one does
// in destructors and in catch blocks. Cost: an event nobody hears is two loads and a comparison (and its
// arguments, so ask enabled() before making dear ones).

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bine/log/context.h"
#include "bine/base/text_traits.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// How much an event matters. `error` is a fault that something was done about, `critical` one that nobody
/// handled.
enum class LogLevel { debug, info, warn, error, critical };

/// "debug", "info", "warn", "error", "critical".
BINE_EXPORT std::string_view logLevelName(LogLevel level) noexcept;

namespace detail {
template <class T>
concept Number = std::is_arithmetic_v<T>;
}

/// A named value that belongs to an event. The value is text from the start: an event may outlive what it
/// tells of.
class BINE_EXPORT LogField {
public:
    LogField(std::string_view key, std::string value) : key_(key), value_(std::move(value)) {}
    LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
    LogField(std::string_view key, const char* value) : key_(key), value_(value ? value : "(null)") {}
    /// Text of a toolkit, see bine/base/text_traits.h.
    template <ForeignText Text>
    LogField(std::string_view key, const Text& value) : key_(key), value_(TextTraits<Text>::read(value)) {}
    /// bool, char, integers, floating point. A template, so that no pointer is taken for a bool.
    template <detail::Number Value>
    LogField(std::string_view key, Value value) : key_(key), value_(text(value)) {}

    const std::string& key() const noexcept { return key_; }
    const std::string& value() const noexcept { return value_; }

private:
    static std::string text(double value);
    template <class Value>
    static std::string text(Value value) {
        if constexpr (std::is_same_v<Value, bool>)
            return value ? "true" : "false";
        else if constexpr (std::is_same_v<Value, char>)
            return std::string(1, value);
        else if constexpr (std::is_floating_point_v<Value>)
            return text(static_cast<double>(value));
        else
            return std::to_string(value);
    }

    std::string key_;
    std::string value_;
};

/// One thing that happened. Observers get it const and may copy it.
class BINE_EXPORT LogEvent {
public:
    LogEvent() = default;

    LogLevel level = LogLevel::info;
    std::string logNamespace; ///< who speaks: "bine.tcp", "myapp.login"
    std::string prefix;       ///< on whose behalf: the innermost LogScope, empty outside of any
    std::string message;
    std::vector<LogField> fields;
    std::exception_ptr failure; ///< what went wrong, or null
    std::string detail;         ///< long text, such as the trace of `failure`; lines end in '\n'
    std::chrono::system_clock::time_point time;
    std::source_location where;
};

/// Speaks in the name of one part of a program: `Logger("tick").info("still here")`.
class BINE_EXPORT Logger {
public:
    explicit Logger(std::string logNamespace) noexcept : logNamespace_(std::move(logNamespace)) {}

    void debug(const TextArgument& message, std::vector<LogField> fields = {},
               std::source_location where = std::source_location::current()) const noexcept;
    void info(const TextArgument& message, std::vector<LogField> fields = {},
              std::source_location where = std::source_location::current()) const noexcept;
    void warn(const TextArgument& message, std::vector<LogField> fields = {},
              std::source_location where = std::source_location::current()) const noexcept;
    void error(const TextArgument& message, std::vector<LogField> fields = {},
               std::source_location where = std::source_location::current()) const noexcept;
    void critical(const TextArgument& message, std::vector<LogField> fields = {},
                  std::source_location where = std::source_location::current()) const noexcept;
    void log(LogLevel level, const TextArgument& message, std::vector<LogField> fields = {},
             std::source_location where = std::source_location::current()) const noexcept;

    /// Tells of an exception. `detail` is its long form, if there is one (a trace); without it the
    /// exception's type and text are shown.
    void failure(std::exception_ptr failure, const TextArgument& message, LogLevel level = LogLevel::critical,
                 std::string detail = {},
                 std::source_location where = std::source_location::current()) const noexcept;

    /// False if nobody would hear an event of this level.
    bool enabled(LogLevel level) const noexcept;
    const std::string& logNamespace() const noexcept { return logNamespace_; }

private:
    std::string logNamespace_;
};

using LogObserver = std::function<void(const LogEvent&)>;

namespace detail {
struct LogEntry;
}

/// Keeps an observer listening; its destructor removes it. Once that returns the observer runs nowhere and
/// its captures are gone, since it waits for calls on other threads to return; so hold no lock here that the
/// observer takes. Inside an observer it does not wait (two observers could wait for each other).
class BINE_EXPORT LogSubscription {
public:
    LogSubscription() noexcept = default;
    explicit LogSubscription(std::shared_ptr<detail::LogEntry> entry) noexcept : entry_(std::move(entry)) {}
    LogSubscription(LogSubscription&&) noexcept = default;
    LogSubscription& operator=(LogSubscription&& other) noexcept;
    ~LogSubscription() { remove(); }

    /// As the destructor does. A second call does nothing.
    void remove() noexcept;
    explicit operator bool() const noexcept { return entry_ != nullptr; }

private:
    std::shared_ptr<detail::LogEntry> entry_;
};

/// Calls `observer` for each event from `lowest` up. Observers are isolated: when one throws, the others hear
/// the event and a report of the exception (one per row of failures). What is logged while an observer runs,
/// on its thread, goes to all but that one: it cannot call itself. An empty function throws
/// std::invalid_argument.
[[nodiscard]] BINE_EXPORT LogSubscription addLogObserver(LogObserver observer,
                                                         LogLevel lowest = LogLevel::debug);

/// Replaces stderr as the output while the subscription lives; the youngest one counts. Made for hosts that
/// have a log of their own. If it throws, the event goes to the one below, and at last to stderr. Level and
/// recorders hold for it as for stderr. Throws as addLogObserver.
[[nodiscard]] BINE_EXPORT LogSubscription setDefaultLogObserver(LogObserver observer);

/// The lowest level that the output shows. At first it is that of the environment's BINE_LOG (debug, info,
/// warn, error, critical or off; read once), else info. Observers are not concerned.
BINE_EXPORT void setLogLevel(LogLevel level) noexcept;

namespace detail {
/// As addLogObserver; what it hears does not go to the output.
[[nodiscard]] LogSubscription addLogRecorder(LogObserver observer, LogLevel lowest);
/// To the output alone, unless a recorder hears such events.
void printLogEvent(const LogEvent& event) noexcept;
} // namespace detail

} // namespace bine::inline v0
