#include "bine/reactors/system_events.h"

#include <algorithm>
#include <stdexcept>

#include "bine/defer/errors.h"
#include "bine/log/log.h"
#include "bine/log/place.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0::detail {

/// One firing of an event.
struct SystemEvents::Progress {
    SystemEvents* home;
    std::string event;
    Function<Deferred<void>()> during;
    Function<void()> done;
    Function<bool()> mayGoOn;
    std::vector<std::shared_ptr<SystemTrigger>> waitingFor;
    bool beforeIsOver = false;  // all 'before' triggers have been called
    bool restStarted = false;
};

namespace {
const Logger& logger() {
    static const Logger log("bine.reactor");
    return log;
}

std::string describe(const SystemTrigger& trigger) {
    if (isInternal(trigger.where)) return "the library's 'before " + trigger.event + "' trigger";
    return "the 'before " + trigger.event + "' trigger added at " + trigger.where.file_name() + ":" + std::to_string(trigger.where.line());
}
}  // namespace

SystemEvents::~SystemEvents() { abandon(); }

std::shared_ptr<SystemTrigger> SystemEvents::add(Phase phase, std::string_view event, TriggerFunction call, std::source_location where) {
    auto trigger = std::make_shared<SystemTrigger>();
    trigger->phase = phase;
    trigger->event = event;
    trigger->call = std::move(call);
    trigger->where = where;
    trigger->home = this;
    triggers_.push_back(trigger);
    return trigger;
}

void SystemEvents::remove(const std::shared_ptr<SystemTrigger>& trigger) {
    if (!trigger) return;
    if (trigger->home != this) throw std::invalid_argument("removeSystemEventTrigger: not a trigger of this reactor");
    if (trigger->state == SystemTrigger::State::removed) return;
    if (trigger->state == SystemTrigger::State::ran) {
        const bool stillBefore = std::any_of(inProgress_.begin(), inProgress_.end(), [&](const auto& progress) {
            return progress->event == trigger->event && !progress->restStarted;
        });
        if (trigger->phase == Phase::before && stillBefore)
            logger().warn("A 'before " + trigger->event + "' trigger was removed after it had run; that changes nothing");
        return;
    }
    trigger->state = SystemTrigger::State::removed;
    trigger->call = nullptr;
    std::erase(triggers_, trigger);
}

// Pops one, runs one: a trigger may remove or add others, or run a nested turn that comes here again.
void SystemEvents::runPhase(Phase phase, const std::string& event, const std::function<void(const std::shared_ptr<SystemTrigger>&)>& each) {
    for (;;) {
        const auto next = std::find_if(triggers_.begin(), triggers_.end(),
                                       [&](const auto& trigger) { return trigger->phase == phase && trigger->event == event; });
        if (next == triggers_.end()) return;
        const std::shared_ptr<SystemTrigger> trigger = *next;
        triggers_.erase(next);
        trigger->state = SystemTrigger::State::ran;
        each(trigger);
    }
}

void SystemEvents::fire(std::string_view event, Function<Deferred<void>()> during, Function<void()> done, Function<bool()> mayGoOn) {
    auto progress = std::make_shared<Progress>();
    progress->home = this;
    progress->event = event;
    progress->during = std::move(during);
    progress->done = std::move(done);
    progress->mayGoOn = std::move(mayGoOn);
    inProgress_.push_back(progress);
    runBefore(progress);
}

void SystemEvents::runBefore(const std::shared_ptr<Progress>& progress) {
    runPhase(Phase::before, progress->event, [&](const std::shared_ptr<SystemTrigger>& trigger) {
        guarded("Unhandled error in " + describe(*trigger), [&] {
            TriggerFunction call = std::move(trigger->call);
            Deferred<void> result = call();
            progress->waitingFor.push_back(trigger);
            std::weak_ptr<Progress> weak = progress;
            std::move(result).addBoth([weak, trigger](Result<void> outcome) {
                const auto progress = weak.lock();
                const bool awaited = progress && progress->home;
                // After a crash, or past the deadline, nobody is left to tell that nobody will answer.
                if (outcome.isFailure() && (awaited || !outcome.failure().check<AbandonedError, CancelledError>()))
                    logger().failure(outcome.failure().exceptionPtr(), "Unhandled error in " + describe(*trigger));
                if (!progress) return;
                std::erase(progress->waitingFor, trigger);
                if (progress->home) progress->home->advance(progress);
            });
        });
    });
    progress->beforeIsOver = true;
    advance(progress);
}

void SystemEvents::proceed(std::string_view event) {
    const auto all = inProgress_;
    for (const auto& progress : all)
        if (progress->event == event && progress->home) advance(progress);
}

void SystemEvents::advance(const std::shared_ptr<Progress>& given) {
    const std::shared_ptr<Progress> progress = given;
    if (!progress->beforeIsOver || !progress->waitingFor.empty() || progress->restStarted) return;
    if (progress->mayGoOn && !progress->mayGoOn()) return;
    if (progress->home) progress->home->runRest(progress);
}

void SystemEvents::runRest(const std::shared_ptr<Progress>& given) {
    const std::shared_ptr<Progress> progress = given;
    if (progress->restStarted || !progress->home) return;
    progress->restStarted = true;
    if (!progress->during) return runTriggers(progress);
    progress->during().addBoth([progress](Result<void>) {
        if (progress->home) progress->home->runTriggers(progress);
    });
}

void SystemEvents::runTriggers(const std::shared_ptr<Progress>& progress) {
    const auto run = [](const std::shared_ptr<SystemTrigger>& trigger) {
        guarded("Unhandled error in a trigger of '" + trigger->event + "'", [&] {
            TriggerFunction call = std::move(trigger->call);
            call();  // a failing Deferred reports itself
        });
    };
    if (progress->home) runPhase(Phase::during, progress->event, run);
    if (progress->home) runPhase(Phase::after, progress->event, run);
    if (!progress->home) return;
    std::erase(inProgress_, progress);
    progress->home = nullptr;
    if (progress->done) progress->done();
}

void SystemEvents::giveUpWaiting(std::string_view event) {
    const auto waiting = inProgress_;
    for (const auto& progress : waiting) {
        if (progress->event != event || progress->restStarted) continue;
        for (const auto& trigger : progress->waitingFor)
            logger().error("The deadline of '" + progress->event + "' has passed; not waiting any longer for " + describe(*trigger));
        progress->waitingFor.clear();
        progress->beforeIsOver = true;
        runRest(progress);
    }
}

void SystemEvents::abandon(std::string_view event) {
    std::erase_if(inProgress_, [&](const auto& progress) {
        if (!event.empty() && progress->event != event) return false;
        progress->home = nullptr;
        return true;
    });
}

}  // namespace bine::inline v0::detail
