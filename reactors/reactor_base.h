#pragma once
// ReactorBase: a Reactor over a set of descriptors; what the reactors of this library share.
//
// A handle: the machinery behind it (detail::ReactorCore) is kept by every frame that dispatches, so a reactor may be destroyed
// inside its own callbacks. Reactor's thread only, as Reactor says.

#include <cstdint>
#include <memory>
#include <string>

#include "bine/reactors/reactor.h"
#include "bine/reactors/signals.h"

namespace bine::inline v0 {

namespace detail {
class DescriptorSet;
class Poller;
}

/// What a reactor has done so far; counters never wrap in practice.
struct ReactorStats {
    std::uint64_t turns = 0;      ///< dispatches that had something to do or found nothing
    std::uint64_t cutTurns = 0;   ///< turns whose budget ended before their work
    std::uint64_t callbacks = 0;  ///< user callbacks run: timers, thread calls, descriptor events
    std::size_t descriptors = 0;  ///< in the set now, the reactor's own not counted
    std::size_t delayedCalls = 0; ///< pending now
    /// The longest that one callback has held the loop, in wall time: what froze a window. A dialog that a callback runs holds nothing up, so there each stretch between
    /// its turns and waits counts for itself. Not the callback that asks.
    Duration longestCallback{};
    std::string longestCallbackName; ///< "callLater() at main.cpp:12", "Echo,3"; empty if there was none
};

class BINE_EXPORT ReactorBase : public Reactor {
public:
    ~ReactorBase() override;

    TimePoint now() const override;
    Duration timeSlice() const override;
    std::vector<DelayedCall> getDelayedCalls() const override;

    void run() override;
    void stop() override;
    void crash() override;
    void iterate(Delay timeout = Duration::zero()) override;
    bool running() const override;
    void removeSystemEventTrigger(const SystemEventTrigger& trigger) override;
    void fireSystemEvent(std::string_view event) override;

    bool isInReactorThread() const override;
    void assertThread(std::string_view call) const override;
    std::shared_ptr<detail::Mailbox> mailbox() const override;
    ThreadPool& threadPool() override;
    void addReader(ReadDescriptor& reader) override;
    void addWriter(WriteDescriptor& writer) override;
    void removeReader(ReadDescriptor& reader) override;
    void removeWriter(WriteDescriptor& writer) override;
    std::vector<FileDescriptor*> removeAll() override;
    std::vector<ReadDescriptor*> getReaders() const override;
    std::vector<WriteDescriptor*> getWriters() const override;
    detail::ReactorCore* core() noexcept override { return core_; }
    void setTurnBudget(Delay budget) override;
    void setNestingLimit(int turns) override;
    void setShutdownDeadline(Delay deadline) override;

    /// Whether SIGINT and SIGTERM stop the reactor while it runs. Unless said they do in a run() that waits by itself, on the process's main thread, and not in hosts,
    /// whose application decides. What is not at its default disposition when the reactor starts is left alone. Said while it runs it counts at once: `on` takes what
    /// others have taken meanwhile, `off` gives everything back.
    void setSignalHandling(SignalHandling handling);
    /// The signal that ended the last run, SIGINT or SIGTERM; 0 if none did. For the end of main(): see exitWithSignal().
    int exitSignal() const;
    /// Logs a warning while a callback holds the loop for longer than that, and another one with its duration when it is over. Opt-in, for as long as the reactor
    /// runs; `infinite` switches it off. It has a thread of its own, on which log observers hear of it, and which sleeps while the loop does. Only callbacks of the
    /// reactor are watched, not those of a host. What is not positive throws std::invalid_argument.
    void warnOfStalls(Delay longest);

    ReactorStats stats() const;

protected:
    explicit ReactorBase(std::unique_ptr<detail::Poller> poller);

    // For hosts (Qt, GLib): see docs/embedding.md.

    /// The shutdown phases have run. Called at the end of a turn, at any depth; also from the destructor. A host takes its watchers off its loop here.
    virtual void shutdownFinished() {}
    /// crash() was called: as shutdownFinished(), without phases.
    virtual void crashed() { shutdownFinished(); }
    /// The nesting limit was reached (true), or a turn has ended since (false). Between the two the descriptor stays readable, and dispatch() does nothing: a
    /// host takes its watcher off the loop and puts it back, else the loop spins. Also called with true when it is so already.
    virtual void holdTurns(bool) {}
    /// Whether the host's loop is on the stack: then stop() works before the first turn too. Asked while an attached reactor has not started.
    virtual bool loopRuns() const { return false; }
    /// Runs the shutdown phases now, waiting by itself, within the deadline. No effect when not running or pending.
    void shutDownNow();
    /// To be called first in the destructor of every derived class that has a host: shuts down, marks the frames on the stack dead.
    void closeReactor() noexcept;

    void schedule(detail::Timer& timer) override;
    SystemEventTrigger addTrigger(Phase phase, std::string_view event, TriggerFunction f, std::source_location where) override;
    void whenRunning(Function<void()> f) override;
    void postFromThread(Function<void()> f) override;
    std::shared_ptr<void> findService(std::type_index type) const override;
    void storeService(std::type_index type, std::shared_ptr<void> service) override;

    detail::ReactorCore* core_;

private:
    friend class detail::ReactorCore;
    detail::DescriptorSet& descriptors();
};

}  // namespace bine::inline v0
