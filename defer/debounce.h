#pragma once
// Debounce: one call for a burst of events.
//
//     bine::Debounce save(reactor, 500ms, [this] { writeFile(); });
//     save();                                          // with each change; written when there was none for half a second
//
// Belongs to the clock's thread; the clock outlives it. Its end takes a call that waits back. Cost: a store per event, a timer per burst.

#include <memory>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/function.h"

namespace bine::inline v0 {

class Debounce {
public:
    /// Throws std::invalid_argument if `quiet` is negative.
    Debounce(Clock& clock, Delay quiet, Function<void()> f) : clock_(clock), quiet_(quiet), f_(std::make_shared<Function<void()>>(std::move(f))) {
        clock_.callLater(quiet_, [] {}).cancel();  // refuses what callLater() refuses, here and not at the first event
    }
    Debounce(const Debounce&) = delete;
    Debounce& operator=(const Debounce&) = delete;
    ~Debounce() { cancel(); }

    /// An event: f is called when there has been none for the time. What f throws is logged.
    void operator()() {
        if (call_.active())
            call_.reset(quiet_);
        else
            call_ = clock_.callLater(quiet_, [f = f_] { (*f)(); });
    }
    /// Calls f now if a call waits; what it throws comes out here.
    void flush() {
        if (!waits()) return;
        cancel();
        const auto f = f_;
        (*f)();
    }
    /// Takes a call that waits back.
    void cancel() {
        call_.cancel();
    }
    bool waits() const noexcept { return call_.active(); }

private:
    Clock& clock_;
    Delay quiet_;
    std::shared_ptr<Function<void()>> f_;  // it may destroy this object
    DelayedCall call_;
};

}  // namespace bine::inline v0
