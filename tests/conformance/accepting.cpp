// A port that pauses, and a port with a maximum of connections.

#include <algorithm>
#include <utility>

#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace bine;
using nettest::Heard;

namespace {

/// Builds Heard, until told to refuse.
struct Hall : Factory {
    std::vector<std::shared_ptr<Heard>> guests;
    std::function<void()> onBuild;
    int refuse = 0;
    std::shared_ptr<Protocol> buildProtocol(const Address&) override {
        if (onBuild)
            onBuild();
        if (refuse > 0 && refuse--)
            return nullptr;
        return guests.emplace_back(std::make_shared<Heard>());
    }
    std::size_t living() const {
        std::size_t n = 0;
        for (const auto& each : guests)
            n += each->count("made") == 1 && !each->lost();
        return n;
    }
};

} // namespace

class AcceptingTest : public kit::ReactorTest {
    Q_OBJECT

public:
    ~AcceptingTest() override { letGuestsGo(); }

private:
    // The guests keep their factory, which keeps them.
    void letGuestsGo() {
        if (hall)
            hall->guests.clear();
    }
    void listen(std::size_t maximum = 0) {
        letGuestsGo();
        hall = std::make_shared<Hall>();
        port = listenTCP(reactor(), 0, hall, TCPServerOptions().listenOn("127.0.0.1").maximumConnections(maximum));
    }
    std::shared_ptr<Heard> connect() {
        auto client = std::make_shared<Heard>();
        connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), client).addBoth([](auto) {});
        return host().spinUntil([&] { return client->connected(); }) ? client : nullptr;
    }
    bool guests(std::size_t count) {
        return host().spinUntil([&] { return hall->guests.size() == count && hall->guests.back()->count("made") == 1; });
    }
    void turns() {
        for (int i = 0; i < 20; ++i)
            host().turn();
    }
    static std::size_t warnings(nettest::Logged& log) {
        const std::string text = std::exchange(log.text, {});
        return text.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '|'));
    }

    std::shared_ptr<Hall> hall;
    ListeningPort port;

private slots:
    void aPausedPortLetsClientsWait() {
        listen();
        port.pauseAccepting();
        const auto client = connect();
        QVERIFY(client); // by the kernel
        client->transport().write("hello");
        turns();
        QCOMPARE(hall->guests.size(), std::size_t{0});
        QVERIFY(port.listening());
        port.resumeAccepting();
        QVERIFY(guests(1));
        QVERIFY(host().spinUntil([&] { return hall->guests.front()->data == "hello"; }));
    }
    void aPauseInBuildProtocolHoldsTheNextBack() {
        listen();
        port.pauseAccepting();
        const auto one = connect(), two = connect(), three = connect();
        hall->onBuild = [this] { port.pauseAccepting(); };
        port.resumeAccepting();
        QVERIFY(guests(1));
        turns();
        QCOMPARE(hall->guests.size(), std::size_t{1});
        hall->onBuild = nullptr;
        port.resumeAccepting();
        QVERIFY(guests(3));
    }
    void establishedConnectionsGoOnWhileThePortPauses() {
        listen();
        const auto client = connect();
        QVERIFY(guests(1));
        port.pauseAccepting();
        client->transport().write("still here");
        QVERIFY(host().spinUntil([&] { return hall->guests.front()->data == "still here"; }));
    }
    void aPauseCountsBeyondStopListening() {
        listen();
        port.pauseAccepting();
        bool stopped = false;
        port.stopListening().addCallback([&] { stopped = true; });
        QVERIFY(host().spinUntil([&] { return stopped; }));
        port.startListening();
        const auto client = connect();
        turns();
        QCOMPARE(hall->guests.size(), std::size_t{0});
        port.resumeAccepting();
        QVERIFY(guests(1));
    }
    void moreThanTheMaximumWaitUntilOneEnds() {
        nettest::Logged log(LogLevel::warn);
        listen(2);
        std::vector<std::shared_ptr<Heard>> clients;
        for (int i = 0; i < 4; ++i) {
            clients.push_back(connect());
            QVERIFY(clients.back());
        }
        QVERIFY(guests(2));
        turns();
        QCOMPARE(hall->living(), std::size_t{2});
        QCOMPARE(warnings(log), std::size_t{1});
        clients[0]->transport().loseConnection();
        QVERIFY(guests(3));
        hall->guests[1]->transport().abortConnection();
        QVERIFY(guests(4));
        turns();
        QCOMPARE(hall->living(), std::size_t{2});
    }
    void theWarningComesAgainAfterTheNumberHasFallen() {
        nettest::Logged log(LogLevel::warn);
        listen(2);
        auto one = connect(), two = connect();
        QVERIFY(guests(2));
        one->transport().loseConnection();
        two->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return hall->living() == 0; }));
        turns();
        QCOMPARE(warnings(log), std::size_t{1});
        const auto three = connect(), four = connect();
        QVERIFY(guests(4));
        QCOMPARE(warnings(log), std::size_t{1});
    }
    void aHalfClosedConnectionCounts() {
        listen(1);
        const auto one = connect();
        QVERIFY(guests(1));
        auto owed = hall->guests[0]->transport().holdOpen();
        one->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        const auto two = connect();
        turns();
        QCOMPARE(hall->guests.size(), std::size_t{1});
        owed.release();
        QVERIFY(guests(2));
    }
    void aRefusedConnectionDoesNotCount() {
        listen(1);
        hall->refuse = 3;
        for (int i = 0; i < 3; ++i)
            QVERIFY(connect());
        const auto client = connect();
        QVERIFY(guests(1));
    }
    void aConnectionWhoseOwnerDiedDoesNotCount() {
        listen(1);
        const auto one = connect();
        QVERIFY(guests(1));
        {
            Scope scope;
            hall->guests[0]->transport().ownedBy(scope);
        }
        const auto two = connect();
        QVERIFY(guests(2));
    }
    void withAPauseAndAMaximumBothMustAllow() {
        listen(1);
        const auto one = connect();
        QVERIFY(guests(1));
        port.pauseAccepting();
        one->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return hall->living() == 0; }));
        const auto two = connect();
        turns();
        QCOMPARE(hall->guests.size(), std::size_t{1});
        port.resumeAccepting();
        QVERIFY(guests(2));
    }
};

int main(int argc, char** argv) { return kit::runTests<AcceptingTest>(argc, argv); }
#include "accepting.moc"
