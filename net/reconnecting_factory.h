#pragma once
// ReconnectingClientFactory: a ClientFactory that tries again, after delays that grow.
//
// Reactor's thread only. Derive from it and build protocols, or use forProtocol() and make(). A protocol that
// has got what it came for (a login, say) calls resetDelay(); whoever overrides clientConnectionFailed() or
// clientConnectionLost() calls the one here, too.

#include <memory>
#include <random>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/log/export.h"
#include "bine/net/factory.h"
#include "bine/net/tcp.h"

namespace bine::inline v0 {

class BINE_EXPORT ReconnectingClientFactory : public ClientFactory {
public:
    /// The clock, usually the reactor, outlives the factory or its last attempt.
    explicit ReconnectingClientFactory(Clock& clock);
    ~ReconnectingClientFactory() override;

    template <class P, class... Args>
    static std::shared_ptr<ReconnectingClientFactory> forProtocol(Clock& clock, Args... args) {
        return make(clock,
                    [... args = std::move(args)](const Address&) { return std::make_shared<P>(args...); });
    }
    template <class F>
    static std::shared_ptr<ReconnectingClientFactory> make(Clock& clock, F build) {
        return detail::makeFactory<ReconnectingClientFactory>(std::move(build), clock);
    }

    Duration initialDelay = std::chrono::seconds(1);
    Duration maxDelay = std::chrono::hours(1);
    /// Each delay is the one before times this (at least 1), and then blurred by a normal distribution whose
    /// deviation is `jitter` times the delay, so that the clients of a server that fell do not all return at
    /// once.
    double factor = 2.718281828459045;
    double jitter = 0.11962656472;
    /// How often in a row to try again; negative: for ever.
    int maxRetries = -1;

    /// Forgets the failures so far: to be called when a connection has proved good.
    void resetDelay();
    /// No more attempts: cancels the one that waits and the one that is under way. While connected: no
    /// attempt after the loss.
    void stopTrying();
    bool trying() const noexcept { return trying_; }
    int retries() const noexcept { return retries_; }
    /// The delays follow from the seed: for tests.
    void seed(unsigned value) { random_.seed(value); }

    void startedConnecting(Connector& connector) override;
    void clientConnectionFailed(Connector& connector, const Failure& reason) override;
    void clientConnectionLost(Connector& connector, const Failure& reason) override;

private:
    void retry(const Connector& connector);
    Duration nextDelay();

    Clock& clock_;
    bool trying_ = true;
    int retries_ = 0;
    Duration delay_{};
    DelayedCall waiting_;
    Connector connecting_; // while an attempt is under way
    std::mt19937 random_;
};

} // namespace bine::inline v0
