#include <QtTest>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "bine/defer/owner.h"
#include "bine/log/recorder.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

/// A client outside of any reactor.
class Raw {
public:
    explicit Raw(const Address& to) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const detail::SocketAddress address(to);
        if (::connect(fd_, address.data(), address.length) != 0)
            qFatal("connect");
    }
    ~Raw() { close(fd_); }
    Raw(const Raw&) = delete;
    /// What recv says without waiting: bytes, 0 at the end, -errno.
    int peek() const {
        char byte = 0;
        const ssize_t n = recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        return n < 0 ? -errno : static_cast<int>(n);
    }

private:
    int fd_;
};

struct Counted : Factory {
    int started = 0;
    int stopped = 0;
    bool throwsAtStop = false;
    std::function<std::shared_ptr<Protocol>()> build;
    std::shared_ptr<Protocol> buildProtocol(const Address&) override {
        return build ? build() : std::make_shared<Echo>();
    }
    void startFactory() override { ++started; }
    void stopFactory() override {
        ++stopped;
        if (throwsAtStop)
            throw std::domain_error("stop");
    }
};

TCPServerOptions loopback() { return TCPServerOptions().listenOn("127.0.0.1"); }

} // namespace

class ListeningTest : public QObject {
    Q_OBJECT
private slots:
    void r111_portZeroPicksOne() {
        EpollReactor reactor;
        const auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>());
        QVERIFY(port.getHost().port() != 0);
        QCOMPARE(port.getHost().host(), "0.0.0.0");
        const auto six =
            listenTCP(reactor, 0, Factory::forProtocol<Echo>(), TCPServerOptions().listenOn("::1"));
        QCOMPARE(six.getHost().kind(), AddressKind::ipv6);
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, listenTCP(reactor, 0, Factory::forProtocol<Echo>(),
                                                                TCPServerOptions().listenOn("localhost")));
    }
    void r112_aBusyPortThrows() {
        EpollReactor reactor;
        const auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>(), loopback());
        auto factory = std::make_shared<Counted>();
        try {
            listenTCP(reactor, port.getHost().port(), factory, loopback());
            QFAIL("it listens");
        } catch (const CannotListenError& e) {
            QCOMPARE(e.host(), "127.0.0.1");
            QCOMPARE(e.port(), int(port.getHost().port()));
            QCOMPARE(e.osError(), EADDRINUSE);
        }
        QCOMPARE(factory->started, 0);
    }
    void r114_stopListeningIsAsynchronousAndFreesThePort() {
        EpollReactor reactor;
        auto factory = std::make_shared<Counted>();
        auto port = listenTCP(reactor, 0, factory, loopback());
        int fired = 0;
        port.stopListening().addCallback([&] { ++fired; });
        port.stopListening().addCallback([&] { ++fired; });
        QVERIFY(!port.listening());
        QCOMPARE(fired, 0);
        QVERIFY(turnUntil(reactor, [&] { return fired == 2; }));
        QCOMPARE(factory->stopped, 1);
        const auto again = listenTCP(reactor, port.getHost().port(), factory, loopback());
        QCOMPARE(again.getHost(), port.getHost());
    }
    void r115_stopListeningLeavesConnectionsAlone() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        bool fired = false;
        pair.port.stopListening().addCallback([&] { fired = true; });
        QVERIFY(turnUntil(reactor, [&] { return fired; }));
        pair.client->transport().write("still here");
        QVERIFY(turnUntil(reactor, [&] { return pair.server->data == "still here"; }));
        fired = false;
        pair.port.stopListening().addCallback([&] { fired = true; });
        QVERIFY(fired);
    }
    void r116_connectionsAcceptedWhileStoppingAreNotHalfBuilt() {
        EpollReactor reactor;
        ListeningPort port;
        int built = 0;
        port = listenTCP(reactor, 0, Factory::make([&](const Address&) {
                             ++built;
                             port.stopListening();
                             return std::make_shared<Echo>();
                         }),
                         loopback());
        std::vector<std::unique_ptr<Raw>> clients;
        for (int i = 0; i < 5; ++i)
            clients.push_back(std::make_unique<Raw>(port.getHost()));
        QVERIFY(turnUntil(reactor, [&] { return built > 0 && !port.listening(); }));
        turn(reactor);
        QCOMPARE(built, 1);
        int open = 0;
        for (const auto& client : clients)
            open += client->peek() == -EAGAIN;
        QCOMPARE(open, 1);
    }
    void r117_startListeningAgain() {
        EpollReactor reactor;
        auto factory = std::make_shared<Counted>();
        auto port = listenTCP(reactor, 0, factory, loopback());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, port.startListening());
        const Address before = port.getHost();
        bool fired = false;
        port.stopListening().addCallback([&] { fired = true; });
        QVERIFY(turnUntil(reactor, [&] { return fired; }));
        port.startListening();
        QCOMPARE(port.getHost(), before);
        Raw client(before);
        QCOMPARE(factory->started, 2);
    }
    void r118_anExceptionInStopFactoryFailsStopListening() {
        EpollReactor reactor;
        auto factory = std::make_shared<Counted>();
        factory->throwsAtStop = true;
        auto port = listenTCP(reactor, 0, factory, loopback());
        std::optional<Failure> failure;
        port.stopListening().addErrback([&](const Failure& f) { failure = f; });
        QVERIFY(turnUntil(reactor, [&] { return failure.has_value(); }));
        QVERIFY(failure->check<std::domain_error>());
        port.startListening();
        QVERIFY(port.listening());
        factory->throwsAtStop = false;
    }
    void r119_theReactorsEndClosesThePort() {
        auto factory = std::make_shared<Counted>();
        ListeningPort port;
        {
            EpollReactor reactor;
            reactor.callWhenRunning([&] {
                port = listenTCP(reactor, 0, factory, loopback());
                reactor.stop();
            });
            reactor.run();
            QVERIFY(!port.listening());
            QCOMPARE(factory->stopped, 1);
            listenTCP(reactor, port.getHost().port(), factory, loopback());
        }
        QCOMPARE(factory->stopped, 2);
    }
    void r120_aFactoryOnSeveralPorts() {
        EpollReactor reactor;
        auto factory = std::make_shared<Counted>();
        auto one = listenTCP(reactor, 0, factory, loopback());
        auto two = listenTCP(reactor, 0, factory, loopback());
        QCOMPARE(factory->started, 1);
        one.stopListening();
        turn(reactor);
        QCOMPARE(factory->stopped, 0);
        two.stopListening();
        turn(reactor);
        QCOMPARE(factory->stopped, 1);
    }
    void r121_aNestedTurnInConnectionMadeGoesOnAccepting() {
        EpollReactor reactor;
        int made = 0;
        int seenInside = 0;
        auto port = listenTCP(reactor, 0, Factory::make([&](const Address&) {
                                  auto protocol = std::make_shared<Heard>();
                                  protocol->onMade = [&](Heard&) {
                                      if (++made != 1)
                                          return;
                                      turnUntil(reactor, [&] { return made == 6; }); // a dialog
                                      seenInside = made;
                                  };
                                  return protocol;
                              }),
                              loopback());
        std::vector<std::unique_ptr<Raw>> clients;
        for (int i = 0; i < 6; ++i)
            clients.push_back(std::make_unique<Raw>(port.getHost()));
        turn(reactor);
        QCOMPARE(seenInside, 6);
    }
    void r123_noDescriptorsLeft() {
        EpollReactor reactor;
        LogRecorder recorder;
        auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>(), loopback());
        turn(reactor, 3);
        std::vector<std::unique_ptr<Raw>> clients;
        for (int i = 0; i < 4; ++i)
            clients.push_back(std::make_unique<Raw>(port.getHost()));
        rlimit before{};
        getrlimit(RLIMIT_NOFILE, &before);
        rlimit tight = before;
        const int lowest = dup(0); // every number below it is taken
        close(lowest);
        tight.rlim_cur = static_cast<rlim_t>(lowest);
        setrlimit(RLIMIT_NOFILE, &tight);
        const auto turnsBefore = reactor.stats().callbacks;
        turn(reactor, 30);
        const auto used = reactor.stats().callbacks - turnsBefore;
        setrlimit(RLIMIT_NOFILE, &before);
        for (const auto& client : clients)
            QCOMPARE(client->peek(), 0); // closed
        QVERIFY2(used < 10, "the port spins");
        QVERIFY(!recorder.flush().empty());
        Raw late(port.getHost());
        QVERIFY(turnUntil(
            reactor, [&] { return reactor.stats().descriptors == 2; })); // the port, and the one that got in
        QCOMPARE(late.peek(), -EAGAIN);
    }
    void r124_buildProtocolThatThrowsHarmsNobodyElse() {
        EpollReactor reactor;
        LogRecorder recorder;
        int n = 0;
        auto port = listenTCP(reactor, 0, Factory::make([&](const Address&) -> std::shared_ptr<Protocol> {
                                  if (n++ == 0)
                                      throw std::domain_error("first");
                                  return std::make_shared<Echo>();
                              }),
                              loopback());
        Raw first(port.getHost());
        QVERIFY(turnUntil(reactor, [&] { return n == 1; }));
        Raw second(port.getHost());
        QVERIFY(turnUntil(reactor, [&] { return n == 2; }));
        QCOMPARE(first.peek(), 0);
        QCOMPARE(second.peek(), -EAGAIN);
        QCOMPARE(recorder.flushErrors<std::domain_error>().size(), std::size_t{1});
    }
    void r125_nullClosesTheClient() {
        EpollReactor reactor;
        bool asked = false;
        auto port = listenTCP(reactor, 0, Factory::make([&](const Address&) {
                                  return asked = true, std::shared_ptr<Protocol>();
                              }),
                              loopback());
        Raw client(port.getHost());
        QVERIFY(turnUntil(reactor, [&] { return asked; }));
        QCOMPARE(client.peek(), 0);
    }
    void r126_startAndEndAreLogged() {
        EpollReactor reactor;
        std::vector<std::string> lines;
        const auto subscription = addLogObserver(
            [&](const LogEvent& e) { lines.push_back(e.prefix + ": " + e.message); }, LogLevel::info);
        auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>(), loopback());
        const std::string number = std::to_string(port.getHost().port());
        port.stopListening();
        turn(reactor);
        QCOMPARE(lines.size(), std::size_t{2});
        QCOMPARE(lines[0], "EchoFactory: starting on " + number);
        QCOMPARE(lines[1], "EchoFactory: port " + number + " closed");
    }
    void r127_connectionsHaveNames() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        const std::string port = std::to_string(pair.port.getHost().port());
        QCOMPARE(pair.server->transport().describe(), "<Heard #1 on " + port + ">");
        QCOMPARE(pair.server->transport().logPrefix(), "Heard,1,127.0.0.1");
        QCOMPARE(pair.client->transport().logPrefix(), "Heard,client");
        QCOMPARE(pair.client->transport().describe(), "<Heard to 127.0.0.1:" + port + ">");
    }
    void r268_anOwnedPortEndsWithItsOwner() {
        EpollReactor reactor;
        auto scope = std::make_unique<Scope>();
        auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>(), loopback()).ownedBy(*scope);
        scope.reset();
        QVERIFY(!port.listening());
        listenTCP(reactor, port.getHost().port(), Factory::forProtocol<Echo>(), loopback());
    }
};

QTEST_GUILESS_MAIN(ListeningTest)
#include "listening_test.moc"
