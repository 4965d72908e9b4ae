// A connection that changes its protocol: what the old one has not used goes to the new one.

#include <optional>
#include <utility>

#include "bine/net/half_close.h"
#include "bine/protocols/line_receiver.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace bine;
using nettest::Heard;

namespace {

using Events = std::vector<std::string>;

class HalfHeard : public Heard, public HalfCloseableProtocol {
public:
    void readConnectionLost() override { events.push_back("readLost"); }
    void writeConnectionLost() override { events.push_back("writeLost"); }
};

/// Upgrades with the line "upgrade"; pauses the input then, if told to.
class Upgrading : public LineReceiver {
public:
    explicit Upgrading(std::shared_ptr<Protocol> next, bool pauses = false) : next_(std::move(next)), pauses_(pauses) {}
    void lineReceived(std::string_view line) override {
        lines.emplace_back(line);
        if (line != "upgrade")
            return;
        Transport& connection = transport();
        connection.replaceProtocol(next_, clearLineBuffer());
        if (pauses_)
            connection.pauseProducing();
    }
    Events lines;

private:
    std::shared_ptr<Protocol> next_;
    bool pauses_;
};

} // namespace

class ReplaceProtocolTest : public kit::ReactorTest {
    Q_OBJECT

    /// Connects a client with `server`.
    std::shared_ptr<Heard> connect(const std::shared_ptr<Protocol>& server) {
        const auto port = listenTCP(reactor(), 0, Factory::make([server = std::shared_ptr(server)](const Address&) mutable {
                                         return std::exchange(server, nullptr); // it keeps its factory
                                     }),
                                    TCPServerOptions().listenOn("127.0.0.1"));
        auto client = std::make_shared<Heard>();
        connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), client).addBoth([](auto) {});
        return host().spinUntil([&] { return client->connected() && server->connected(); }) ? client : nullptr;
    }
    void turns() {
        for (int i = 0; i < 20; ++i)
            host().turn();
    }

private slots:
    void theRestComesBeforeLaterBytes() {
        const auto next = std::make_shared<Heard>();
        const auto server = std::make_shared<Upgrading>(next);
        const auto client = connect(server);
        QVERIFY(client);
        client->transport().write("first\r\nupgrade\r\nrest");
        QVERIFY(host().spinUntil([&] { return next->data == "rest"; }));
        client->transport().write(" and more");
        QVERIFY(host().spinUntil([&] { return next->data == "rest and more"; }));
        QCOMPARE(server->lines, (Events{"first", "upgrade"}));
        client->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return next->lost(); }));
    }
    void aPausedProtocolGetsTheRestWhenItResumes() {
        const auto next = std::make_shared<Heard>();
        const auto client = connect(std::make_shared<Upgrading>(next, true));
        QVERIFY(client);
        client->transport().write("upgrade\r\nrest");
        QVERIFY(host().spinUntil([&] { return next->connected(); }));
        client->transport().write(" and more");
        turns();
        QCOMPARE(next->data, std::string());
        next->transport().resumeProducing();
        QVERIFY(host().spinUntil([&] { return next->data == "rest and more"; }));
    }
    void theEndOfTheInputComesBehindTheRest() {
        const auto next = std::make_shared<Heard>();
        const auto client = connect(std::make_shared<Upgrading>(next, true));
        QVERIFY(client);
        client->transport().write("upgrade\r\nrest");
        client->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return client->lost() && next->connected(); }));
        turns();
        QCOMPARE(next->events, Events{});
        next->transport().resumeProducing();
        QVERIFY(host().spinUntil([&] { return next->lost(); }));
        QCOMPARE(next->data, std::string("rest"));
        QVERIFY(next->lostBy<ConnectionDone>());
    }
    void aHalfClosedConnectionEndsBehindTheRest() {
        const auto next = std::make_shared<HalfHeard>();
        const auto client = connect(std::make_shared<Upgrading>(next, true));
        QVERIFY(client);
        client->transport().write("upgrade\r\nrest");
        QVERIFY(host().spinUntil([&] { return next->connected(); }));
        next->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        QVERIFY(host().spinUntil([&] { return next->count("writeLost") == 1; }));
        client->transport().loseConnection();
        turns();
        next->transport().resumeProducing();
        QVERIFY(host().spinUntil([&] { return next->lost(); }));
        QCOMPARE(next->events, (Events{"writeLost", "data", "readLost", "lost"}));
        QVERIFY(next->lostBy<ConnectionDone>());
    }
    void outsideOfAHandlerTheRestComesAtOnce() {
        const auto server = std::make_shared<Heard>();
        const auto next = std::make_shared<Heard>();
        const auto client = connect(server);
        QVERIFY(client);
        server->transport().replaceProtocol(next, "rest");
        QCOMPARE(next->data, std::string("rest"));
        client->transport().write(" and more");
        QVERIFY(host().spinUntil([&] { return next->data == "rest and more"; }));
    }
    void theNextMayBeReplacedInTurn() {
        const auto last = std::make_shared<Heard>();
        const auto next = std::make_shared<Upgrading>(last);
        const auto client = connect(std::make_shared<Upgrading>(next));
        QVERIFY(client);
        client->transport().write("upgrade\r\nupgrade\r\nrest");
        QVERIFY(host().spinUntil([&] { return last->data == "rest"; }));
    }
    void afterLoseConnectionTheRestIsDropped() {
        const auto server = std::make_shared<Heard>();
        const auto next = std::make_shared<Heard>();
        const auto client = connect(server);
        QVERIFY(client);
        server->transport().loseConnection();
        if (server->connected())
            server->transport().replaceProtocol(next, "rest");
        QVERIFY(host().spinUntil([&] { return client->lost(); }));
        QCOMPARE(next->data, std::string());
    }
};

int main(int argc, char** argv) { return kit::runTests<ReplaceProtocolTest>(argc, argv); }
#include "replace_protocol.moc"
