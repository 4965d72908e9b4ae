#include "bine/net/reconnecting_factory.h"

#include <algorithm>
#include <string>
#include <vector>

#include "bine/log/log.h"
#include "bine/net/tcp_states.h"

namespace bine::inline v0 {

using detail::ConnectorState;

static const Logger& logger() {
    static const Logger log("bine.tcp");
    return log;
}

ReconnectingClientFactory::ReconnectingClientFactory(Clock& clock)
    : clock_(clock), random_(std::random_device()()) {}

ReconnectingClientFactory::~ReconnectingClientFactory() = default;

// Null if there is no connector. Counted by weak references, so no other connector gets the address of one
// that is known here.
ReconnectingClientFactory::Course* ReconnectingClientFactory::courseOf(const Connector& connector) {
    const auto state = ConnectorState::of(connector);
    if (!state)
        return nullptr;
    if (const auto known = courses_.find(state.get()); known != courses_.end())
        return &known->second;
    std::erase_if(courses_, [](const auto& each) { return each.second.connector.expired(); });
    Course& course = courses_[state.get()];
    course.connector = state;
    return &course;
}

void ReconnectingClientFactory::resetDelay() {
    trying_ = true;
    const auto forget = [](Course& course) {
        course.retries = 0;
        course.delay = Duration::zero();
    };
    bool found = false;
    for (auto& [key, course] : courses_) {
        const auto connector = course.connector.lock();
        if (!connector || !connector->inHandler())
            continue;
        forget(course);
        found = true;
    }
    if (found)
        return;
    for (auto& [key, course] : courses_)
        forget(course);
}

void ReconnectingClientFactory::resetDelay(const Connector& connector) {
    trying_ = true;
    if (Course* const course = courseOf(connector)) {
        course->retries = 0;
        course->delay = Duration::zero();
    }
}

void ReconnectingClientFactory::resetDelay(const Protocol& protocol) {
    for (const auto& [key, course] : courses_) {
        const auto connector = course.connector.lock();
        if (connector && connector->serves(protocol))
            return resetDelay(Connector(connector));
    }
}

void ReconnectingClientFactory::stopTrying() {
    const auto keep = weak_from_this().lock();
    trying_ = false;
    std::vector<std::shared_ptr<ConnectorState>> connectors;
    for (const auto& [key, course] : courses_)
        if (auto connector = course.connector.lock())
            connectors.push_back(std::move(connector));
    for (const auto& connector : connectors)
        connector->giveUp();
}

bool ReconnectingClientFactory::trying(const Connector& connector) const {
    const auto state = ConnectorState::of(connector);
    return trying_ && state && !state->stopped();
}

int ReconnectingClientFactory::retries(const Connector& connector) const {
    const auto known = courses_.find(ConnectorState::of(connector).get());
    return known == courses_.end() ? 0 : known->second.retries;
}

int ReconnectingClientFactory::retries() const noexcept {
    int most = 0;
    for (const auto& [key, course] : courses_)
        most = (std::max)(most, course.retries);
    return most;
}

void ReconnectingClientFactory::startedConnecting(Connector& connector) { courseOf(connector); }

void ReconnectingClientFactory::clientConnectionFailed(Connector& connector, const Failure&) {
    retry(connector);
}

void ReconnectingClientFactory::clientConnectionLost(Connector& connector, const Failure&) {
    retry(connector);
}

Duration ReconnectingClientFactory::nextDelay(Course& course) {
    using Seconds = std::chrono::duration<double>;
    const double most = Seconds(maxDelay).count();
    const double next = course.delay == Duration::zero()
                            ? Seconds(initialDelay).count()
                            : Seconds(course.delay).count() * (std::max)(factor, 1.0);
    const double bounded = (std::clamp)(next, 0.0, most);
    course.delay = std::chrono::duration_cast<Duration>(Seconds(bounded));
    const double blurred =
        jitter > 0 ? std::normal_distribution<double>(bounded, bounded * jitter)(random_) : bounded;
    return std::chrono::duration_cast<Duration>(Seconds((std::clamp)(blurred, 0.0, most)));
}

void ReconnectingClientFactory::retry(const Connector& given) {
    const Connector connector = given;
    const auto state = ConnectorState::of(connector);
    Course* const course = courseOf(connector);
    if (!trying_ || !course || !state->mayRetry())
        return;
    if (maxRetries >= 0 && course->retries >= maxRetries) {
        if (noisy)
            logger().info("Giving up " + connector.getDestination().text() + " after " +
                          std::to_string(course->retries) + " retries");
        return;
    }
    ++course->retries;
    const Duration delay = nextDelay(*course);
    state->connectLater(clock_, delay);
    if (!noisy)
        return;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
    logger().info("Connecting to " + connector.getDestination().text() + " again in " + std::to_string(ms) +
                  " ms");
}

} // namespace bine::inline v0
