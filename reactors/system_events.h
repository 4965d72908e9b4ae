#pragma once
// SystemEvents: startup, shutdown and users' own events, each in three phases: before, during, after. Internal; reactor's thread only.
//
// A 'before' trigger may return a Deferred: 'during' waits until all of these have fired or failed, or until giveUpWaiting(). Several events may be in progress at once.

#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "bine/reactors/reactor.h"

namespace bine::inline v0::detail {

class SystemEvents;

struct SystemTrigger {
    enum class State { waiting, ran, removed };
    State state = State::waiting;
    Phase phase;
    std::string event;
    TriggerFunction call;
    std::source_location where;
    const SystemEvents* home;
};

class SystemEvents {
public:
    SystemEvents() = default;
    SystemEvents(const SystemEvents&) = delete;
    SystemEvents& operator=(const SystemEvents&) = delete;
    ~SystemEvents();

    std::shared_ptr<SystemTrigger> add(Phase phase, std::string_view event, TriggerFunction call, std::source_location where);
    /// Throws std::invalid_argument: not of this reactor, or removed before, or run (a warning while its event is still waiting in 'before').
    void remove(const std::shared_ptr<SystemTrigger>& trigger);
    /// Runs the phases now as far as they go. `mayGoOn` is asked when the 'before' triggers and their Deferreds are done; while it says no, proceed() asks it again. `during`
    /// is called before the 'during' triggers, which wait for its Deferred; `done` after everything.
    void fire(std::string_view event, Function<Deferred<void>()> during = nullptr, Function<void()> done = nullptr, Function<bool()> mayGoOn = nullptr);
    void proceed(std::string_view event);
    /// Logs by name what the event still waits for, and goes on without it.
    void giveUpWaiting(std::string_view event);
    /// Forgets the events in progress, or those of that name: their later phases never run (crash, destruction).
    void abandon(std::string_view event = {});

private:
    struct Progress;
    void runBefore(const std::shared_ptr<Progress>& progress);
    void advance(const std::shared_ptr<Progress>& progress);
    void runRest(const std::shared_ptr<Progress>& progress);
    void runTriggers(const std::shared_ptr<Progress>& progress);
    void runPhase(Phase phase, const std::string& event, const std::function<void(const std::shared_ptr<SystemTrigger>&)>& each);

    std::vector<std::shared_ptr<SystemTrigger>> triggers_;
    std::vector<std::shared_ptr<Progress>> inProgress_;
};

}  // namespace bine::inline v0::detail
