// Contract 2.F and 2.G: user code in the middle of connecting, listening and attaching may end or destroy
// anything; ends have a bound; a shutdown of very many ends them all.

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "bine/net/reconnecting_factory.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace bine;
using namespace std::chrono_literals;
using nettest::Client;
using nettest::Heard;

namespace {

const TCPServerOptions& loopback() {
    static const auto options = TCPServerOptions().listenOn("127.0.0.1");
    return options;
}

/// Counts what it hears; its prefix throws.
struct Nameless : Protocol {
    std::function<void()> onMade, onData, onLost;
    void connectionMade() override {
        if (onMade)
            onMade();
    }
    void dataReceived(std::string_view) override {
        if (onData)
            onData();
    }
    void connectionLost(const Failure&) override {
        if (onLost)
            onLost();
    }
    std::string logPrefix() const override { throw std::domain_error("no name"); }
};

} // namespace

class ConnectingTest : public kit::ReactorTest {
    Q_OBJECT

    /// A port whose connections write a greeting.
    ListeningPort greeter() {
        struct Greeting : Protocol {
            void connectionMade() override { transport().write("hello"); }
        };
        auto factory = Factory::forProtocol<Greeting>();
        factory->noisy = false;
        return listenTCP(reactor(), 0, factory, loopback());
    }
    bool spin(const std::function<bool()>& done) { return host().spinUntil(done); }

private slots:
    void r090_theReactorDiesInACallback_data() {
        QTest::addColumn<QString>("where");
        for (const char* where : {"startFactory", "started", "build", "made", "data", "lost", "log"})
            QTest::newRow(where) << where;
    }
    void r090_theReactorDiesInACallback() {
        QFETCH(QString, where);
        auto port = greeter();
        bool dead = false;
        const auto die = [&](const char* here) {
            if (dead || where != here)
                return;
            dead = true;
            host().destroyReactor();
        };
        struct Dying final : ReconnectingClientFactory {
            Dying(Clock& clock, std::function<void(const char*)> die)
                : ReconnectingClientFactory(clock), die(std::move(die)) {}
            std::shared_ptr<Protocol> buildProtocol(const Address&) override {
                auto protocol = std::make_shared<Heard>();
                protocol->onMade = [this](Heard&) { die("made"); };
                protocol->onData = [this](Heard& heard, std::string_view) {
                    die("data");
                    heard.transport().abortConnection();
                };
                protocol->onLost = [this](Heard&) { die("lost"); };
                die("build");
                return protocol;
            }
            void startFactory() override { die("startFactory"); }
            void startedConnecting(Connector& connector) override {
                ReconnectingClientFactory::startedConnecting(connector);
                die("started");
            }
            void clientConnectionLost(Connector& connector, const Failure& reason) override {
                ReconnectingClientFactory::clientConnectionLost(connector, reason);
                connector.connect(); // "once the reactor is gone it does nothing"
            }
            std::function<void(const char*)> die;
        };
        {
            const auto observer = addLogObserver(
                [&](const LogEvent& event) {
                    if (event.message.find("Starting factory") == 0)
                        die("log");
                },
                LogLevel::debug);
            const auto factory = std::make_shared<Dying>(reactor(), die);
            const auto number = port.getHost().port();
            reactor().callLater(0s, [&, factory] { connectTCP(reactor(), "127.0.0.1", number, factory); });
            host().run();
            QVERIFY(dead);
            QCOMPARE(factory->numPorts(), 0);
        }
    }
    void r117_theReactorDiesInThePortsCallback_data() {
        QTest::addColumn<QString>("where");
        for (const char* where : {"startFactory", "build", "log"})
            QTest::newRow(where) << where;
    }
    void r117_theReactorDiesInThePortsCallback() {
        QFETCH(QString, where);
        bool dead = false;
        const auto die = [&](const char* here) {
            if (dead || where != here)
                return;
            dead = true;
            host().destroyReactor();
        };
        struct Dying final : Factory {
            explicit Dying(std::function<void(const char*)> die) : die(std::move(die)) {}
            std::shared_ptr<Protocol> buildProtocol(const Address&) override {
                die("build");
                return std::make_shared<Heard>();
            }
            void startFactory() override { die("startFactory"); }
            std::function<void(const char*)> die;
        };
        const auto observer = addLogObserver(
            [&](const LogEvent& event) {
                if (event.message.find("starting on") == 0)
                    die("log");
            },
            LogLevel::debug);
        const auto factory = std::make_shared<Dying>(die);
        reactor().callLater(0s, [&, factory] {
            const auto port = listenTCP(reactor(), 0, factory, loopback());
            if (!dead)
                connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), std::make_shared<Heard>())
                    .addErrback([](const Failure&) { return std::shared_ptr<Heard>(); });
        });
        host().run();
        QVERIFY(dead);
        QCOMPARE(factory->numPorts(), 0);
    }
    void r097_disconnectInBuildProtocol() {
        auto port = greeter();
        const auto factory = std::make_shared<Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const Address&) {
            factory->connector.disconnect();
            return protocol;
        };
        connectTCP(reactor(), "127.0.0.1", port.getHost().port(), factory);
        QVERIFY(spin([&] { return factory->failed.has_value(); }));
        QVERIFY(factory->failed->check<UserError>());
        QVERIFY(protocol->events.empty());
        QCOMPARE(factory->events.back(), std::string("stop"));
    }
    void r268_anOwnerThatDiesInBuildProtocol() {
        auto port = greeter();
        auto owner = std::make_unique<Scope>();
        const auto factory = std::make_shared<Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const Address&) {
            owner.reset();
            return protocol;
        };
        connectTCP(reactor(), "127.0.0.1", port.getHost().port(), factory).ownedBy(*owner);
        QVERIFY(spin([&] { return factory->events.back() == "stop"; }));
        QVERIFY(protocol->events.empty());
        QVERIFY(!factory->failed);
    }
    void r268_anOwnerThatDiesWhileADeferredConnectionIsMade_data() {
        QTest::addColumn<bool>("inBuild");
        QTest::newRow("buildProtocol") << true;
        QTest::newRow("connectionMade") << false;
    }
    void r268_anOwnerThatDiesWhileADeferredConnectionIsMade() {
        QFETCH(bool, inBuild);
        auto port = greeter();
        auto owner = std::make_unique<Scope>();
        const auto protocol = std::make_shared<Heard>();
        protocol->onMade = [&](Heard&) { owner.reset(); };
        bool fired = false, stopped = false;
        struct Owned final : Factory {
            std::function<std::shared_ptr<Protocol>()> build;
            std::function<void()> stopped;
            std::shared_ptr<Protocol> buildProtocol(const Address&) override { return build(); }
            void stopFactory() override { stopped(); }
        };
        const auto factory = std::make_shared<Owned>();
        factory->stopped = [&] { stopped = true; };
        factory->build = [&]() -> std::shared_ptr<Protocol> {
            if (inBuild)
                owner.reset();
            return protocol;
        };
        connectFactory(reactor(), "127.0.0.1", port.getHost().port(), factory)
            .ownedBy(*owner)
            .addCallback([&](std::shared_ptr<Protocol>) { fired = true; });
        QVERIFY(spin([&] { return stopped; }));
        QVERIFY(!fired);
        QCOMPARE(protocol->events, inBuild ? std::vector<std::string>() : std::vector<std::string>{"made"}); // and no more
    }
    void r124_aPrefixThatThrowsChangesNothing() {
        struct Unnamed final : Factory {
            std::shared_ptr<Nameless> protocol = std::make_shared<Nameless>();
            std::shared_ptr<Protocol> buildProtocol(const Address&) override {
                return std::exchange(protocol, nullptr);
            }
            std::string logPrefix() const override { throw std::domain_error("no name"); }
        };
        const auto factory = std::make_shared<Unnamed>();
        bool lost = false;
        factory->protocol->onData = [] { throw std::range_error("in a handler"); };
        factory->protocol->onLost = [&] { lost = true; };
        const auto port = listenTCP(reactor(), 0, factory, loopback());
        QVERIFY(port.listening());
        const auto client = std::make_shared<Heard>();
        client->onMade = [](Heard& heard) { heard.transport().write("x"); };
        connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), client);
        QVERIFY(spin([&] { return lost && client->lost(); }));
        bool closed = false;
        port.stopListening().addCallback([&] { closed = true; });
        QVERIFY(spin([&] { return closed; }));
        const auto errors = loggedErrors();
        QCOMPARE(std::count_if(errors.begin(), errors.end(),
                               [](const auto& error) { return error.find("in a handler") != error.npos; }),
                 1);
        for (const auto& error : errors)
            QVERIFY(error.find("in a handler") != error.npos || error.find("logPrefix") != error.npos);
    }
    void r097_disconnectEndsAlthoughThePeerTakesNothing() {
        const auto peer = std::make_shared<Heard>();
        peer->onMade = [](Heard& heard) { heard.transport().pauseProducing(); };
        const auto port =
            listenTCP(reactor(), 0, Factory::make([&](const Address&) { return peer; }), loopback());
        const auto factory = std::make_shared<Client>();
        const auto protocol = std::make_shared<Heard>();
        factory->build = [&](const Address&) { return protocol; };
        const auto connector = connectTCP(reactor(), "127.0.0.1", port.getHost().port(), factory);
        QVERIFY(spin([&] { return protocol->connected() && peer->connected(); }));
        protocol->transport().write(std::string(64 << 20, 'x'));
        connector.disconnect(20ms);
        QVERIFY(spin([&] { return protocol->lost(); }));
        QVERIFY(protocol->lostBy<ConnectionAborted>());
    }
    void r109_connectNow() {
        auto port = greeter();
        int built = 0;
        auto factory = ReconnectingClientFactory::make(reactor(), [&built](const Address&) {
            ++built;
            return std::make_shared<Heard>();
        });
        factory->noisy = false;
        factory->initialDelay = 1h;
        const auto number = port.getHost().port();
        bool closed = false;
        port.stopListening().addCallback([&] { closed = true; });
        QVERIFY(spin([&] { return closed; }));
        const auto connector = connectTCP(reactor(), "127.0.0.1", number, factory);
        QVERIFY(spin([&] { return factory->retries() == 1; }));
        port.startListening();
        connector.reconnect();
        QVERIFY(spin([&] { return connector.state() == Connector::State::connected; }));
        connector.reconnect();
        QCOMPARE(connector.state(), Connector::State::connected); // until the end is told
        QVERIFY(spin([&] { return built == 2 && connector.state() == Connector::State::connected; }));
        factory->stopTrying();
        connector.abort();
        QVERIFY(spin([&] { return connector.state() == Connector::State::disconnected; }));
    }

    // --- Very many.

    void r031_allOfVeryManyHearOfTheShutdown() {
        constexpr int many = 150000;
        int lost = 0, turns = 0;
        struct Counting : Protocol {
            explicit Counting(int& lost) : lost(lost) {}
            void connectionLost(const Failure&) override { ++lost; }
            int& lost;
        };
        reactor().setShutdownDeadline(1min);
        int atEnd = 0;
        reactor().addSystemEventTrigger("after", "shutdown", [&] { atEnd = lost; });
        reactor().callWhenRunning([&] {
            for (int i = 0; i < many; ++i)
                attach(reactor(), std::make_shared<MemoryTransport>(), std::make_shared<Counting>(lost));
            reactor().stop();
        });
        std::function<void()> count = [&] {
            if (lost == many)
                return;
            turns += lost > 0;
            reactor().callLater(0s, count);
        };
        reactor().addSystemEventTrigger(
            "before", "shutdown", [&] { reactor().callLater(0s, [&] { reactor().callLater(0s, count); }); });
        run();
        QCOMPARE(lost, many);
        QCOMPARE(atEnd, many);
        QVERIFY2(turns > 1, "the loop was not served meanwhile");
    }
    void r031_transportsThatAreAttachedMeanwhileEndToo() {
        int lost = 0;
        std::function<void()> more = [&] {
            const auto next = std::make_shared<Nameless>();
            next->onLost = [&] {
                if (++lost < 1000)
                    more();
            };
            attach(reactor(), std::make_shared<MemoryTransport>(), next);
        };
        reactor().callWhenRunning([&] {
            more();
            reactor().stop();
        });
        run();
        QCOMPARE(lost, 1000);
    }
    void r031_attachingWithoutEndEndsWithTheDeadline() {
        int lost = 0;
        bool over = false;
        std::function<void()> more = [&] {
            const auto next = std::make_shared<Nameless>();
            next->onLost = [&] {
                ++lost;
                if (!over)
                    more();
            };
            attach(reactor(), std::make_shared<MemoryTransport>(), next);
        };
        reactor().setShutdownDeadline(30ms);
        reactor().callWhenRunning([&] {
            more();
            reactor().stop();
        });
        run();
        over = true;
        host().destroyReactor(); // which ends the last one
        QVERIFY(lost > 1);
    }
};

int main(int argc, char** argv) { return kit::runTests<ConnectingTest>(argc, argv); }
#include "connecting.moc"
