#include "bine/net/reconnecting_factory.h"

#include <algorithm>

#include "bine/log/log.h"

namespace bine::inline v0 {

static const Logger& logger() {
    static const Logger log("bine.tcp");
    return log;
}

ReconnectingClientFactory::ReconnectingClientFactory(Clock& clock)
    : clock_(clock), random_(std::random_device()()) {}

ReconnectingClientFactory::~ReconnectingClientFactory() = default;

void ReconnectingClientFactory::resetDelay() {
    retries_ = 0;
    delay_ = Duration::zero();
    trying_ = true;
}

void ReconnectingClientFactory::stopTrying() {
    const auto keep = weak_from_this().lock();
    trying_ = false;
    if (waiting_.active())
        waiting_.cancel();
    Connector connecting = std::exchange(connecting_, {});
    if (connecting.state() == Connector::State::connecting)
        connecting.stopConnecting();
}

void ReconnectingClientFactory::startedConnecting(Connector& connector) { connecting_ = connector; }

void ReconnectingClientFactory::clientConnectionFailed(Connector& connector, const Failure&) {
    connecting_ = {};
    retry(connector);
}

void ReconnectingClientFactory::clientConnectionLost(Connector& connector, const Failure&) {
    connecting_ = {};
    retry(connector);
}

Duration ReconnectingClientFactory::nextDelay() {
    using Seconds = std::chrono::duration<double>;
    const double most = Seconds(maxDelay).count();
    const double next = delay_ == Duration::zero() ? Seconds(initialDelay).count()
                                                   : Seconds(delay_).count() * (std::max)(factor, 1.0);
    const double bounded = (std::clamp)(next, 0.0, most);
    delay_ = std::chrono::duration_cast<Duration>(Seconds(bounded));
    const double blurred =
        jitter > 0 ? std::normal_distribution<double>(bounded, bounded * jitter)(random_) : bounded;
    return std::chrono::duration_cast<Duration>(Seconds((std::clamp)(blurred, 0.0, most)));
}

void ReconnectingClientFactory::retry(const Connector& connector) {
    if (!trying_)
        return;
    if (maxRetries >= 0 && retries_ >= maxRetries) {
        if (noisy)
            logger().info("Giving up " + connector.getDestination().text() + " after " +
                          std::to_string(retries_) + " retries");
        return;
    }
    ++retries_;
    const Duration delay = nextDelay();
    if (noisy) {
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
        logger().info("Connecting to " + connector.getDestination().text() + " again in " +
                      std::to_string(ms) + " ms");
    }
    waiting_ = clock_.callLater(delay, [connector]() mutable { connector.connect(); });
}

} // namespace bine::inline v0
