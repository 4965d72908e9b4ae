#pragma once
// What the tests of cooperators and of their tasks share.

#include "defer/defer_testing.h"

#include "bine/defer/cooperator.h"
#include "bine/reactors/manual_clock.h"

/// Writes `name` at each of its steps, `times` times.
inline bine::Steps write(std::string& text, char name, int times) {
    for (int i = 0; i < times; ++i) {
        text += name;
        co_yield {};
    }
}
inline bine::Steps writeForEver(std::string& text, char name) {
    for (;;) {
        text += name;
        co_yield {};
    }
}

/// Writes when it is destroyed.
class Mark {
public:
    Mark(std::string& text, const char* name) : text_(text), name_(name) {}
    Mark(const Mark&) = delete;
    ~Mark() { text_ += name_; }

private:
    std::string& text_;
    const char* name_;
};

/// A ManualClock on which steps take their time.
class BusyClock : public bine::ManualClock {
public:
    bine::TimePoint now() const override { return bine::ManualClock::now() + busy; }
    bine::Duration busy{};
};

/// What becomes of a task, if one asks now.
inline std::string endOf(bine::CooperativeTask& task) {
    auto done = task.whenDone();
    return outcome(done);
}
