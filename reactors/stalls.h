#pragma once
// What holds the loop: CallbackMeter measures each callback of a reactor, StallWatchdog tells of one that takes too long while it does. Internal.
//
// The meter belongs to the reactor's thread. Its cost is one look at the clock for each callback, which the turn's budget shares. A callback that runs a
// nested loop holds nothing while that loop waits or serves: each of the stretches between is measured for itself.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "bine/defer/clock.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// What a callback is called. Made for each one, so it only points at what lives for ever: names of types and of source files. No user code is asked.
struct CallbackName {
    enum class Kind : std::uint8_t { none, delayedCall, threadCall, connection, connecting, port, descriptor, next, startup, shutdown };

    Kind kind = Kind::none;
    std::uint32_t number = 0;   ///< line, session, port or descriptor
    const char* name = nullptr; ///< of the source file, or of the type as typeid() says it

    explicit operator bool() const noexcept { return kind != Kind::none; }
    /// "callLater() at main.cpp:12", "Echo,3", "connecting, asked for at main.cpp:12", "port 8000", "Console, descriptor 7". No place inside the library.
    std::string text() const;
};

/// The thread that looks on. Used on the reactor's thread, which does a few stores at the beginning and the end of a callback. While nothing happens it sleeps
/// without a timeout; the first callback after such a rest wakes it.
class StallWatchdog {
public:
    explicit StallWatchdog(Duration limit);
    /// Waits for the thread's end; but not for a log observer that does not return.
    ~StallWatchdog();
    StallWatchdog(const StallWatchdog&) = delete;
    StallWatchdog& operator=(const StallWatchdog&) = delete;

    /// Since then this runs; nothing, if the name is empty.
    void publish(const CallbackName& what, TimePoint since);

private:
    class Shared;
    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

class BINE_EXPORT CallbackMeter {
public:
    /// Stands around one callback. REQUIRES: somebody keeps the meter.
    class Scope {
    public:
        Scope(CallbackMeter& meter, const CallbackName& name) : meter_(meter), outer_(meter.current_) { meter.begin(name); }
        ~Scope() { meter_.end(outer_); }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

    private:
        CallbackMeter& meter_;
        const CallbackName outer_;
    };

    /// A turn begins, or something else that has callbacks.
    void turnBegins(TimePoint now) {
        if (current_) [[unlikely]]
            nestedTurn(now);
        since_ = now;
    }
    /// The loop is about to wait.
    void loopWaits() {
        if (current_ && !waiting_) [[unlikely]]
            nestedWait();
    }
    /// It does not wait any more. Not every host says so; the next turn does.
    void loopWoke() {
        if (current_ && waiting_) [[unlikely]]
            nestedWake();
    }
    /// When the last turn began, or the last callback ended, whichever was later.
    TimePoint lastLook() const noexcept { return since_; }

    /// The callback on top of the stack; none outside of callbacks.
    const CallbackName& current() const noexcept { return current_; }
    Duration longest() const noexcept { return longest_; }
    const CallbackName& longestName() const noexcept { return longestName_; }

    void watch(Duration limit);
    void unwatch() noexcept { watchdog_.reset(); }

private:
    void begin(const CallbackName& name) {
        current_ = name;
        if (watchdog_) watchdog_->publish(current_, since_);
    }
    void end(const CallbackName& outer) {
        const TimePoint now = std::chrono::steady_clock::now();
        if (!waiting_) note(now);
        current_ = outer;
        since_ = now;
        waiting_ = false;
        if (watchdog_) watchdog_->publish(current_, since_);
    }
    void note(TimePoint now) {
        if (now - since_ <= longest_) [[likely]]
            return;
        longest_ = now - since_;
        longestName_ = current_;
    }
    void nestedTurn(TimePoint now);
    void nestedWait();
    void nestedWake();

    CallbackName current_;
    TimePoint since_{};
    bool waiting_ = false;  // in a loop that current_ runs
    std::unique_ptr<StallWatchdog> watchdog_;
    Duration longest_{};
    CallbackName longestName_;
};

}  // namespace bine::inline v0::detail
