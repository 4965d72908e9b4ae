#include "bine/application/start_application.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bine/application/service_state.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0 {

namespace {

using detail::ServiceState;

/// The parent of a reactor's applications: in its service slot, so that it dies with it. It is never started
/// itself; each application is, when its time has come.
class Applications final : public MultiService {
public:
    static std::shared_ptr<Applications> of(Reactor& reactor) {
        if (auto applications = reactor.service<Applications>())
            return applications;
        auto applications = std::make_shared<Applications>();
        reactor.provideService<Applications>(applications);
        return applications;
    }

    /// Triggers run once: watching begins afresh in each run of the reactor that needs it.
    void watchShutdown(Reactor& reactor) {
        if (std::exchange(watching_, true))
            return;
        const std::weak_ptr<Service> weak = weak_from_this();
        reactor.addSystemEventTrigger(Phase::before, "shutdown", [weak] {
            const auto self = std::static_pointer_cast<Applications>(weak.lock());
            return self ? self->endAll() : succeed();
        });
    }

    /// If it is still here.
    void leave(ServiceState& application) {
        if (!application.service || application.service->parent() != this)
            return;
        std::string name = application.description();
        ServiceState::logged(application.service->disownServiceParent(), std::move(name));
    }

private:
    // They are kept until they have stopped.
    Deferred<> endAll() {
        watching_ = false;
        std::vector<std::shared_ptr<ServiceState>> all;
        for (const Service* service : services())
            all.push_back(ServiceState::of(*service).shared_from_this());
        for (auto last = all.rbegin(); last != all.rend(); ++last)
            leave(**last);
        return stopService(); // waits for those that have left
    }

    bool watching_ = false;
};

/// Starts an application in its time. Nobody is left waiting: not if the reactor dies first, either.
class Start {
public:
    Start(const std::shared_ptr<Applications>& home, std::shared_ptr<ServiceState> service, Resolver<> started)
        : home_(home), service_(std::move(service)), started_(std::move(started)) {}
    Start(Start&&) noexcept = default;
    ~Start() {
        if (!started_.called())
            started_.callback();
    }

    void operator()() {
        const auto home = home_.lock();
        if (!home || !service_->service || service_->service->parent() != home.get())
            return;
        try {
            service_->start();
        } catch (...) {
            Failure failure = Failure::current();
            home->leave(*service_);
            return started_.errback(std::move(failure));
        }
        started_.callback();
    }

private:
    std::weak_ptr<Applications> home_;
    std::shared_ptr<ServiceState> service_;
    Resolver<> started_;
};

} // namespace

Deferred<> startApplication(Reactor& reactor, Service& service, std::source_location where) {
    const auto state = ServiceState::of(service).shared_from_this();
    if (service.parent())
        throw std::logic_error("startApplication: " + state->description() + " has a parent, with which it is started");
    const auto home = Applications::of(reactor);
    service.setServiceParent(*home);
    home->watchShutdown(reactor);
    try {
        state->prepare();
    } catch (...) {
        home->leave(*state);
        throw;
    }
    Resolver<> started;
    Deferred<> done = started.deferred(where);
    reactor.callWhenRunning(Start(home, state, std::move(started)));
    return done;
}

} // namespace bine::inline v0
