// Connectors that connect again: by a ReconnectingClientFactory, by reconnect(), and not after their user has
// ended them. On a manual clock, in a network in which nothing answers until the test says so.

#include <QtTest>

#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "bine/net/reconnecting_factory.h"
#include "bine/reactors/manual_clock.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

class PatientNetwork final : public Network {
public:
    struct Attempt {
        int port;
        bool cancelled = false;
        std::unique_ptr<Resolver<std::shared_ptr<Transport>>> answer;
    };
    std::vector<std::shared_ptr<Attempt>> attempts;

    Deferred<std::shared_ptr<Transport>> connectStream(const Address& address,
                                                       const StreamOptions&) override {
        auto attempt = std::make_shared<Attempt>();
        attempt->port = address.port();
        attempt->answer = std::make_unique<Resolver<std::shared_ptr<Transport>>>(
            [weak = std::weak_ptr(attempt)] { weak.lock()->cancelled = true; });
        attempts.push_back(attempt);
        return attempt->answer->deferred();
    }
    std::unique_ptr<StreamListener> listenStream(const Address& address, int,
                                                 Function<void(std::shared_ptr<Transport>)>) override {
        throw CannotListenError(address.host(), address.port(), EADDRINUSE);
    }
    Deferred<std::vector<Address>> resolve(const std::string&) override {
        return succeed(std::vector<Address>());
    }
};

/// A reactor, its network, and a factory that waits one second between attempts.
struct Scene {
    Scene() {
        reactor.provideService<Network>(network);
        factory = ReconnectingClientFactory::make(clock, [this](const Address&) {
            protocols.push_back(std::make_shared<Heard>());
            return protocols.back();
        });
        factory->noisy = false;
        factory->jitter = 0;
        factory->factor = 1;
    }
    ~Scene() { factory->stopTrying(); }

    Connector connect(int port = 1) {
        auto connector = connectTCP(reactor, "127.0.0.1", port, factory);
        turn(reactor, 3);
        return connector;
    }
    /// The latest attempt is refused, or that of a port.
    void refuse(int port = 0) {
        turn(reactor, 3);
        for (auto& attempt : network->attempts)
            if ((port == 0 || attempt->port == port) && !attempt->answer->called())
                attempt->answer->errback(ConnectionRefusedError("x", ECONNREFUSED));
    }
    std::shared_ptr<MemoryTransport> accept(int port = 0) {
        turn(reactor, 3);
        auto transport = std::make_shared<MemoryTransport>();
        for (auto& attempt : network->attempts)
            if ((port == 0 || attempt->port == port) && !attempt->answer->called())
                attempt->answer->callback(std::shared_ptr<Transport>(transport));
        return transport;
    }
    /// How many attempts the network has seen.
    std::size_t attempts() {
        turn(reactor, 3);
        return network->attempts.size();
    }
    int waiting() const { return static_cast<int>(clock.getDelayedCalls().size()); }

    ManualClock clock;
    EpollReactor reactor;
    std::shared_ptr<PatientNetwork> network = std::make_shared<PatientNetwork>();
    std::vector<std::shared_ptr<Heard>> protocols;
    std::shared_ptr<ReconnectingClientFactory> factory;
};

} // namespace

class ReconnectingTest : public QObject {
    Q_OBJECT
private slots:
    // --- Connect now.

    void r109_connectReplacesTheRetryThatWaits() {
        Scene scene;
        const Connector connector = scene.connect();
        scene.refuse();
        QCOMPARE(scene.waiting(), 1);
        connector.connect();
        QCOMPARE(connector.state(), Connector::State::connecting);
        QCOMPARE(scene.waiting(), 0);
        scene.clock.advance(1h);
        QCOMPARE(scene.attempts(), std::size_t{2});
    }
    void r109_reconnectReplacesTheRetryThatWaits() {
        Scene scene;
        const Connector connector = scene.connect();
        scene.refuse();
        connector.reconnect();
        scene.clock.advance(1h);
        QCOMPARE(scene.attempts(), std::size_t{2});
        QCOMPARE(connector.state(), Connector::State::connecting);
    }
    void r109_reconnectLeavesAnAttemptAlone() {
        Scene scene;
        const Connector connector = scene.connect();
        connector.reconnect();
        connector.reconnect();
        QCOMPARE(scene.attempts(), std::size_t{1});
        QVERIFY(!scene.network->attempts[0]->cancelled);
    }
    void r109_reconnectAbortsAConnectionAndConnectsAtOnce() {
        Scene scene;
        const Connector connector = scene.connect();
        const auto transport = scene.accept();
        connector.reconnect();
        QVERIFY(transport->aborted());
        transport->finish();
        QVERIFY(scene.protocols[0]->lostBy<ConnectionAborted>());
        QCOMPARE(connector.state(), Connector::State::connecting);
        QCOMPARE(scene.waiting(), 0);
        QCOMPARE(scene.attempts(), std::size_t{2});
        QCOMPARE(scene.factory->retries(connector), 0); // it is none
    }
    void r109_reconnectWorksWithAnyFactory() {
        Scene scene;
        const auto factory = std::make_shared<Client>();
        factory->build = [](const Address&) { return std::make_shared<Heard>(); };
        const Connector connector = connectTCP(scene.reactor, "127.0.0.1", 1, factory);
        scene.refuse();
        QCOMPARE(connector.state(), Connector::State::disconnected);
        connector.reconnect();
        const auto transport = scene.accept();
        QCOMPARE(connector.state(), Connector::State::connected);
        connector.reconnect();
        transport->finish();
        QCOMPARE(connector.state(), Connector::State::connecting);
        const std::vector<std::string> events(factory->events.end() - 2, factory->events.end());
        QCOMPARE(events, (std::vector<std::string>{"lost", "started"}));
        connector.abort();
    }
    void r109_aFactoryThatEndsTheConnectorStopsReconnect() {
        Scene scene;
        const auto factory = std::make_shared<Client>();
        factory->build = [](const Address&) { return std::make_shared<Heard>(); };
        factory->onLost = [](Connector& connector) { connector.disconnect(); };
        const Connector connector = connectTCP(scene.reactor, "127.0.0.1", 1, factory);
        const auto transport = scene.accept();
        connector.reconnect();
        transport->finish();
        QCOMPARE(connector.state(), Connector::State::disconnected);
        QCOMPARE(factory->events.back(), std::string("stop"));
    }
    void r109_reconnectAfterTheReactorsDeathDoesNothing() {
        Connector waiting, connected;
        ManualClock clock;
        auto factory = ReconnectingClientFactory::forProtocol<Heard>(clock);
        factory->noisy = false;
        {
            Scene scene;
            waiting = connectTCP(scene.reactor, "127.0.0.1", 1, factory);
            scene.refuse();
            connected = connectTCP(scene.reactor, "127.0.0.1", 2, factory);
            scene.accept();
            QCOMPARE(connected.state(), Connector::State::connected);
        }
        QVERIFY(clock.getDelayedCalls().empty()); // no retry waits for a dead reactor
        for (const Connector& each : {waiting, connected, Connector()}) {
            each.reconnect();
            each.connect();
            each.disconnect();
            each.abort();
            QCOMPARE(each.state(), Connector::State::disconnected);
        }
    }

    // --- The user's end.

    void r109_noRetryFollowsTheUsersEnd_data() {
        QTest::addColumn<int>("way");
        QTest::newRow("stopConnecting") << 0;
        QTest::newRow("disconnect") << 1;
        QTest::newRow("abort") << 2;
    }
    void r109_noRetryFollowsTheUsersEnd() {
        QFETCH(int, way);
        Scene scene;
        const auto end = [&](const Connector& connector) {
            way == 0 ? connector.stopConnecting() : way == 1 ? connector.disconnect() : connector.abort();
        };
        const Connector connecting = scene.connect();
        end(connecting);
        QCOMPARE(scene.waiting(), 0);
        QVERIFY(!scene.factory->trying(connecting));
        QVERIFY(scene.factory->trying());

        connecting.connect(); // asked for again
        QVERIFY(scene.factory->trying(connecting));
        scene.refuse();
        QCOMPARE(scene.waiting(), 1);
        end(connecting); // while the retry waits
        QCOMPARE(scene.waiting(), 0);
        connecting.stopConnecting(); // there is nothing left to stop
        if (way == 0)
            return;
        connecting.reconnect();
        const auto transport = scene.accept();
        QCOMPARE(connecting.state(), Connector::State::connected);
        end(connecting);
        transport->finish();
        QCOMPARE(connecting.state(), Connector::State::disconnected);
        QCOMPARE(scene.waiting(), 0);
    }
    void r109_aLossThatTheProtocolCausedIsRetried() {
        Scene scene;
        scene.connect();
        const auto transport = scene.accept();
        scene.protocols[0]->transport().loseConnection();
        transport->finish();
        QCOMPARE(scene.waiting(), 1);
    }
    void r109_aTimeoutIsRetried() {
        Scene scene;
        const auto connector =
            connectTCP(scene.reactor, "127.0.0.1", 1, scene.factory, TCPClientOptions().connectTimeout(1ms));
        QVERIFY(turnUntil(scene.reactor, [&] { return scene.waiting() == 1; }));
        QCOMPARE(scene.factory->retries(connector), 1);
    }
    void r109_anOwnersDeathEndsARetryThatWaits() {
        Scene scene;
        auto owner = std::make_unique<Scope>();
        const Connector connector = scene.connect();
        connector.ownedBy(*owner);
        scene.refuse();
        QCOMPARE(scene.waiting(), 1);
        owner.reset();
        QCOMPARE(scene.waiting(), 0);
        connector.reconnect();
        QCOMPARE(scene.attempts(), std::size_t{1});
    }

    // --- Several connectors.

    void r109_connectorsOfOneFactoryCountByThemselves() {
        Scene scene;
        scene.factory->factor = 2;
        const Connector one = scene.connect(1), two = scene.connect(2);
        scene.refuse(1);
        scene.clock.advance(1s);
        scene.refuse(1);
        scene.refuse(2);
        QCOMPARE(scene.factory->retries(one), 2);
        QCOMPARE(scene.factory->retries(two), 1);
        QCOMPARE(scene.factory->retries(), 2);
        scene.clock.advance(1s); // the second one's first delay
        QCOMPARE(one.state(), Connector::State::disconnected);
        QCOMPARE(two.state(), Connector::State::connecting);
    }
    void r109_stopTryingEndsAllOfThem() {
        Scene scene;
        const Connector waiting = scene.connect(1), connecting = scene.connect(2),
                        connected = scene.connect(3);
        scene.refuse(1);
        const auto transport = scene.accept(3);
        scene.factory->stopTrying();
        QCOMPARE(scene.waiting(), 0);
        QCOMPARE(waiting.state(), Connector::State::disconnected);
        QCOMPARE(connecting.state(), Connector::State::disconnected);
        QVERIFY(scene.network->attempts[1]->cancelled);
        QCOMPARE(connected.state(), Connector::State::connected);
        transport->end(ConnectionLost("gone"));
        QCOMPARE(connected.state(), Connector::State::disconnected);
        QCOMPARE(scene.waiting(), 0);
        QVERIFY(!scene.factory->trying());
    }
    void r109_resetDelayInACallbackIsForItsOwnConnector() {
        Scene scene;
        const Connector one = scene.connect(1), two = scene.connect(2);
        scene.refuse();
        scene.clock.advance(1s);
        const auto first = scene.accept(1);
        scene.accept(2);
        QCOMPARE(scene.factory->retries(two), 1);
        scene.protocols[0]->onData = [&](Heard&, std::string_view) { scene.factory->resetDelay(); };
        first->feed("login succeeded");
        QCOMPARE(scene.factory->retries(one), 0);
        QCOMPARE(scene.factory->retries(two), 1);
        scene.factory->resetDelay(*scene.protocols[1]);
        QCOMPARE(scene.factory->retries(two), 0);
    }
    void r109_resetDelayElsewhereIsForAll() {
        Scene scene;
        const Connector one = scene.connect(1), two = scene.connect(2);
        scene.refuse();
        scene.factory->resetDelay();
        QCOMPARE(scene.factory->retries(one), 0);
        QCOMPARE(scene.factory->retries(two), 0);
    }

    // --- Who keeps whom.

    void r109_aFactoryKeepsNoConnectorAndIsNotKept() {
        Scene scene;
        std::weak_ptr<Factory> gone;
        {
            auto factory = ReconnectingClientFactory::forProtocol<Heard>(scene.clock);
            factory->noisy = false;
            gone = factory;
            connectTCP(scene.reactor, "127.0.0.1", 1, factory);
            scene.refuse();
            QVERIFY(!gone.expired());
            QCOMPARE(scene.waiting(), 1); // which keeps the two
            factory->stopTrying();
        }
        QVERIFY(gone.expired());
    }
    void r109_aShutdownEndsRetries() {
        Scene scene;
        scene.connect();
        scene.refuse();
        QCOMPARE(scene.waiting(), 1);
        scene.reactor.callWhenRunning([&] { scene.reactor.stop(); });
        scene.reactor.run();
        QCOMPARE(scene.waiting(), 0);
    }

    // --- The end of a connection.

    void r097_disconnectAbortsWhatDoesNotEnd() {
        Scene scene;
        const Connector connector = scene.connect();
        const auto transport = scene.accept();
        transport->blockOutput(true);
        scene.protocols[0]->transport().write("never taken");
        connector.disconnect(2ms);
        QVERIFY(transport->closing() && !transport->aborted());
        QVERIFY(turnUntil(scene.reactor, [&] { return transport->aborted(); }));
        transport->finish();
        QVERIFY(scene.protocols[0]->lostBy<ConnectionAborted>());
        QVERIFY(scene.reactor.getDelayedCalls().empty());
    }
    void r097_disconnectLeavesNoTimerBehind() {
        Scene scene;
        const Connector connector = scene.connect();
        const auto transport = scene.accept();
        connector.disconnect();
        QCOMPARE(scene.reactor.getDelayedCalls().size(), std::size_t{1});
        transport->finish();
        QVERIFY(scene.protocols[0]->lostBy<ConnectionDone>());
        QVERIFY(scene.reactor.getDelayedCalls().empty());
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, connector.disconnect(-1ms));
    }
    void r097_abortEndsAnAttemptAndAConnection() {
        Scene scene;
        const auto factory = std::make_shared<Client>();
        factory->build = [](const Address&) { return std::make_shared<Heard>(); };
        const Connector connector = connectTCP(scene.reactor, "127.0.0.1", 1, factory);
        connector.abort();
        QVERIFY(factory->failed->check<UserError>());
        connector.connect();
        const auto transport = scene.accept();
        connector.abort();
        QVERIFY(transport->aborted());
        transport->finish();
        QVERIFY(factory->lost->check<ConnectionAborted>());
        connector.abort(); // nothing to do
    }
};

QTEST_GUILESS_MAIN(ReconnectingTest)
#include "reconnecting_test.moc"
