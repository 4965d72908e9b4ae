#pragma once
// What the tests of looping calls share.

#include "defer/defer_testing.h"

#include <chrono>

#include "bine/reactors/manual_clock.h"

/// Writes down at which times it is called.
class Times {
public:
    explicit Times(bine::ManualClock& clock) : clock_(clock), start_(clock.now()) {}
    void operator()() { text_ += std::to_string((clock_.now() - start_) / std::chrono::milliseconds(1)) + " "; }
    std::string take() { return std::exchange(text_, {}); }

private:
    bine::ManualClock& clock_;
    bine::TimePoint start_;
    std::string text_;
};
