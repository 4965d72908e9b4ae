// TCPServer and TCPClient, over loopback.

#include "defer/defer_testing.h"
#include "net/net_testing.h"

#include "bine/application/internet.h"
#include "bine/net/reconnecting_factory.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::EpollReactor;
using nettest::Client;
using nettest::Echo;
using nettest::Heard;
using nettest::turnUntil;

namespace {

const bine::TCPServerOptions& loopback() {
    static const auto options = bine::TCPServerOptions().listenOn("127.0.0.1");
    return options;
}

/// A port, and what connects to it.
struct Peer {
    explicit Peer(bine::Reactor& reactor)
        : port(bine::listenTCP(reactor, 0, bine::Factory::make([this](const bine::Address&) {
                                   return protocols.emplace_back(std::make_shared<Heard>());
                               }),
                               loopback())) {}
    std::vector<std::shared_ptr<Heard>> protocols;
    bine::ListeningPort port;
};

} // namespace

class InternetTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    /// Whether somebody listens there.
    static bool answers(bine::Reactor& reactor, bine::Port port) {
        const auto client = std::make_shared<Heard>();
        bool refused = false;
        bine::connectProtocol(reactor, "127.0.0.1", port, client).addErrback([&](const bine::Failure&) {
            refused = true;
            return client;
        });
        turnUntil(reactor, [&] { return refused || client->connected(); });
        client->transport().abortConnection();
        turnUntil(reactor, [&] { return refused || client->lost(); });
        return !refused;
    }

private slots:
    void cleanup() { log_.check(); }

    // --- TCPServer

    void aServerListensWhileItRuns() {
        EpollReactor reactor;
        bine::TCPServer server(reactor, 0, bine::Factory::forProtocol<Echo>(), loopback());
        server.startService();
        const bine::Port port = server.getHost().port();
        QVERIFY(answers(reactor, port));
        auto stopped = server.stopService();
        QVERIFY(turnUntil(reactor, [&] { return stopped.called(); }));
        QVERIFY(!answers(reactor, port));
    }
    void aServerListensOnceForBothStarts() {
        EpollReactor reactor;
        bine::TCPServer server(reactor, 0, bine::Factory::forProtocol<Echo>(), loopback());
        server.privilegedStartService();
        const auto host = server.getHost();
        QVERIFY(answers(reactor, host.port()));
        server.startService();
        QVERIFY(server.getHost() == host);
    }
    void aServerKeepsItsConnectionsWhenItStops() {
        EpollReactor reactor;
        const auto served = std::make_shared<Heard>(), client = std::make_shared<Heard>();
        bine::TCPServer server(reactor, 0, bine::Factory::make([&](const bine::Address&) { return served; }), loopback());
        server.startService();
        bine::connectProtocol(reactor, "127.0.0.1", server.getHost().port(), client);
        QVERIFY(turnUntil(reactor, [&] { return served->connected() && client->connected(); }));
        auto stopped = server.stopService();
        QVERIFY(turnUntil(reactor, [&] { return stopped.called(); }));
        client->transport().write("still there");
        QVERIFY(turnUntil(reactor, [&] { return served->data == "still there"; }));
    }
    void aServerStartsAgainOnItsPort() {
        EpollReactor reactor;
        bine::Port port = 0;
        {
            Peer free(reactor);
            port = free.port.getHost().port();
            auto closed = free.port.stopListening();
            QVERIFY(turnUntil(reactor, [&] { return closed.called(); }));
        }
        bine::TCPServer server(reactor, port, bine::Factory::forProtocol<Echo>(), loopback());
        for (int i = 0; i < 2; ++i) {
            server.startService();
            QVERIFY(answers(reactor, port));
            auto stopped = server.stopService();
            QVERIFY(turnUntil(reactor, [&] { return stopped.called(); }));
        }
    }
    void aPortThatIsTakenIsThrown() {
        EpollReactor reactor;
        Peer taken(reactor);
        bine::MultiService root;
        bine::TCPServer server(reactor, taken.port.getHost().port(), bine::Factory::forProtocol<Echo>(), loopback());
        server.setServiceParent(root);
        QVERIFY_THROWS_EXCEPTION(bine::CannotListenError, root.privilegedStartService());
        QVERIFY_THROWS_EXCEPTION(bine::CannotListenError, root.startService());
        QVERIFY(!server.running() && !root.running());
        QVERIFY(server.stopService().called());
    }
    void aServerThatDiesClosesItsPort() {
        EpollReactor reactor;
        bine::Port port = 0;
        {
            bine::TCPServer server(reactor, 0, bine::Factory::forProtocol<Echo>(), loopback());
            server.startService();
            port = server.getHost().port();
        }
        QVERIFY(!answers(reactor, port));
    }
    void aServerThatOutlivesItsReactor() {
        auto reactor = std::make_unique<EpollReactor>();
        bine::TCPServer server(*reactor, 0, bine::Factory::forProtocol<Echo>(), loopback());
        server.startService();
        reactor.reset();
        QVERIFY(server.stopService().called());
    }
    void aFactoryIsNeeded() {
        EpollReactor reactor;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, bine::TCPServer(reactor, 0, nullptr));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, bine::TCPClient(reactor, "localhost", 1, nullptr));
    }

    // --- TCPClient

    void aClientConnectsAndDisconnects() {
        EpollReactor reactor;
        Peer peer(reactor);
        const auto factory = std::make_shared<Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const bine::Address&) { return protocol; };
        bine::TCPClient client(reactor, "127.0.0.1", peer.port.getHost().port(), factory);
        client.startService();
        QVERIFY(turnUntil(reactor, [&] { return protocol->connected() && !peer.protocols.empty(); }));
        QCOMPARE(protocol->factory(), static_cast<bine::Factory*>(factory.get()));
        protocol->transport().write(std::string(4 << 20, 'x')); // all of which is sent
        auto stopped = client.stopService();
        QVERIFY(!stopped.called());
        QVERIFY(turnUntil(reactor, [&] { return stopped.called(); }));
        QVERIFY(protocol->lost());
        QVERIFY(turnUntil(reactor, [&] { return peer.protocols[0]->lost(); }));
        QCOMPARE(peer.protocols[0]->data.size(), std::size_t(4 << 20));
        QCOMPARE(factory->events.back(), std::string("stop"));
        QCOMPARE(std::count(factory->events.begin(), factory->events.end(), "lost"), 1);
    }
    void aClientStopsWhileItConnects() {
        EpollReactor reactor;
        Peer peer(reactor);
        const auto factory = std::make_shared<Client>();
        bine::TCPClient client(reactor, "127.0.0.1", peer.port.getHost().port(), factory);
        client.startService();
        QVERIFY(client.stopService().called());
        QVERIFY(factory->failed && factory->failed->check<bine::UserError>());
        nettest::turn(reactor);
        QVERIFY(peer.protocols.empty());
    }
    void aReconnectingFactoryDoesNotReconnectAStoppedClient_data() {
        QTest::addColumn<bool>("whileConnected");
        QTest::newRow("connected") << true;
        QTest::newRow("between two attempts") << false;
    }
    void aReconnectingFactoryDoesNotReconnectAStoppedClient() {
        QFETCH(bool, whileConnected);
        EpollReactor reactor;
        bine::ManualClock clock;
        Peer peer(reactor);
        const auto port = peer.port.getHost().port();
        const auto protocol = std::make_shared<Heard>();
        const auto factory = bine::ReconnectingClientFactory::make(clock, [&](const bine::Address&) { return std::make_shared<Heard>(); });
        factory->noisy = false;
        bine::TCPClient client(reactor, "127.0.0.1", port, factory);
        client.startService();
        QVERIFY(turnUntil(reactor, [&] { return peer.protocols.size() == 1 && peer.protocols[0]->connected(); }));
        if (!whileConnected) {
            peer.protocols[0]->transport().loseConnection();
            QVERIFY(turnUntil(reactor, [&] { return factory->retries() == 1; }));
        }
        auto stopped = client.stopService();
        QVERIFY(turnUntil(reactor, [&] { return stopped.called(); }));
        clock.advance(2h);
        nettest::turn(reactor);
        QCOMPARE(peer.protocols.size(), std::size_t(1));
        client.startService();
        QVERIFY(turnUntil(reactor, [&] { return peer.protocols.size() == 2; }));
        factory->stopTrying();
    }
    void aFactoryThatAsksAgainInItsCallbackIsNotHeardEither() {
        EpollReactor reactor;
        const auto factory = std::make_shared<Client>();
        factory->onFailed = [](bine::Connector& connector) { connector.connect(); };
        bine::TCPClient client(reactor, "127.0.0.1", 1, factory);
        client.startService();
        QVERIFY(client.stopService().called());
        nettest::turn(reactor);
        QCOMPARE(factory->events, (std::vector<std::string>{"start", "started", "failed", "stop"}));
    }
    void aClientStopsAlthoughThePeerTakesNothing() {
        EpollReactor reactor;
        Peer peer(reactor);
        const auto factory = std::make_shared<Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const bine::Address&) { return protocol; };
        bine::TCPClient client(reactor, "127.0.0.1", peer.port.getHost().port(), factory,
                               bine::TCPClientOptions().closeTimeout(20ms));
        client.startService();
        QVERIFY(turnUntil(reactor, [&] { return protocol->connected() && !peer.protocols.empty(); }));
        peer.protocols[0]->transport().pauseProducing();
        protocol->transport().write(std::string(64 << 20, 'x'));
        auto stopped = client.stopService();
        QVERIFY(turnUntil(reactor, [&] { return stopped.called(); }));
        QVERIFY(protocol->lostBy<bine::ConnectionAborted>());
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, bine::TCPClientOptions().closeTimeout(-1ms));
    }
    void aServiceThatEndsInStartFactory_data() {
        QTest::addColumn<bool>("destroyed");
        QTest::newRow("stopped") << false;
        QTest::newRow("destroyed") << true;
    }
    void aServiceThatEndsInStartFactory() {
        QFETCH(bool, destroyed);
        EpollReactor reactor;
        struct Ending final : bine::Factory {
            std::function<void()> onStart;
            std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override { return nullptr; }
            void startFactory() override { onStart(); }
        };
        const auto listening = std::make_shared<Ending>();
        auto server = std::make_unique<bine::TCPServer>(reactor, 0, listening, loopback());
        listening->onStart = [&] { destroyed ? server.reset() : void(server->stopService()); };
        server->startService();
        nettest::turn(reactor);
        QCOMPARE(listening->numPorts(), 0);

        struct Client final : bine::ClientFactory {
            std::function<void()> onStart;
            std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override { return nullptr; }
            void startFactory() override { onStart(); }
        };
        const auto connecting = std::make_shared<Client>();
        auto client = std::make_unique<bine::TCPClient>(reactor, "127.0.0.1", 1, connecting);
        connecting->onStart = [&] { destroyed ? client.reset() : void(client->stopService()); };
        client->startService();
        nettest::turn(reactor);
        QCOMPARE(connecting->numPorts(), 0);
        QVERIFY(reactor.getDelayedCalls().empty());
    }
    void aClientThatDiesAborts() {
        EpollReactor reactor;
        Peer peer(reactor);
        const auto factory = std::make_shared<Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const bine::Address&) { return protocol; };
        {
            bine::TCPClient client(reactor, "127.0.0.1", peer.port.getHost().port(), factory);
            client.startService();
            QVERIFY(turnUntil(reactor, [&] { return protocol->connected() && !peer.protocols.empty(); }));
        }
        QVERIFY(turnUntil(reactor, [&] { return peer.protocols[0]->lost(); }));
        QCOMPARE(protocol->events, std::vector<std::string>{"made"}); // hears nothing more
        QVERIFY(!factory->lost);
    }
    void aClientThatDiesInItsFactorysCallback() {
        EpollReactor reactor;
        const auto factory = std::make_shared<Client>();
        std::optional<bine::TCPClient> client;
        client.emplace(reactor, "127.0.0.1", 1, factory);
        factory->onFailed = [&](bine::Connector&) { client.reset(); };
        client->startService();
        auto stopped = client->stopService();
        QVERIFY(stopped.called() && !client);
    }
    void aClientIsReleasedWithItsReactor() {
        std::weak_ptr<Client> weak;
        {
            auto reactor = std::make_unique<EpollReactor>();
            const auto factory = std::make_shared<Client>();
            weak = factory;
            bine::TCPClient client(*reactor, "127.0.0.1", 1, factory);
            client.startService();
            factory->connector = {};
            reactor.reset();
        }
        QVERIFY(weak.expired());
    }
};

QTEST_GUILESS_MAIN(InternetTest)
#include "internet_test.moc"
