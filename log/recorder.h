#pragma once
// LogRecorder: keeps the errors that are logged while it lives, so that a test can look at them.
//
// Any thread may log and any thread may flush. What is recorded does not go to the output (the environment's
// BINE_LOG_RECORDED=1 shows it all the same). A test that expects an error flushes it; a test that leaves one
// should fail. What nobody flushed goes to the output when the recorder dies. Cost: a copy of each event at
// `error` or above, at most `capacity` of them.

#include <cstddef>
#include <exception>
#include <memory>
#include <vector>

#include "bine/log/export.h"
#include "bine/log/log.h"

namespace bine::inline v0 {

class BINE_EXPORT LogRecorder {
public:
    static constexpr std::size_t capacity = 10'000;

    LogRecorder();
    LogRecorder(const LogRecorder&) = delete;
    LogRecorder& operator=(const LogRecorder&) = delete;
    ~LogRecorder();

    /// Takes all events, oldest first, and sets dropped() to zero.
    std::vector<LogEvent> flush();
    /// Takes those whose exception is an E (or derived from it); the others stay.
    template <class E>
    std::vector<LogEvent> flushErrors() {
        return take(&isFailure<E>);
    }
    /// True if nothing is kept and nothing was dropped.
    bool empty() const;
    std::size_t size() const;
    /// How many events came when `capacity` were kept already.
    std::size_t dropped() const;

private:
    struct Events;

    template <class E>
    static bool isFailure(const std::exception_ptr& failure) {
        if (!failure)
            return false;
        try {
            std::rethrow_exception(failure);
        } catch (const E&) {
            return true;
        } catch (...) {
            return false;
        }
    }
    std::vector<LogEvent> take(bool (*wanted)(const std::exception_ptr&));

    std::shared_ptr<Events> events_; // shared with the observer, which may still run when a recorder dies
                                     // inside another observer
    LogSubscription subscription_;
};

} // namespace bine::inline v0
