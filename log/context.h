#pragma once
// LogContext and LogScope: on whose behalf a thread works, as a prefix to everything it logs meanwhile.
//
// A LogContext may be copied to any thread; a LogScope lives on the stack of one. A scope costs a call and a
// few stores, and with the lazy form the text is made only if something is logged: a connection opens one
// around each of its callbacks.

#include <memory>
#include <string>
#include <utility>

#include "bine/log/export.h"

namespace bine::inline v0 {

class LogScope;

namespace detail {

struct LogCall;

/// What the log keeps per thread. It is reached through one function: an inline thread_local would exist once
/// per shared library.
struct LogThread {
    LogScope* scope = nullptr; ///< the innermost
    LogCall* call = nullptr;   ///< the observer that runs, innermost
};
BINE_EXPORT LogThread& logThread() noexcept;

} // namespace detail

/// A prefix: immutable text, shared by its copies. An empty one allocates nothing.
class BINE_EXPORT LogContext {
public:
    LogContext() noexcept = default;
    explicit LogContext(std::string text);

    /// The one in force on this thread: keep it, and open a LogScope with it where the work goes on.
    static LogContext current() noexcept;

    const std::string& text() const noexcept;
    bool empty() const noexcept { return text_ == nullptr; }

private:
    std::shared_ptr<const std::string> text_;
};

/// While it lives, what this thread logs carries the prefix. Scopes nest and the innermost wins, also if it
/// is empty. Trap: the scope belongs to the thread, not to the coroutine; one that is open at a co_await
/// labels whatever the thread does next.
class BINE_EXPORT LogScope {
public:
    explicit LogScope(LogContext context) noexcept;
    /// make(object) is called at most once, and only if something is logged or LogContext::current() is
    /// asked. `object` lives as long as the scope.
    LogScope(LogContext (*make)(void*), void* object) noexcept;
    LogScope(const LogScope&) = delete;
    LogScope& operator=(const LogScope&) = delete;
    ~LogScope();

private:
    friend class LogContext;
    const LogContext& context() noexcept;

    LogScope* outer_;
    LogContext (*make_)(void*) = nullptr;
    void* object_ = nullptr;
    LogContext context_;
};

} // namespace bine::inline v0
