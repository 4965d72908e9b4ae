#pragma once
// Reactor: the loop that everything stands on (IReactorCore, IReactorTime, IReactorThreads, IReactorFDSet).
//
// It belongs to the thread that made it; every function is called there, but for callFromThread() and isInReactorThread(), which
// any thread may call. There may be several reactors in a process, on one thread or on many; none is global. Waiting is
// somebody else's: the reactor's own run(), Qt, GLib, or any loop that can watch a descriptor.

#include <any>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class FileDescriptor;
class ReadDescriptor;
class ThreadPool;
class WriteDescriptor;

namespace detail {
class Mailbox;
class ReactorCore;
struct SystemTrigger;
}  // namespace detail

/// The three steps of a system event.
enum class Phase { before, during, after };

/// A phase, by value or by Twisted's name for it, and the place in the source that names it. Another word throws std::invalid_argument.
class BINE_EXPORT PhaseName {
public:
    PhaseName(Phase phase, std::source_location where = std::source_location::current()) : phase_(phase), where_(where) {}
    PhaseName(const char* name, std::source_location where = std::source_location::current());
    Phase phase() const { return phase_; }
    std::source_location where() const { return where_; }

private:
    Phase phase_;
    std::source_location where_;
};

/// A registered system event trigger, for removal. Copies mean the same trigger.
class SystemEventTrigger {
public:
    SystemEventTrigger() = default;
    explicit SystemEventTrigger(std::shared_ptr<detail::SystemTrigger> trigger) : trigger_(std::move(trigger)) {}

private:
    friend class ReactorBase;
    std::shared_ptr<detail::SystemTrigger> trigger_;
};

/// A function on the loop's thread, queued from anywhere; Deferred<> results of 'before' triggers delay the phases after them.
using TriggerFunction = Function<Deferred<void>()>;

/// The name of a system event, and the place in the source that asked for it.
class EventName {
public:
    template <class Name>
        requires std::is_convertible_v<const Name&, std::string_view>
    EventName(const Name& name, std::source_location where = std::source_location::current()) : name_(name), where_(where) {}
    std::string_view name() const { return name_; }
    std::source_location where() const { return where_; }

private:
    std::string_view name_;
    std::source_location where_;
};

class BINE_EXPORT Reactor : public Clock {
public:
    ~Reactor() override;
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    // --- Life. What happens when is in docs/reactor.md, "The life of a reactor".

    /// Starts, serves until stop() or crash(), and returns. Throws ReactorAlreadyRunning; ReactorNotRestartable from an 'after shutdown' trigger.
    virtual void run() = 0;
    /// Asks for an orderly shutdown: its phases run when the callback that calls this has returned, or in the next nested turn. No effect while it stops
    /// and after the end. Throws ReactorNotRunning if it has not been started: run() would not end.
    virtual void stop() = 0;
    /// Leaves run() now, without the shutdown events. No effect when not running.
    virtual void crash() = 0;
    /// One pass: waits up to `timeout` for something to do, then does it. Allowed inside a callback (a nested pass).
    virtual void iterate(Delay timeout = Duration::zero()) = 0;
    /// True from the 'during startup' phase until 'during shutdown' begins.
    virtual bool running() const = 0;

    // --- System events: "startup", "shutdown", and any name of your own with fireSystemEvent().

    /// Calls f once when the event reaches the phase. Exceptions are logged, the other triggers still run.
    template <class F, class... Args>
    SystemEventTrigger addSystemEventTrigger(PhaseName phase, std::string_view event, F&& f, Args&&... args) {
        return addTrigger(phase.phase(), event, triggerFunction(std::forward<F>(f), std::forward<Args>(args)...), phase.where());
    }
    /// The trigger will not run. No effect if it ran, was removed before, or the handle is empty. Throws std::invalid_argument if it belongs to another reactor.
    virtual void removeSystemEventTrigger(const SystemEventTrigger& trigger) = 0;
    virtual void fireSystemEvent(std::string_view event) = 0;

    /// Calls f once running: now if it is running, else after the startup, in the order of the calls.
    template <class F, class... Args>
    void callWhenRunning(F&& f, Args&&... args) {
        constexpr auto verdict = detail::laterCall<F, Args...>;
        static_assert(verdict != detail::LaterCall::impossible,
                      "callWhenRunning: this callable does not take the arguments that follow it: write callWhenRunning(f, 42) for [](int n) { ... }");
        static_assert(verdict != detail::LaterCall::defers,
                      "callWhenRunning: the callable returns a Deferred, which callWhenRunning does not wait for: end it with .logFailures()");
        if constexpr (verdict != detail::LaterCall::possible)
            return;
        else if constexpr (sizeof...(Args) == 0)
            whenRunning(Function<void()>(std::forward<F>(f)));
        else
            whenRunning(detail::boundCall(std::forward<F>(f), std::forward<Args>(args)...));
    }

    // --- Threads.

    /// Runs f on the reactor's thread in a later turn, in the order of the calls of all threads. Any thread. Before the reactor runs, f
    /// waits for it; after its death f is destroyed. Exceptions are logged.
    template <class F>
    void callFromThread(F&& f) {
        constexpr auto verdict = detail::laterCall<F>;
        static_assert(verdict != detail::LaterCall::impossible, "callFromThread: this callable takes arguments: write [=] { f(argument); }");
        static_assert(verdict != detail::LaterCall::defers,
                      "callFromThread: the callable returns a Deferred, which callFromThread does not wait for: write blockingCallFromThread(), or end it with "
                      ".logFailures()");
        if constexpr (verdict == detail::LaterCall::possible) postFromThread(Function<void()>(std::forward<F>(f)));
    }
    /// Whether the caller is on the reactor's thread. Any thread.
    virtual bool isInReactorThread() const = 0;
    /// The mailbox outlives the reactor: code on other threads keeps it, never the reactor.
    virtual std::shared_ptr<detail::Mailbox> mailbox() const = 0;
    /// Runs f on a worker of threadPool(); exceptions are logged. To have its result: deferToThread().
    template <class F>
    void callInThread(F&& f, std::source_location where = std::source_location::current()) {
        constexpr auto verdict = detail::laterCall<F>;
        static_assert(verdict != detail::LaterCall::impossible, "callInThread: this callable takes arguments: write [=] { f(argument); }");
        static_assert(verdict != detail::LaterCall::defers,
                      "callInThread: the callable returns a Deferred, which may not be made on another thread: write blockingCallFromThread() in it");
        if constexpr (verdict == detail::LaterCall::possible) runInThread(Function<void()>(std::forward<F>(f)), where);
    }
    /// How many workers that pool may have: ten unless said otherwise. What is beyond waits its turn. Throws std::invalid_argument for none.
    void suggestThreadPoolSize(std::size_t most);
    /// The reactor's thread pool (getThreadPool), made on first use. Until the reactor starts, and again when its shutdown is over, it queues; it is stopped during
    /// shutdown, within what is left of the deadline.
    virtual ThreadPool& threadPool() = 0;

    // --- Descriptors of your own, see bine/reactors/descriptor.h and docs/descriptors.md. Without them, all but the adding does nothing.

    /// Calls doRead() whenever there is something to read, from a later turn on, until it is removed; a second time does nothing, unless its number has
    /// changed: then it follows. Regular files, which are always ready, are served once in a millisecond. A number may have one reader and one writer. Throws
    /// ConnectionFdescWentAway if fileno() is no open descriptor, and what fileno() throws; std::out_of_range if the descriptor is too large for select();
    /// std::system_error if the kernel refuses it; std::logic_error if the number has another reader, or the object another reactor.
    virtual void addReader(ReadDescriptor& reader);
    /// Calls doWrite() whenever something can be written. Else as addReader().
    virtual void addWriter(WriteDescriptor& writer);
    /// doRead() is not called again. No effect if it was not added; connectionLost() is not called.
    virtual void removeReader(ReadDescriptor& reader);
    virtual void removeWriter(WriteDescriptor& writer);
    /// Removes all that were added, and returns them, once each. Connections and ports of this library are none of them.
    virtual std::vector<FileDescriptor*> removeAll();
    /// Those that are added now, in the order of their numbers.
    virtual std::vector<ReadDescriptor*> getReaders() const;
    virtual std::vector<WriteDescriptor*> getWriters() const;

    // --- Bounds. A reactor that has no such bound ignores it (a simulated one).

    /// How long one turn may take before the host gets control again: 1 ms in hosts, no limit in the own loop unless set. Zero: one callback of each kind. Throws
    /// std::invalid_argument if negative.
    virtual void setTurnBudget(Delay budget);
    /// How many turns may be on the stack, each but the first in an event loop that a callback of the one before runs: 64 unless set. Beyond that a nested turn runs
    /// nothing, one warning in a run names the callback, and the turn below serves what waits. See docs/nested-loops.md for the stack that a turn needs. Throws
    /// std::invalid_argument below 1.
    virtual void setNestingLimit(int turns);
    /// How long all of shutdown may take: 750 ms unless set; `infinite` for no bound. What is not done by then is logged by name and left. Throws
    /// std::invalid_argument if negative.
    virtual void setShutdownDeadline(Delay deadline);
    static constexpr Duration infinite = (Duration::max)();

    // --- The service slot: what floors above hang onto a reactor (networking, a resolver), found by interface.

    template <class I>
    std::shared_ptr<I> service() const {
        return std::static_pointer_cast<I>(findService(typeid(I)));
    }
    /// Replaces the service of that interface. It is released with the reactor.
    template <class I>
    void provideService(std::shared_ptr<I> service) {
        storeService(typeid(I), std::move(service));
    }
    /// What the kernel-facing transports of this library stand on; null in reactors that have no descriptors (simulated ones).
    virtual detail::ReactorCore* core() noexcept { return nullptr; }

protected:
    Reactor() = default;
    virtual SystemEventTrigger addTrigger(Phase phase, std::string_view event, TriggerFunction f, std::source_location where) = 0;
    virtual void whenRunning(Function<void()> f) = 0;
    virtual void postFromThread(Function<void()> f) = 0;
    virtual std::shared_ptr<void> findService(std::type_index type) const = 0;
    virtual void storeService(std::type_index type, std::shared_ptr<void> service) = 0;

private:
    void runInThread(Function<void()> f, std::source_location where);
    template <class F, class... Args>
    static TriggerFunction triggerFunction(F&& f, Args&&... args) {
        constexpr auto verdict = detail::laterCall<F, Args...>;
        static_assert(verdict != detail::LaterCall::impossible,
                      "addSystemEventTrigger: this callable does not take the arguments that follow it: write addSystemEventTrigger(\"before\", \"shutdown\", f, 42) "
                      "for [](int n) { ... }");
        if constexpr (verdict == detail::LaterCall::impossible) {
            return {};
        } else {
            return [call = detail::boundCall(std::forward<F>(f), std::forward<Args>(args)...)]() mutable -> Deferred<void> {
                if constexpr (verdict == detail::LaterCall::defers) {
                    return call().addCallback([](auto&&...) {});
                } else {
                    call();
                    return succeed();
                }
            };
        }
    }
};

}  // namespace bine::inline v0
