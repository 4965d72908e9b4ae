#include <QtTest>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "bine/defer/owner.h"
#include "bine/log/recorder.h"
#include "bine/net/network.h"
#include "bine/net/reconnecting_factory.h"
#include "bine/reactors/manual_clock.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

/// A Network in which nothing answers until the test says so.
class DeafNetwork : public Network {
public:
    std::vector<Resolver<std::vector<Address>>> lookups;
    std::vector<Resolver<std::shared_ptr<Transport>>> connects;
    std::vector<Address> asked;

    Deferred<std::shared_ptr<Transport>> connectStream(const Address& address,
                                                       const StreamOptions&) override {
        asked.push_back(address);
        return connects.emplace_back().deferred();
    }
    std::unique_ptr<StreamListener> listenStream(const Address& address, int,
                                                 Function<void(std::shared_ptr<Transport>)>) override {
        throw CannotListenError(address.host(), address.port(), EADDRINUSE);
    }
    Deferred<std::vector<Address>> resolve(const std::string&) override {
        return lookups.emplace_back().deferred();
    }
};

/// A port of this computer on which nobody listens.
int deadPort() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        qFatal("bind");
    close(fd);
    return ntohs(address.sin_port);
}

std::vector<std::string> list(std::initializer_list<const char*> words) {
    return {words.begin(), words.end()};
}

} // namespace

class ConnectingTest : public QObject {
    Q_OBJECT
private slots:
    void r090_theOrderOfCalls() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto factory = std::make_shared<Client>();
        factory->build = [&](const Address&) { return pair.client; };
        const Connector connector = connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), factory);
        QCOMPARE(factory->events, list({"start", "started"}));
        QVERIFY(connector == factory->connector);
        QCOMPARE(connector.state(), Connector::State::connecting);
        QVERIFY(turnUntil(reactor, [&] { return pair.client->count("made") == 1; }));
        QCOMPARE(factory->events.size(), std::size_t{3});
        QCOMPARE(factory->events[2], "build " + pair.port.getHost().text());
        QCOMPARE(connector.state(), Connector::State::connected);
        QCOMPARE(connector.getDestination(), pair.port.getHost());
    }
    void r092_theProtocolIsMadeWithTheNumericPeer() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto factory = std::make_shared<Client>();
        factory->build = [&](const Address&) { return pair.client; };
        const Connector connector = connectTCP(reactor, "localhost", pair.port.getHost().port(), factory);
        QVERIFY(turnUntil(reactor, [&] { return pair.client->count("made") == 1; }));
        QCOMPARE(pair.client->transport().getPeer(), pair.port.getHost());
        QCOMPARE(connector.getDestination().host(), "localhost");
        QCOMPARE(pair.client->factory(), factory.get());
        QVERIFY(turnUntil(reactor, [&] { return pair.server->count("made") == 1; }));
        QCOMPARE(pair.server->transport().getPeer(), pair.client->transport().getHost());
        QCOMPARE(pair.server->transport().getHost(), pair.client->transport().getPeer());
    }
    void r093_nullRefusesTheConnection() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), factory);
        QVERIFY(turnUntil(reactor, [&] { return pair.server->lost() && factory->lost; }));
        QVERIFY(pair.server->lostBy<ConnectionDone>());

        std::optional<Failure> failure;
        pair.server = std::make_shared<Heard>();
        connectFactory(reactor, "127.0.0.1", pair.port.getHost().port(),
                       Factory::make([](const Address&) { return std::shared_ptr<Protocol>(); }))
            .addErrback([&](const Failure& f) { return failure = f, std::shared_ptr<Protocol>(); });
        QVERIFY(turnUntil(reactor, [&] { return failure && pair.server->lost(); }));
        QVERIFY(failure->check<NoProtocol>());
    }
    void r094_buildProtocolThatThrows() {
        EpollReactor reactor;
        LogRecorder recorder;
        Pair pair(reactor);
        std::optional<Failure> failure;
        connectFactory(
            reactor, "127.0.0.1", pair.port.getHost().port(),
            Factory::make([](const Address&) -> std::shared_ptr<Protocol> { throw std::domain_error("no"); }))
            .addErrback([&](const Failure& f) { return failure = f, std::shared_ptr<Protocol>(); });
        QVERIFY(turnUntil(reactor, [&] { return failure && pair.server->lost(); }));
        QVERIFY(failure->check<std::domain_error>());

        auto factory = std::make_shared<Client>();
        factory->build = [](const Address&) -> std::shared_ptr<Protocol> { throw std::domain_error("no"); };
        connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), factory);
        QVERIFY(turnUntil(reactor, [&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<std::domain_error>());
        QCOMPARE(factory->events.back(), "stop");
        QCOMPARE(recorder.flushErrors<std::domain_error>().size(), std::size_t{1});
        QVERIFY(recorder.empty());
    }
    void r095_refused() {
        EpollReactor reactor;
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "127.0.0.1", deadPort(), factory);
        QVERIFY(turnUntil(reactor, [&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<ConnectionRefusedError>());
        QCOMPARE(factory->failed->check<ConnectError>()->osError(), ECONNREFUSED);
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
    }
    void r096_connectTimesOut() {
        EpollReactor reactor;
        auto network = std::make_shared<DeafNetwork>();
        reactor.provideService<Network>(network);
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "a.name", 80, factory, TCPClientOptions().connectTimeout(5ms));
        QVERIFY(turnUntil(reactor, [&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<ConnectTimeoutError>());
        QCOMPARE(network->lookups.size(), std::size_t{1});
        network->lookups[0].callback(
            std::vector<Address>{Address(IPv4Address("127.0.0.1", 0))}); // r105: a late answer is ignored
        QCOMPARE(network->asked.size(), std::size_t{0});

        std::optional<Failure> failure;
        connectFactory(reactor, "127.0.0.1", 80, Factory::forProtocol<Echo>(),
                       TCPClientOptions().connectTimeout(5ms))
            .addErrback([&](const Failure& f) { return failure = f, std::shared_ptr<Protocol>(); });
        QVERIFY(turnUntil(reactor, [&] { return failure.has_value(); }));
        QVERIFY(failure->check<ConnectTimeoutError>());
        QVERIFY(reactor.getDelayedCalls().empty());
    }
    void r097_stopConnecting() {
        EpollReactor reactor;
        reactor.provideService<Network>(std::make_shared<DeafNetwork>());
        auto factory = std::make_shared<Client>();
        Connector connector = connectTCP(reactor, "127.0.0.1", 80, factory);
        turn(reactor, 3);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, connector.connect());
        connector.stopConnecting();
        QVERIFY(factory->failed->check<UserError>());
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
        connector.stopConnecting(); // nothing to do
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
        connector.disconnect(); // nothing to do
        connector.connect();
        connector.disconnect(); // stops
        QCOMPARE(connector.state(), Connector::State::disconnected);
        QVERIFY(reactor.getDelayedCalls().empty());
    }
    void r098_stopConnectingInsideStartedConnecting() {
        EpollReactor reactor;
        auto factory = std::make_shared<Client>();
        factory->onStarted = [](Connector& c) { c.stopConnecting(); };
        connectTCP(reactor, "127.0.0.1", 80, factory);
        turn(reactor);
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
    }
    void r099_reconnectingKeepsTheFactoryStarted() {
        EpollReactor reactor;
        auto factory = std::make_shared<Client>();
        int attempts = 0;
        factory->onFailed = [&](Connector& c) {
            if (++attempts < 3)
                c.connect();
        };
        connectTCP(reactor, "127.0.0.1", deadPort(), factory);
        QVERIFY(turnUntil(reactor, [&] { return factory->events.back() == "stop"; }));
        QCOMPARE(factory->events, list({"start", "started", "failed", "started", "failed", "started",
                                        "failed", "stop"})); // r100 too
    }
    void r101_theProtocolHearsOfTheLossFirst() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto factory = std::make_shared<Client>();
        factory->build = [&](const Address&) { return pair.client; };
        bool inOrder = false;
        factory->onLost = [&](Connector& c) {
            inOrder =
                pair.client->lost() && c == factory->connector && c.state() == Connector::State::disconnected;
        };
        connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), factory);
        QVERIFY(turnUntil(
            reactor, [&] { return pair.server->count("made") == 1 && pair.client->count("made") == 1; }));
        factory->connector.disconnect();
        QVERIFY(turnUntil(reactor, [&] { return factory->lost.has_value(); }));
        QVERIFY(inOrder);
        QVERIFY(factory->lost->check<ConnectionDone>());
        QCOMPARE(factory->events.back(), "stop");
    }
    void r102_bindAddressInUse() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), factory,
                   TCPClientOptions().bindAddress("127.0.0.1", pair.port.getHost().port()));
        QVERIFY(!factory->failed);
        QVERIFY(turnUntil(reactor, [&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<ConnectBindError>());
    }
    void r103_noDescriptorForTheSocket() {
        EpollReactor reactor;
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "127.0.0.1", 9, factory);
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        rlimit none = before;
        none.rlim_cur = 3;
        setrlimit(RLIMIT_NOFILE, &none);
        const bool failed = turnUntil(reactor, [&] { return factory->failed.has_value(); });
        setrlimit(RLIMIT_NOFILE, &before);
        QVERIFY(failed);
        QVERIFY(factory->failed->check<ConnectBindError>());
        QCOMPARE(factory->failed->check<ConnectError>()->osError(), EMFILE);
    }
    void r105_lookupFails() {
        EpollReactor reactor;
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "no such name", 80,
                   factory); // a blank is in no name: answered without asking anybody
        QVERIFY(turnUntil(reactor, [&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<DNSLookupError>());
        QCOMPARE(factory->failed->check<DNSLookupError>()->name(), "no such name");
    }
    void aNameWithSeveralAddressesIsTriedInOrder() {
        EpollReactor reactor;
        auto network = std::make_shared<DeafNetwork>();
        reactor.provideService<Network>(network);
        auto factory = std::make_shared<Client>();
        connectTCP(reactor, "a.name", 80, factory);
        turn(reactor, 3);
        network->lookups[0].callback(
            std::vector<Address>{Address(IPv6Address("::1", 0)), Address(IPv4Address("127.0.0.1", 0))});
        QCOMPARE(network->asked.size(), std::size_t{1});
        QCOMPARE(network->asked[0].text(), "[::1]:80");
        network->connects[0].errback(ConnectionRefusedError("[::1]:80", ECONNREFUSED));
        QCOMPARE(network->asked.size(), std::size_t{2});
        QCOMPARE(network->asked[1].text(), "127.0.0.1:80");
        network->connects[1].errback(NoRouteError("127.0.0.1:80", EHOSTUNREACH));
        QVERIFY(factory->failed->check<ConnectionRefusedError>()); // tells more than that there is no route
        QCOMPARE(factory->failed->check<ConnectError>()->addresses().size(), std::size_t{2});
    }
    void r237_cancelEndsTheAttempt() {
        EpollReactor reactor;
        reactor.provideService<Network>(std::make_shared<DeafNetwork>());
        std::optional<Failure> failure;
        auto connecting = connectProtocol(reactor, "a.name", 80, std::make_shared<Heard>());
        DeferredRef ref = connecting.ref();
        std::move(connecting).addErrback([&](const Failure& f) {
            return failure = f, std::shared_ptr<Heard>();
        });
        turn(reactor, 3);
        ref.cancel();
        QVERIFY(failure && failure->check<ConnectingCancelledError>());
        QCOMPARE(failure->check<ConnectingCancelledError>()->destination(), "a.name:80");
        QVERIFY(reactor.getDelayedCalls().empty());
    }
    void r107_stopFromClientConnectionFailed() {
        EpollReactor reactor;
        auto factory = std::make_shared<Client>();
        factory->onFailed = [&](Connector&) { reactor.stop(); };
        const int port = deadPort();
        reactor.callWhenRunning([&] { connectTCP(reactor, "127.0.0.1", port, factory); });
        reactor.run();
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
    }
    void r108_theReactorStopsWhileConnecting() {
        auto factory = std::make_shared<Client>();
        auto network = std::make_shared<DeafNetwork>();
        {
            EpollReactor reactor;
            reactor.provideService<Network>(network);
            reactor.callWhenRunning([&] { connectTCP(reactor, "a.name", 80, factory); });
            reactor.callLater(5ms, [&] { reactor.stop(); });
            reactor.run();
            QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
        }
        QCOMPARE(factory->events.size(), std::size_t{4});
    }
    void handlesAreSafeAfterTheReactorsDeath() {
        Connector connector;
        ListeningPort port;
        auto factory = std::make_shared<Client>();
        {
            EpollReactor reactor;
            reactor.provideService<Network>(std::make_shared<DeafNetwork>());
            connector = connectTCP(reactor, "a.name", 80, factory);
        }
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
        connector.connect();
        connector.disconnect();
        connector.stopConnecting();
        Connector().stopConnecting();
        QCOMPARE(factory->events, list({"start", "started", "failed", "stop"}));
        {
            EpollReactor reactor;
            port = listenTCP(reactor, 0, Factory::forProtocol<Echo>());
        }
        QVERIFY(!port.listening());
        bool fired = false;
        port.stopListening().addCallback([&] { fired = true; });
        QVERIFY(fired);
        port.startListening();
        QVERIFY(!port.listening());
    }
    void r268_anOwnedConnectorEndsWithItsOwner() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto factory = std::make_shared<Client>();
        factory->build = [&](const Address&) { return pair.client; };
        auto scope = std::make_unique<Scope>();
        connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), factory).ownedBy(*scope);
        QVERIFY(turnUntil(
            reactor, [&] { return pair.server->count("made") == 1 && pair.client->count("made") == 1; }));
        scope.reset();
        QVERIFY(turnUntil(reactor, [&] { return pair.server->lost(); }));
        QVERIFY(pair.server->lostBy<ConnectionLost>());
        turn(reactor);
        QVERIFY(!pair.client->lost());
        QVERIFY(!factory->lost);
        QCOMPARE(factory->events.back(), "stop");

        scope = std::make_unique<Scope>();
        auto other = std::make_shared<Client>();
        connectTCP(reactor, "127.0.0.1", pair.port.getHost().port(), other).ownedBy(*scope);
        scope.reset();
        turn(reactor);
        QCOMPARE(other->events, list({"start", "started", "stop"}));
    }
    void r109_aFactoryThatReconnects() {
        EpollReactor reactor;
        auto network = std::make_shared<DeafNetwork>();
        reactor.provideService<Network>(network);
        ManualClock clock;
        auto factory = ReconnectingClientFactory::forProtocol<Heard>(clock);
        factory->noisy = false;
        factory->jitter = 0;
        factory->factor = 2;
        factory->maxDelay = 3s;
        factory->maxRetries = 4;
        const Connector connector = connectTCP(reactor, "127.0.0.1", 80, factory);
        const auto refuse = [&] {
            turn(reactor, 3);
            network->connects.back().errback(ConnectionRefusedError("127.0.0.1:80", ECONNREFUSED));
        };
        for (const auto delay : {1s, 2s, 3s, 3s}) {
            refuse();
            QCOMPARE(clock.getDelayedCalls().size(), std::size_t{1});
            QCOMPARE(clock.getDelayedCalls()[0].getTime() - clock.now(), Duration(delay));
            QCOMPARE(connector.state(), Connector::State::disconnected);
            clock.advance(delay);
            QCOMPARE(connector.state(), Connector::State::connecting);
        }
        refuse();
        QVERIFY(clock.getDelayedCalls().empty()); // maxRetries

        factory->resetDelay();
        connector.connect();
        refuse();
        QCOMPARE(clock.getDelayedCalls()[0].getTime() - clock.now(), Duration(1s));
        factory->stopTrying();
        QVERIFY(clock.getDelayedCalls().empty());

        factory->resetDelay();
        connector.connect();
        turn(reactor, 3);
        factory->stopTrying(); // an attempt in progress
        QCOMPARE(connector.state(), Connector::State::disconnected);
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void r109_jitterIsWithinReasonAndFollowsTheSeed() {
        EpollReactor reactor;
        auto network = std::make_shared<DeafNetwork>();
        reactor.provideService<Network>(network);
        std::vector<Duration> delays[2];
        for (auto& each : delays) {
            ManualClock clock;
            auto factory = ReconnectingClientFactory::forProtocol<Heard>(clock);
            factory->noisy = false;
            factory->seed(7);
            connectTCP(reactor, "127.0.0.1", 80, factory);
            for (int i = 0; i < 5; ++i) {
                turn(reactor, 3);
                network->connects.back().errback(ConnectionRefusedError("127.0.0.1:80", ECONNREFUSED));
                each.push_back(clock.getDelayedCalls()[0].getTime() - clock.now());
                clock.advance(each.back());
            }
            factory->stopTrying();
        }
        QCOMPARE(delays[0], delays[1]);
        QVERIFY(delays[0][0] > 500ms && delays[0][0] < 1500ms && delays[0][0] != Duration(1s));
        QVERIFY(delays[0][4] > 25s && delays[0][4] < 90s);
    }
    void connectingToOneselfIsRefused() {
        EpollReactor reactor;
        const int port = deadPort();
        auto factory = std::make_shared<Client>();
        factory->build = [](const Address&) { return std::make_shared<Heard>(); };
        connectTCP(reactor, "127.0.0.1", port, factory, TCPClientOptions().bindAddress("127.0.0.1", port));
        QVERIFY(turnUntil(reactor, [&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<ConnectionRefusedError>());
    }
    void r110_optionsOfTheSocket() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        for (const auto& each : {pair.server, pair.client}) {
            auto* tcp = each->transport().as<TCPTransport>();
            QVERIFY(tcp);
            QVERIFY(tcp->getTcpNoDelay());
            tcp->setTcpNoDelay(false);
            QVERIFY(!tcp->getTcpNoDelay());
            QVERIFY(!tcp->getTcpKeepAlive());
            tcp->setTcpKeepAlive(true);
            QVERIFY(tcp->getTcpKeepAlive());
        }
        QVERIFY(!nullTransport().as<TCPTransport>());
    }
    void resolvingIsCancelledWithoutAWord() {
        EpollReactor reactor;
        bool cancelled = false;
        auto lookup = networkOf(reactor)->resolve("localhost");
        DeferredRef ref = lookup.ref();
        std::move(lookup).addErrback([&](const Failure& f) {
            return cancelled = f.check<CancelledError>() != nullptr, std::vector<Address>();
        });
        ref.cancel();
        QVERIFY(cancelled);
        turn(reactor);
    }
};

QTEST_GUILESS_MAIN(ConnectingTest)
#include "connecting_test.moc"
