// Filters over sockets: the loop below, a protocol above.

#include <optional>
#include <utility>

#include "bine/defer/owner.h"
#include "bine/net/filter.h"
#include "bine/net/half_close.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace std::chrono_literals;
using namespace bine;
using nettest::Heard;

namespace {
using Events = std::vector<std::string>;
}

class FiltersTest : public kit::ReactorTest {
    Q_OBJECT

    bool connect() {
        server = std::make_shared<Heard>();
        client = std::make_shared<Heard>();
        const auto port = listenTCP(reactor(), 0, Factory::make([server = server](const Address&) {
                                        return std::make_shared<Filter>(std::make_shared<Filter>(server));
                                    }),
                                    TCPServerOptions().listenOn("127.0.0.1"));
        connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), std::make_shared<Filter>(client)).addBoth([](auto) {});
        return host().spinUntil([&] { return client->connected() && server->connected(); });
    }
    void cleanUp() {
        client->onData = nullptr;
        server->onData = nullptr;
    }
    std::shared_ptr<Heard> server, client;

private slots:
    void muchDataPassesAndEndsInOrder() {
        QVERIFY(connect());
        const std::string much(8 << 20, 'x');
        client->transport().write(much);
        client->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return server->lost() && client->lost(); }));
        QCOMPARE(server->data.size(), much.size());
        QVERIFY(server->lostBy<ConnectionDone>());
        QVERIFY(client->lostBy<ConnectionDone>());
    }
    void drainedFiresWhenEverythingIsSent() {
        QVERIFY(connect());
        bool drained = false;
        client->transport().write(std::string(8 << 20, 'x'));
        QVERIFY(client->transport().buffered() > 0);
        client->transport().drained().addCallback([&] { drained = true; });
        QVERIFY(host().spinUntil([&] { return drained; }));
        QCOMPARE(client->transport().buffered(), std::size_t{0});
    }
    void aDialogAboveKeepsTheConnectionBusy() {
        QVERIFY(connect());
        bool inside = false, nested = false;
        server->onData = [&](Heard& heard, std::string_view) {
            if (std::exchange(inside, true))
                return;
            client->transport().write("second");
            for (int i = 0; i < 20; ++i)
                host().turn();
            nested = heard.data != "first";
        };
        client->transport().write("first");
        QVERIFY(host().spinUntil([&] { return server->data == "firstsecond"; }));
        QVERIFY(!nested);
        QCOMPARE(server->deepest, 1);
        cleanUp();
    }
    void anOwnerThatDiesAbortsThroughTheFilter() {
        QVERIFY(connect());
        {
            Scope window;
            client->transport().ownedBy(window);
        }
        QVERIFY(host().spinUntil([&] { return server->lost(); }));
        QVERIFY(server->lostBy<ConnectionLost>());
        QCOMPARE(client->events, Events{"made"});
    }
    void anAnswerIsOwedThroughTheFilter() {
        QVERIFY(connect());
        auto owed = server->transport().holdOpen();
        client->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        for (int i = 0; i < 20; ++i)
            host().turn();
        QVERIFY(server->connected());
        server->transport().write("answer");
        owed.release();
        QVERIFY(host().spinUntil([&] { return server->lost() && client->lost(); }));
        QCOMPARE(client->data, std::string("answer"));
        QVERIFY(server->lostBy<ConnectionDone>());
    }
};

int main(int argc, char** argv) { return kit::runTests<FiltersTest>(argc, argv); }
#include "filters.moc"
