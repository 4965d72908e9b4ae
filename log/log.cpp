#include "bine/log/log.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <stdexcept>

#include "bine/log/format.h"
#include "bine/log/place.h"

namespace bine::inline v0 {

namespace detail {

enum class LogRole { observer, recorder, output };

/// An observer. Delivery holds a reference, never a lock; `removed` and `running` (both seq_cst) tell each
/// other whether it may be called and whether it is being called: a caller counts itself in, then looks at
/// `removed`; a remover sets `removed`, then looks at `running`.
struct LogEntry {
    LogEntry(LogObserver observer, LogLevel level, LogRole part)
        : call(std::move(observer)), lowest(level), role(part) {}

    LogObserver call;
    const LogLevel lowest;
    const LogRole role;
    std::atomic<bool> removed{false};
    std::atomic<int> running{0};
    std::atomic<bool> failing{false}; ///< threw when it was called last
};

/// An observer that runs on this thread.
struct LogCall {
    const LogEntry* entry;
    LogCall* outer;
};

} // namespace detail

namespace {

using detail::LogCall;
using detail::LogEntry;
using detail::LogRole;
using Entries = std::vector<std::shared_ptr<LogEntry>>;

constexpr int outputOff = static_cast<int>(LogLevel::critical) + 1;

/// Writes without dying of it: a reader that has gone away raises SIGPIPE, and the program may not expect one
/// from its log.
ssize_t writeQuietly(int fd, const char* data, std::size_t size) noexcept {
    sigset_t pipe, pending, before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    ssize_t written;
    do
        written = ::write(fd, data, size);
    while (written < 0 && errno == EINTR);
    const int error = errno;
    if (written < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        const timespec now{};
        while (sigtimedwait(&pipe, nullptr, &now) < 0 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return written;
}

/// One event, one write: lines of several threads and processes do not mix (on a pipe this holds up to
/// PIPE_BUF, 4 KiB).
void writeToStderr(const LogEvent& event) noexcept {
    // stderr may be a full pipe that does not block, and the loop shall not wait for its reader.
    static std::atomic<unsigned> lost{0};
    try {
        std::string text = formatLogEvent(event) + '\n';
        const unsigned missing = lost.exchange(0);
        if (missing > 0)
            text.insert(0, "(" + std::to_string(missing) + " log events could not be written)\n");
        const ssize_t written = writeQuietly(STDERR_FILENO, text.data(), text.size());
        if (written < 0)
            lost += missing + 1;
        else if (static_cast<std::size_t>(written) < text.size())
            writeQuietly(STDERR_FILENO, text.data() + written, text.size() - written);
    } catch (...) {
        constexpr std::string_view sorry = "bine.log: out of memory, an event is lost\n";
        writeQuietly(STDERR_FILENO, sorry.data(), sorry.size());
    }
}

/// BINE_LOG, or info. A word it does not know is told, not obeyed.
int levelFromEnvironment() noexcept {
    const char* variable = std::getenv("BINE_LOG");
    if (!variable || !*variable)
        return static_cast<int>(LogLevel::info);
    const std::string_view word = variable;
    for (int level = 0; level < outputOff; ++level)
        if (word == logLevelName(static_cast<LogLevel>(level)))
            return level;
    if (word == "off")
        return outputOff;
    constexpr std::string_view complaint =
        "bine.log: BINE_LOG is none of debug, info, warn, error, critical, off; using info\n";
    writeQuietly(STDERR_FILENO, complaint.data(), complaint.size());
    return static_cast<int>(LogLevel::info);
}

class Registry {
public:
    static Registry& instance() noexcept {
        static Registry& registry = *new Registry; // never destroyed: static destructors log too
        return registry;
    }

    bool hears(LogLevel level) const noexcept {
        return static_cast<int>(level) >= lowest_.load(std::memory_order_relaxed);
    }
    void setOutputLevel(LogLevel level) noexcept;
    std::shared_ptr<LogEntry> add(LogObserver observer, LogLevel lowest, LogRole role);
    void remove(LogEntry& entry) noexcept;
    void deliver(const LogEvent& event, const LogEntry* except = nullptr) noexcept;
    void print(const LogEvent& event, const Entries& entries, const LogEntry* except) noexcept;
    std::shared_ptr<const Entries> entries() noexcept {
        std::lock_guard lock(mutex_);
        return entries_;
    }

private:
    bool call(LogEntry& entry, const LogEvent& event) noexcept;
    void reportObserver(const LogEntry& entry, std::exception_ptr failure) noexcept;
    void findLowest() noexcept;

    std::mutex mutex_; // guards entries_, and who computes lowest_
    std::shared_ptr<const Entries> entries_ = std::make_shared<Entries>(); // replaced, never changed
    std::atomic<int> outputLevel_{levelFromEnvironment()};
    std::atomic<int> lowest_{outputLevel_.load()};
    const bool printRecorded_ =
        std::getenv("BINE_LOG_RECORDED") && std::string_view(std::getenv("BINE_LOG_RECORDED")) == "1";
};

void Registry::findLowest() noexcept {
    int lowest = outputLevel_;
    for (const auto& entry : *entries_)
        if (entry->role != LogRole::output)
            lowest = (std::min)(lowest, static_cast<int>(entry->lowest));
    lowest_ = lowest;
}

void Registry::setOutputLevel(LogLevel level) noexcept {
    std::lock_guard lock(mutex_);
    outputLevel_ = static_cast<int>(level);
    findLowest();
}

std::shared_ptr<LogEntry> Registry::add(LogObserver observer, LogLevel lowest, LogRole role) {
    if (!observer)
        throw std::invalid_argument("a log observer must be callable; this std::function is empty");
    auto entry = std::make_shared<LogEntry>(std::move(observer), lowest, role);
    std::shared_ptr<const Entries>
        before; // dies after the lock is released: its last entries may run destructors that log
    std::lock_guard lock(mutex_);
    auto after = std::make_shared<Entries>(*entries_);
    after->push_back(entry);
    before = std::exchange(entries_, std::move(after));
    findLowest();
    return entry;
}

void Registry::remove(LogEntry& entry) noexcept {
    entry.removed = true;
    try {
        std::shared_ptr<const Entries> before;
        std::lock_guard lock(mutex_);
        auto after = std::make_shared<Entries>(*entries_);
        std::erase_if(*after, [&](const auto& other) { return other.get() == &entry; });
        before = std::exchange(entries_, std::move(after));
        findLowest();
    } catch (...) {
        // No memory for the shorter list: the entry stays in the longer one and is passed over.
    }
    const bool insideObserver = detail::logThread().call != nullptr;
    for (int calls; !insideObserver && (calls = entry.running) != 0;)
        entry.running.wait(calls);
    if (entry.running == 0)
        entry.call = nullptr; // nobody will look at it again
}

void Registry::deliver(const LogEvent& event, const LogEntry* except) noexcept {
    const std::shared_ptr<const Entries> entries = this->entries();
    bool recorded = false;
    for (const auto& entry : *entries) {
        if (entry->role == LogRole::output || event.level < entry->lowest || entry.get() == except)
            continue;
        if (call(*entry, event) && entry->role == LogRole::recorder)
            recorded = true;
    }
    if (!recorded || printRecorded_)
        print(event, *entries, except);
}

void Registry::print(const LogEvent& event, const Entries& entries, const LogEntry* except) noexcept {
    if (static_cast<int>(event.level) < outputLevel_)
        return;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
        if ((*entry)->role == LogRole::output && entry->get() != except && call(**entry, event))
            return;
    writeToStderr(event);
}

/// True if the observer heard the event.
bool Registry::call(LogEntry& entry, const LogEvent& event) noexcept {
    LogCall*& innermost = detail::logThread().call;
    for (const LogCall* outer = innermost; outer; outer = outer->outer)
        if (outer->entry == &entry)
            return false;
    bool heard = false;
    std::exception_ptr failure;
    ++entry.running;
    if (!entry.removed) {
        LogCall frame{&entry, innermost};
        innermost = &frame;
        try {
            entry.call(event);
            heard = true;
        } catch (...) {
            failure = std::current_exception();
        }
        innermost = frame.outer;
    }
    if (--entry.running == 0 && entry.removed)
        entry.running.notify_all();
    if (!entry.failing.exchange(!heard) && failure)
        reportObserver(entry, std::move(failure));
    return heard;
}

void Registry::reportObserver(const LogEntry& entry, std::exception_ptr failure) noexcept {
    try {
        LogEvent report;
        report.level = LogLevel::error;
        report.logNamespace = "bine.log";
        report.message = "a log observer threw an exception";
        report.failure = std::move(failure);
        report.time = std::chrono::system_clock::now();
        deliver(report, &entry);
    } catch (...) {
        // No memory to tell; the event itself goes on to the others.
    }
}

/// Logging is allowed anywhere, so also between a system call and the look at its errno.
class KeepErrno {
public:
    KeepErrno() noexcept : saved_(errno) {}
    ~KeepErrno() { errno = saved_; }

private:
    int saved_;
};

void logEvent(LogLevel level, const std::string& logNamespace, std::string_view message,
              std::vector<LogField> fields, std::exception_ptr failure, std::string detail,
              std::source_location where) noexcept {
    const KeepErrno keepErrno;
    Registry& registry = Registry::instance();
    if (!registry.hears(level))
        return;
    try {
        LogEvent event;
        event.level = level;
        event.logNamespace = logNamespace;
        event.prefix = LogContext::current().text();
        event.message = message;
        event.fields = std::move(fields);
        event.failure = std::move(failure);
        event.detail = std::move(detail);
        event.time = std::chrono::system_clock::now();
        event.where = detail::visiblePlace(where);
        registry.deliver(event);
    } catch (...) {
        constexpr std::string_view sorry = "bine.log: out of memory, an event is lost\n";
        writeQuietly(STDERR_FILENO, sorry.data(), sorry.size());
    }
}

} // namespace

void Logger::log(LogLevel level, const TextArgument& message, std::vector<LogField> fields,
                 std::source_location where) const noexcept {
    logEvent(level, logNamespace_, message, std::move(fields), nullptr, {}, where);
}
void Logger::debug(const TextArgument& message, std::vector<LogField> fields,
                   std::source_location where) const noexcept {
    log(LogLevel::debug, message, std::move(fields), where);
}
void Logger::info(const TextArgument& message, std::vector<LogField> fields,
                  std::source_location where) const noexcept {
    log(LogLevel::info, message, std::move(fields), where);
}
void Logger::warn(const TextArgument& message, std::vector<LogField> fields,
                  std::source_location where) const noexcept {
    log(LogLevel::warn, message, std::move(fields), where);
}
void Logger::error(const TextArgument& message, std::vector<LogField> fields,
                   std::source_location where) const noexcept {
    log(LogLevel::error, message, std::move(fields), where);
}
void Logger::critical(const TextArgument& message, std::vector<LogField> fields,
                      std::source_location where) const noexcept {
    log(LogLevel::critical, message, std::move(fields), where);
}
void Logger::failure(std::exception_ptr failure, const TextArgument& message, LogLevel level, std::string detail,
                     std::source_location where) const noexcept {
    logEvent(level, logNamespace_, message, {}, std::move(failure), std::move(detail), where);
}
bool Logger::enabled(LogLevel level) const noexcept { return Registry::instance().hears(level); }

LogSubscription& LogSubscription::operator=(LogSubscription&& other) noexcept {
    if (this != &other) {
        remove();
        entry_ = std::move(other.entry_);
    }
    return *this;
}

void LogSubscription::remove() noexcept {
    if (auto entry = std::exchange(entry_, nullptr))
        Registry::instance().remove(*entry);
}

LogSubscription addLogObserver(LogObserver observer, LogLevel lowest) {
    return LogSubscription(Registry::instance().add(std::move(observer), lowest, LogRole::observer));
}

LogSubscription setDefaultLogObserver(LogObserver observer) {
    return LogSubscription(Registry::instance().add(std::move(observer), LogLevel::debug, LogRole::output));
}

LogSubscription detail::addLogRecorder(LogObserver observer, LogLevel lowest) {
    return LogSubscription(Registry::instance().add(std::move(observer), lowest, LogRole::recorder));
}

void detail::printLogEvent(const LogEvent& event) noexcept {
    Registry& registry = Registry::instance();
    const std::shared_ptr<const Entries> entries = registry.entries();
    for (const auto& entry : *entries)
        if (entry->role == LogRole::recorder && event.level >= entry->lowest)
            return; // it has heard the event itself
    registry.print(event, *entries, nullptr);
}

void setLogLevel(LogLevel level) noexcept { Registry::instance().setOutputLevel(level); }

} // namespace bine::inline v0
