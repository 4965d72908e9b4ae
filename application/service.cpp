#include "bine/application/service.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "bine/application/service_state.h"
#include "bine/defer/gather_results.h"

namespace bine::inline v0 {

using detail::ServiceState;

Service& detail::serviceAt(Service* service, const char* call) {
    if (!service)
        throw std::invalid_argument(std::string(call) + ": the std::shared_ptr is null, and must hold a service");
    return *service;
}

Service::Service() : state_(std::make_shared<ServiceState>(*this)) {}

Service::~Service() {
    if (MultiService* const parent = this->parent())
        parent->forget(*state_);
    state_->parent.reset();
    state_->destroyed();
}

void Service::privilegedStartService() { state_->prepared = true; }

void Service::startService() { state_->running = true; }

Deferred<> Service::stopService() {
    state_->prepared = state_->running = false;
    return succeed();
}

void Service::setName(std::string name) {
    if (parent())
        throw std::logic_error("setName: " + state_->description() + " has a parent, which knows it by its name");
    name_ = std::move(name);
}

MultiService* Service::parent() const noexcept {
    const auto parent = state_->parent.lock();
    return parent ? static_cast<MultiService*>(parent->service) : nullptr;
}

bool Service::running() const noexcept { return state_->running; }

void Service::setServiceParent(MultiService& parent) {
    parent.checkMayAdd(*this);
    if (this->parent()) {
        const auto own = state_, adopting = parent.state_;
        const auto kept = weak_from_this().lock();
        disownServiceParent();
        if (!own->service || !adopting->service || this->parent())
            return; // what runs at a stop may have changed everything
        return parent.add(*this);
    }
    parent.add(*this);
}

Deferred<> Service::disownServiceParent(std::source_location where) {
    if (MultiService* const parent = this->parent())
        return parent->letGo(state_, where);
    return state_->stopping() ? state_->stop(where) : succeed();
}

// --- Children. A call of one of them may change the list, or end all that there is: each loop goes over a copy, which keeps what
// the list keeps, and asks before each call whether that child is still one.

MultiService::MultiService() = default;

MultiService::~MultiService() {
    state_->prepared = state_->running = false;
    for (auto* const list : {&children_, &leaving_})
        while (!list->empty()) {
            const Child youngest = std::move(list->back());
            list->pop_back();
            if (list == &children_)
                youngest.state->parent.reset();
        }
}

template <class Step>
void MultiService::forEachChild(Step step) {
    const auto own = state_;
    try {
        for (const auto children = children_; const Child& child : children)
            if (child.state->childOf(own))
                step(*own, *child.state);
    } catch (...) {
        if (own->service)
            MultiService::stopService();
        throw;
    }
}

void MultiService::privilegedStartService() {
    Service::privilegedStartService();
    forEachChild([](const ServiceState& own, ServiceState& child) {
        if (own.prepared)
            child.prepare();
    });
}

void MultiService::startService() {
    Service::startService();
    forEachChild([](const ServiceState& own, ServiceState& child) {
        if (own.running)
            child.start();
    });
}

Deferred<> MultiService::stopService() {
    Service::stopService();
    const auto own = state_;
    std::vector<Deferred<>> ends;
    const auto children = children_;
    for (auto child = children.rbegin(); child != children.rend(); ++child)
        if (child->state->childOf(own))
            ends.push_back(child->state->stopLogged());
    if (own->service)
        for (const Child& child : leaving_)
            if (child.state->stopping()) // its failure is told to whoever took it away
                ends.push_back(child.state->stop().addErrback([](const Failure& failure) -> Result<> {
                    return failure.check<CancelledError>() ? Result<>(failure) : Result<>();
                }));
    return gatherResults(std::move(ends), GatherResultsOptions().consumeErrors());
}

Service& MultiService::getServiceNamed(std::string_view name) const {
    std::string names;
    for (const Child& child : children_) {
        Service& service = *child.state->service;
        if (!name.empty() && service.name() == name)
            return service;
        if (!service.name().empty())
            names += (names.empty() ? "" : ", ") + service.name();
    }
    throw std::out_of_range("getServiceNamed: there is no service '" + std::string(name) + "'; there " +
                            (names.empty() ? "is none that has a name" : "are: " + names));
}

std::vector<Service*> MultiService::services() const {
    std::vector<Service*> services;
    for (const Child& child : children_)
        services.push_back(child.state->service);
    return services;
}

void MultiService::checkMayAdd(const Service& child) const {
    for (const Service* ancestor = this; ancestor; ancestor = ancestor->parent())
        if (ancestor == &child)
            throw std::invalid_argument("setServiceParent: a service cannot be its own descendant");
    if (child.name().empty())
        return;
    for (const Child& other : children_)
        if (other.state->service != &child && other.state->service->name() == child.name())
            throw std::invalid_argument("setServiceParent: the parent has a service '" + child.name() + "' already");
}

void MultiService::add(Service& child) {
    checkMayAdd(child);
    const auto own = state_, state = child.state_;
    children_.push_back({state, child.weak_from_this().lock()});
    state->parent = own;
    if (!running())
        return;
    try {
        state->start();
    } catch (...) {
        if (own->service && state->childOf(own)) {
            std::string name = state->description();
            ServiceState::logged(letGo(state, std::source_location::current()), std::move(name));
        }
        throw;
    }
}

Deferred<> MultiService::letGo(const std::shared_ptr<ServiceState>& given, std::source_location where) {
    const auto own = state_, state = given;
    const auto place = std::ranges::find(children_, state, &Child::state);
    const Child child = std::move(*place);
    children_.erase(place);
    state->parent.reset();
    Deferred<> stopped = state->stop(where);
    if (own->service && state->stopping()) {
        leaving_.push_back(child);
        state->stop().addBoth([own, state](Result<>) {
            if (own->service)
                static_cast<MultiService*>(own->service)->hasStopped(*state);
        });
    }
    return stopped;
}

void MultiService::forget(const ServiceState& child) noexcept {
    std::erase_if(children_, [&](const Child& each) { return each.state.get() == &child; });
}

void MultiService::hasStopped(const ServiceState& child) {
    const auto isIt = [&](const Child& each) { return each.state.get() == &child; };
    const auto place = std::ranges::find_if(leaving_, isIt);
    if (place == leaving_.end())
        return;
    const Child last = std::move(*place); // destroyed when the list is in order
    leaving_.erase(place);
}

} // namespace bine::inline v0
