#include "bine/log/recorder.h"

#include <mutex>
#include <utility>

namespace bine::inline v0 {

struct LogRecorder::Events {
    std::mutex mutex;
    std::vector<LogEvent> kept;
    std::size_t dropped = 0;
};

LogRecorder::LogRecorder() : events_(std::make_shared<Events>()) {
    subscription_ = detail::addLogRecorder(
        [events = events_](const LogEvent& event) {
            std::lock_guard lock(events->mutex);
            if (events->kept.size() < capacity)
                events->kept.push_back(event);
            else
                ++events->dropped;
        },
        LogLevel::error);
}

LogRecorder::~LogRecorder() {
    subscription_.remove();
    std::vector<LogEvent> left;
    std::size_t dropped = 0;
    {
        std::lock_guard lock(events_->mutex);
        left.swap(events_->kept);
        dropped = std::exchange(events_->dropped, 0);
    }
    for (const LogEvent& event : left)
        detail::printLogEvent(event);
    if (dropped > 0)
        Logger("bine.log").warn("a LogRecorder was full and dropped events", {{"dropped", dropped}});
}

std::vector<LogEvent> LogRecorder::flush() {
    std::vector<LogEvent> all;
    std::lock_guard lock(events_->mutex);
    all.swap(events_->kept);
    events_->dropped = 0;
    return all;
}

std::vector<LogEvent> LogRecorder::take(bool (*wanted)(const std::exception_ptr&)) {
    std::vector<LogEvent> taken, rest;
    std::lock_guard lock(events_->mutex);
    taken.reserve(events_->kept.size()); // first, so that nothing below throws and loses events
    rest.reserve(events_->kept.size());
    for (LogEvent& event : events_->kept)
        (wanted(event.failure) ? taken : rest).push_back(std::move(event));
    events_->kept.swap(rest);
    return taken;
}

bool LogRecorder::empty() const {
    std::lock_guard lock(events_->mutex);
    return events_->kept.empty() && events_->dropped == 0;
}

std::size_t LogRecorder::size() const {
    std::lock_guard lock(events_->mutex);
    return events_->kept.size();
}

std::size_t LogRecorder::dropped() const {
    std::lock_guard lock(events_->mutex);
    return events_->dropped;
}

} // namespace bine::inline v0
