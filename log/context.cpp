#include "bine/log/context.h"

#include <cassert>

namespace bine::inline v0 {

detail::LogThread& detail::logThread() noexcept {
    // Trivially destructible, so that what runs late in the life of a thread may still log. Initial-exec: it is
    // reached without a call, and is small enough for the little room that a program has for such things.
    [[gnu::tls_model("initial-exec")]] static thread_local constinit LogThread thread;
    return thread;
}

LogContext::LogContext(std::string text) {
    if (!text.empty())
        text_ = std::make_shared<const std::string>(std::move(text));
}

LogContext LogContext::current() noexcept {
    LogScope* scope = detail::logThread().scope;
    return scope ? scope->context() : LogContext();
}

const std::string& LogContext::text() const noexcept {
    static const std::string& nothing = *new std::string; // never destroyed: static destructors log too
    return text_ ? *text_ : nothing;
}

LogScope::LogScope(LogContext context) noexcept : context_(std::move(context)) {
    detail::LogThread& thread = detail::logThread();
    outer_ = thread.scope;
    thread.scope = this;
}

LogScope::LogScope(LogContext (*make)(void*), void* object) noexcept : make_(make), object_(object) {
    detail::LogThread& thread = detail::logThread();
    outer_ = thread.scope;
    thread.scope = this;
}

LogScope::~LogScope() {
    // Nearly always the innermost; one that sat in a coroutine's frame may die out of order, and must not
    // stay in the list.
    LogScope** link = &detail::logThread().scope;
    while (*link != this && *link)
        link = &(*link)->outer_;
    assert(*link && "a LogScope must die on the thread that made it");
    if (*link)
        *link = outer_;
}

const LogContext& LogScope::context() noexcept {
    if (auto* make = std::exchange(make_, nullptr)) { // before the call: make() may log
        try {
            context_ = make(object_);
        } catch (...) {
            // A prefix that cannot be made is no reason to lose the event.
        }
    }
    return context_;
}

} // namespace bine::inline v0
