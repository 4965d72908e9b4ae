#pragma once
// ReconnectingClientFactory: a ClientFactory that tries again, after delays that grow.
//
// Reactor's thread only. Derive from it and build protocols, or use forProtocol() and make(). A subclass that
// overrides startedConnecting(), clientConnectionFailed() or clientConnectionLost() calls the one here, too.
//
// Each connector has its own failures, delays and retries; one factory may serve several. A connector that its
// user ended (stopConnecting(), disconnect(), abort()) is not connected again until connect() or reconnect().
// Both replace a retry that waits: "Connect now" is connector.reconnect(). A shutdown of the reactor ends the
// retries. The factory keeps no connector; a retry that waits keeps its connector and the factory.

#include <map>
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
    /// The clock is usually the reactor; another one outlives the last retry.
    explicit ReconnectingClientFactory(Clock& clock);
    ~ReconnectingClientFactory() override;

    template <class P, class... Args>
    static std::shared_ptr<ReconnectingClientFactory> forProtocol(Clock& clock, Args... args) {
        return make(clock, detail::protocolMaker<P>(std::move(args)...));
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

    /// Forgets the failures so far, and undoes stopTrying(): for a connection that has proved good (a login
    /// succeeded, say). In a callback of a protocol of this factory: for the connector of that protocol.
    /// Elsewhere, such as in a coroutine: for all connectors. The other forms name the connector.
    void resetDelay();
    void resetDelay(const Connector& connector);
    void resetDelay(const Protocol& protocol);
    /// No more attempts, of any connector: ends retries that wait and attempts under way. Connections stay; no
    /// attempt follows their loss.
    void stopTrying();
    /// False after stopTrying().
    bool trying() const noexcept { return trying_; }
    /// The same for one connector: false also after its user has ended it.
    bool trying(const Connector& connector) const;
    /// How many retries in a row so far: of that connector; of the connector that has most.
    int retries(const Connector& connector) const;
    int retries() const noexcept;
    /// The delays follow from the seed: for tests.
    void seed(unsigned value) { random_.seed(value); }

    void startedConnecting(Connector& connector) override;
    void clientConnectionFailed(Connector& connector, const Failure& reason) override;
    void clientConnectionLost(Connector& connector, const Failure& reason) override;

private:
    struct Course { // of one connector
        std::weak_ptr<detail::ConnectorState> connector;
        int retries = 0;
        Duration delay{};
    };

    Course* courseOf(const Connector& connector);
    void retry(const Connector& connector);
    Duration nextDelay(Course& course);

    Clock& clock_;
    bool trying_ = true;
    std::map<const void*, Course> courses_; // by connector; those of dead ones go when the next is added
    std::mt19937 random_;
};

} // namespace bine::inline v0
