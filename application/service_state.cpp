#include "bine/application/service_state.h"

#include <stdexcept>
#include <utility>

#include "bine/defer/errors.h"
#include "bine/log/log.h"
#include "bine/net/protocol.h"

namespace bine::inline v0::detail {

namespace {

const Logger& logger() {
    static const Logger& log = *new Logger("bine.service");
    return log;
}

void logStopFailure(const std::string& description, const Failure& failure) {
    logger().failure(failure.exceptionPtr(), "Unhandled error in stopping " + description, LogLevel::critical,
                     failure.getTraceback());
}

} // namespace

// What is to be seen from inside a call is set before it.

void ServiceState::prepare() {
    if (prepared || running)
        return;
    if (stopping())
        throw std::logic_error(description() + " cannot be started: it has not stopped yet");
    const auto self = shared_from_this();
    const auto kept = service->weak_from_this().lock();
    prepared = true;
    try {
        service->privilegedStartService();
    } catch (...) {
        prepared = false;
        throw;
    }
}

void ServiceState::start() {
    if (running)
        return;
    const auto self = shared_from_this();
    const auto kept = service->weak_from_this().lock();
    prepare();
    if (!service || !prepared || running)
        return; // destroyed, stopped or started in there
    running = true;
    try {
        service->startService();
    } catch (...) {
        running = false;
        throw;
    }
}

// The chain below does not keep the service: a service may itself hold the Resolver of its end.
Deferred<> ServiceState::stop(std::source_location where) {
    if (stop_)
        return stop_->join(where);
    if (!service || !(prepared || running))
        return succeed();
    const auto self = shared_from_this();
    const auto kept = service->weak_from_this().lock();
    const auto line = std::make_shared<Line>();
    Deferred<> result = line->join(where);
    const std::string name = description(); // before it can be destroyed
    prepared = running = false;
    stop_ = line;
    // A chain of its own: one that has an owner may end without a word.
    succeed().addCallback([this] { return service->stopService(); })
        .addBoth([self, line, name](Result<> ended) { self->stopped(line, name, std::move(ended)); });
    return result;
}

Deferred<> ServiceState::stopLogged() {
    std::string name = description();
    return logged(stop(), std::move(name));
}

Deferred<> ServiceState::logged(Deferred<> stopped, std::string description) {
    return std::move(stopped).addErrback([description = std::move(description)](const Failure& failure) -> Result<> {
        if (failure.check<CancelledError>())
            return failure;
        logStopFailure(description, failure);
        return {};
    });
}

void ServiceState::stopped(const std::shared_ptr<Line>& line, const std::string& description, Result<> result) {
    if (stop_ == line)
        stop_ = nullptr;
    if (result.isFailure() && result.failure().check<AbandonedError, CancelledError>()) {
        logger().warn("Not waiting for " + description + " to stop: " + result.failure().getBriefTraceback());
        result = Result<>();
    }
    if (line->empty() && result.isFailure())
        logStopFailure(description, result.failure());
    line->serve([] { return true; }, [&] { return result; });
}

void ServiceState::destroyed() {
    const auto self = shared_from_this();
    service = nullptr;
    prepared = running = false;
    if (const auto line = std::exchange(stop_, nullptr))
        line->serve([] { return true; }, [] { return Result<>(); });
}

std::string ServiceState::description() const {
    if (!service->name().empty())
        return "the service '" + service->name() + "'";
    return "a nameless " + className(typeid(*service));
}

} // namespace bine::inline v0::detail
