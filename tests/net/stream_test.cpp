#include <QtTest>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>

#include "bine/defer/owner.h"
#include "bine/log/recorder.h"
#include "bine/net/half_close.h"
#include "bine/net/network.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

struct Pump : Producer {
    std::function<void()> onPause, onResume, onStop;
    std::vector<std::string> events;
    void pauseProducing() override {
        events.push_back("pause");
        if (onPause)
            onPause();
    }
    void resumeProducing() override {
        events.push_back("resume");
        if (onResume)
            onResume();
    }
    void stopProducing() override {
        events.push_back("stop");
        if (onStop)
            onStop();
    }
};

class HalfHeard : public Heard, public HalfCloseableProtocol {
public:
    std::function<void(HalfHeard&)> onReadLost, onWriteLost;
    void readConnectionLost() override {
        events.push_back("readLost");
        if (onReadLost)
            onReadLost(*this);
    }
    void writeConnectionLost() override {
        events.push_back("writeLost");
        if (onWriteLost)
            onWriteLost(*this);
    }
};

std::vector<std::string> list(std::initializer_list<const char*> words) {
    return {words.begin(), words.end()};
}

std::string letters(std::size_t size) {
    std::string text(size, ' ');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>('a' + (i * 31 + i / 977) % 26);
    return text;
}

} // namespace

class StreamTest : public QObject {
    Q_OBJECT
private slots:
    void anIdleConnectionHasNoBuffers() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        QCOMPARE(pair.server->transport().buffered(), std::size_t{0});
        QVERIFY(pair.server->transport().connected());
        QVERIFY(!pair.server->transport().disconnecting());
    }
    void r130_writeTakesEveryFormOfBytes() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        Transport& transport = pair.client->transport();
        std::string lvalue = "lvalue ";
        const std::string constant = "const ";
        transport.write("");
        transport.write(std::string());
        transport.write("literal ");
        transport.write(std::string_view("view "));
        transport.write(lvalue);
        transport.write(constant);
        transport.write(std::string("rvalue "));
        transport.write(std::move(lvalue));
        QVERIFY(turnUntil(reactor,
                          [&] { return pair.server->data == "literal view lvalue const rvalue lvalue "; }));
    }
    void r131_writeSequenceIsManyWrites() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.client->onMade = [](Heard& p) {
            p.transport().writeSequence({"a", "b"});
            p.transport().writeSequence(std::vector<std::string>{"c", std::string(20000, 'd')});
            const std::vector<std::string_view> views{"e", "f"};
            p.transport().writeSequence(views);
        };
        QVERIFY(pair.connect());
        QVERIFY(
            turnUntil(reactor, [&] { return pair.server->data == "abc" + std::string(20000, 'd') + "ef"; }));
    }
    void r129_writingNeverCallsBackSynchronously() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        const auto before = pair.client->events;
        pair.client->transport().write(std::string(32 << 20, 'x'));
        pair.client->transport().loseConnection();
        QVERIFY(pair.client->transport().disconnecting());
        pair.client->transport().abortConnection();
        QCOMPARE(pair.client->events, before);
        QVERIFY(!pair.client->transport().connected());
        QVERIFY(turnUntil(reactor, [&] { return pair.client->lost(); }));
        QVERIFY(pair.client->lostBy<ConnectionAborted>()); // r159: lose, then abort
    }
    void r134_megabytesBothWays() {
        EpollReactor reactor;
        Pair pair(reactor);
        const std::string there = letters(5 << 20);
        const std::string back = letters(3 << 20);
        pair.server->onMade = [&](Heard& p) { p.transport().write(back); };
        QVERIFY(pair.connect());
        for (std::size_t at = 0; at < there.size(); at += 10007)
            pair.client->transport().write(std::string_view(there).substr(at, 10007));
        QVERIFY(turnUntil(reactor, [&] {
            return pair.server->data.size() == there.size() && pair.client->data.size() == back.size();
        }));
        QVERIFY(pair.server->data == there);
        QVERIFY(pair.client->data == back);
        QCOMPARE(pair.client->transport().buffered(), std::size_t{0});
    }
    void r134_anEchoOfMegabytes() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onData = [](Heard& p, std::string_view data) { p.transport().write(data); };
        QVERIFY(pair.connect());
        const std::string text = letters(4 << 20);
        pair.client->transport().write(std::string(text));
        QVERIFY(turnUntil(reactor, [&] { return pair.client->data.size() == text.size(); }));
        QVERIFY(pair.client->data == text);
    }
    void r134_aLargeWriteLeavesAtOnceBehindWhatWaits() {
        EpollReactor reactor;
        Pair pair(reactor);
        const std::string large = letters(20000);
        std::vector<std::size_t> waiting;
        pair.server->onMade = [&](Heard& p) {
            const auto write = [&](auto&& data) {
                p.transport().write(std::forward<decltype(data)>(data));
                waiting.push_back(p.transport().buffered());
            };
            write("first ");
            write(std::string_view(large));
            write(" then ");
            write(std::string(large));
            write(" last");
        };
        QVERIFY(pair.connect());
        const std::string all = "first " + large + " then " + large + " last";
        QVERIFY(turnUntil(reactor, [&] { return pair.client->data.size() == all.size(); }));
        QVERIFY(pair.client->data == all);
        QCOMPARE(waiting, (std::vector<std::size_t>{6, 0, 6, 0, 5}));
    }
    void r154_loseConnectionFlushesAndBothHearDone() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        const std::string text = letters(3 << 20);
        pair.client->transport().write(text);
        pair.client->transport().loseConnection();
        QVERIFY(pair.client->transport().disconnecting());
        pair.client->transport().write("too late"); // r133
        pair.client->transport().loseConnection();  // r156
        QVERIFY(pair.bothLost());
        QVERIFY(pair.server->data == text);
        QVERIFY(pair.client->lostBy<ConnectionDone>() && pair.server->lostBy<ConnectionDone>());
        QCOMPARE(pair.client->count("lost"), std::size_t{1});
        QVERIFY(!pair.client->connected());
        pair.client->transport().write("r132");
        pair.client->transport().loseConnection();
        pair.client->transport().abortConnection();
        QCOMPARE(&pair.client->transport(), &nullTransport());
    }
    void r154_unreadInputDoesNotDestroyTheLastWords() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        pair.client->transport().write("a request that nobody reads");
        turn(reactor, 3);
        pair.server->transport().write("go away");
        pair.server->transport().loseConnection();
        QVERIFY(pair.bothLost());
        QCOMPARE(pair.client->data, "go away");
        QVERIFY(pair.client->lostBy<ConnectionDone>());
    }
    void r155_loseConnectionStopsReading() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onData = [](Heard& p, std::string_view) { p.transport().loseConnection(); };
        QVERIFY(pair.connect());
        pair.client->transport().write(std::string(2 << 20, 'x'));
        QVERIFY(turnUntil(reactor, [&] { return pair.server->lost(); }));
        QCOMPARE(pair.server->events, list({"made", "data", "lost"}));
    }
    void r157_loseConnectionInsideCallbacks() {
        for (const char* where : {"made", "data", "lost"}) {
            for (const bool abort : {false, true}) {
                EpollReactor reactor;
                Pair pair(reactor);
                const auto end = [abort](Heard& p) {
                    abort ? p.transport().abortConnection() : p.transport().loseConnection();
                    QVERIFY(!p.lost() || p.events.back() == "lost");
                };
                if (where == std::string("made"))
                    pair.server->onMade = end;
                if (where == std::string("data"))
                    pair.server->onData = [end](Heard& p, std::string_view) { end(p); };
                if (where == std::string("lost"))
                    pair.server->onLost = end;
                bool refused = false; // an abort may come before the client knows that it is connected
                pair.client->onMade = [&](Heard& p) {
                    p.transport().write("x");
                    if (where == std::string("lost"))
                        p.transport().loseConnection();
                };
                connectProtocol(reactor, "127.0.0.1", pair.port.getHost().port(), pair.client)
                    .addErrback([&](const Failure&) { return refused = true, std::shared_ptr<Heard>(); });
                QVERIFY(turnUntil(reactor,
                                  [&] { return pair.server->lost() && (refused || pair.client->lost()); }));
                QCOMPARE(pair.server->count("lost"), std::size_t{1});
                QCOMPARE(pair.server->deepest, 1);
                QCOMPARE(pair.server->lostBy<ConnectionAborted>(), abort && where != std::string("lost"));
            }
        }
    }
    void r158_abortResets() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        pair.client->transport().write(std::string(8 << 20, 'x'));
        pair.client->transport().abortConnection();
        pair.client->transport().abortConnection();
        pair.client->transport().write("discarded");
        QVERIFY(!pair.client->lost());
        QVERIFY(pair.bothLost());
        QVERIFY(pair.client->lostBy<ConnectionAborted>());
        QVERIFY(pair.server->lostBy<ConnectionLost>() && !pair.server->lostBy<ConnectionAborted>());
        QVERIFY(pair.server->data.size() < (8u << 20));
        QCOMPARE(reactor.stats().descriptors, std::size_t{1}); // r161: the port
    }
    void r162_peerVanishesWhilePaused() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        pair.client->transport().abortConnection();
        turn(reactor, 5);
        const auto before = reactor.stats().callbacks;
        turn(reactor, 30);
        QVERIFY2(reactor.stats().callbacks - before < 5, "r271: a paused connection spins");
        pair.server->transport().write("anybody there?"); // r136
        QVERIFY(turnUntil(reactor, [&] { return pair.server->lost(); }));
        QVERIFY(pair.server->lostBy<ConnectionLost>());
    }
    void r147_pauseInConnectionMade() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        pair.client->transport().write("hello");
        turn(reactor);
        QCOMPARE(pair.server->data, "");
        pair.server->transport().resumeProducing();
        QVERIFY(turnUntil(reactor, [&] { return pair.server->data == "hello"; }));
    }
    void r148_pauseInDataReceived() {
        EpollReactor reactor;
        Pair pair(reactor);
        int calls = 0;
        pair.server->onData = [&](Heard& p, std::string_view) {
            ++calls;
            p.transport().pauseProducing();
        };
        QVERIFY(pair.connect());
        const std::string text = letters(1 << 20);
        pair.client->transport().write(text);
        turn(reactor);
        QCOMPARE(calls, 1);
        for (int i = 0; pair.server->data.size() < text.size() && i < 500; ++i) { // r149
            pair.server->transport().resumeProducing();
            turn(reactor, 3);
            QCOMPARE(calls, i + 2);
        }
        QVERIFY(pair.server->data == text);
    }
    void r151_eofWhilePausedIsReportedAfterResume() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        pair.client->transport().write("last");
        pair.client->transport().loseConnection();
        turn(reactor);
        QCOMPARE(pair.server->events, list({"made"}));
        pair.server->transport().resumeProducing();
        QVERIFY(turnUntil(reactor, [&] { return pair.server->lost(); }));
        QCOMPARE(pair.server->events, list({"made", "data", "lost"}));
        QVERIFY(pair.server->lostBy<ConnectionDone>());
    }
    void r150_resumeWhileDisconnectingDoesNotRead() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        pair.client->onMade = nullptr;
        pair.server->transport().write(std::string(8 << 20, 'x'));
        pair.server->transport().loseConnection();
        pair.server->transport().resumeProducing();
        pair.client->transport().pauseProducing();
        pair.client->transport().write("x");
        turn(reactor, 5);
        QCOMPARE(pair.server->data, "");
        pair.client->transport().resumeProducing();
        QVERIFY(pair.bothLost());
        QCOMPARE(pair.client->data.size(), std::size_t{8 << 20});
    }

    // --- Producers

    void r138_onlyOneProducer() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        Transport& transport = pair.client->transport();
        transport.registerProducer(std::make_shared<Pump>(), true);
        QVERIFY_THROWS_EXCEPTION(ProducerAlreadyRegistered,
                                 transport.registerProducer(std::make_shared<Pump>(), true));
        transport.unregisterProducer();
        transport.registerProducer(std::make_shared<Pump>(), true);
    }
    void r139_registrationAfterTheLossStopsTheProducer() {
        auto pump = std::make_shared<Pump>();
        nullTransport().registerProducer(pump, true);
        QCOMPARE(pump->events, list({"stop"}));
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        pair.client->transport().abortConnection();
        pair.client->transport().registerProducer(pump, false);
        QCOMPARE(pump->events, list({"stop", "stop"}));
    }
    void r140_aPullProducerIsAskedUntilItIsDone() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        auto pump = std::make_shared<Pump>();
        int left = 100;
        pump->onResume = [&] {
            pair.client->transport().write(std::string(10000, 'p'));
            if (--left == 0)
                pair.client->transport().unregisterProducer();
        };
        pair.client->transport().registerProducer(pump, false);
        QCOMPARE(pump->events.size(), std::size_t{1});
        QVERIFY(turnUntil(reactor, [&] { return pair.server->data.size() == 1000000; }));
        QCOMPARE(left, 0);
        QCOMPARE(std::count(pump->events.begin(), pump->events.end(), "pause"), 0);
    }
    void r141_aPushProducerIsPausedAndResumed() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        auto pump = std::make_shared<Pump>();
        Transport& transport = pair.client->transport();
        transport.registerProducer(pump, true);
        for (int i = 0; i < 1000 && pump->events.empty(); ++i)
            transport.write(std::string(100000, 'x'));
        QCOMPARE(pump->events, list({"pause"}));
        transport.write("more");
        QCOMPARE(pump->events, list({"pause"}));
        turn(reactor);
        QCOMPARE(pump->events, list({"pause"}));
        pump->onResume = [&] { QCOMPARE(transport.buffered(), std::size_t{0}); };
        pair.server->transport().resumeProducing();
        QVERIFY(turnUntil(reactor, [&] { return pump->events.size() == 2; }));
        QCOMPARE(pump->events, list({"pause", "resume"}));
        transport.unregisterProducer();
    }
    void r142_aProducerThatWritesInsideResume() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        auto pump = std::make_shared<Pump>();
        Transport& transport = pair.client->transport();
        std::size_t sent = 0;
        bool paused = false;
        pump->onPause = [&] { paused = true; };
        pump->onResume = [&] {
            paused = false;
            while (!paused && sent < (16u << 20)) {
                transport.write(std::string(50000, 'x'));
                sent += 50000;
            }
            if (sent >= (16u << 20))
                transport.unregisterProducer();
        };
        transport.registerProducer(pump, true);
        pump->onResume();
        QVERIFY(turnUntil(reactor, [&] { return sent >= (16u << 20) && pair.server->data.size() == sent; }));
    }
    void r143_loseConnectionWaitsForTheProducer() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        Transport& transport = pair.client->transport();
        transport.registerProducer(std::make_shared<Pump>(), true);
        transport.loseConnection();
        turn(reactor);
        QVERIFY(!pair.client->lost());
        transport.write("still ");
        turn(reactor);
        transport.write("writing");
        transport.unregisterProducer();
        transport.write(" no more");
        QVERIFY(pair.bothLost());
        QCOMPARE(pair.server->data, "still writing");
        QVERIFY(pair.client->lostBy<ConnectionDone>());
    }
    void r145_theProducerIsStoppedOnceBeforeTheProtocolHears() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        auto pump = std::make_shared<Pump>();
        pump->onStop = [&] {
            QVERIFY(!pair.client->lost());
            pair.client->transport().unregisterProducer(); // r144
        };
        pair.client->transport().registerProducer(pump, true);
        pair.server->transport().abortConnection();
        QVERIFY(pair.bothLost());
        QCOMPARE(pump->events, list({"stop"}));
    }
    void r146_stopConsuming() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        pair.client->transport().registerProducer(std::make_shared<Pump>(), true);
        pair.client->transport().stopConsuming();
        QVERIFY(pair.bothLost());
        QVERIFY(pair.client->lostBy<ConnectionDone>());
    }
    void r152_anExceptionInResumeProducingDisconnects() {
        EpollReactor reactor;
        LogRecorder recorder;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        auto pump = std::make_shared<Pump>();
        pump->onResume = [&] { throw std::domain_error("resume"); };
        pair.client->transport().registerProducer(pump, false);
        QVERIFY(pair.bothLost());
        QVERIFY(pair.client->lostBy<std::domain_error>());
        QCOMPARE(recorder.flushErrors<std::domain_error>().size(), std::size_t{1});
    }
    void r158_abortInsideResumeProducing() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        auto pump = std::make_shared<Pump>();
        pump->onResume = [&] {
            pair.client->transport().abortConnection();
            QVERIFY(!pair.client->lost());
        };
        pair.client->transport().registerProducer(pump, false);
        QVERIFY(pair.bothLost());
        QVERIFY(pair.client->lostBy<ConnectionAborted>());
    }
    void drainedFiresWhenEverythingIsSent() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        Transport& transport = pair.client->transport();
        int fired = 0;
        transport.drained().addCallback([&] { ++fired; });
        QCOMPARE(fired, 1);
        transport.write(std::string(16 << 20, 'x'));
        transport.drained().addCallback([&] { ++fired; });
        transport.drained().addCallback([&] { ++fired; });
        turn(reactor);
        QCOMPARE(fired, 1);
        pair.server->transport().resumeProducing();
        QVERIFY(turnUntil(reactor, [&] { return fired == 3; }));
        std::optional<Failure> failure;
        transport.write(std::string(16 << 20, 'x'));
        transport.drained().addErrback([&](const Failure& f) { failure = f; });
        transport.abortConnection();
        QVERIFY(pair.bothLost());
        QVERIFY(failure && failure->check<ConnectionAborted>());
        nullTransport().drained().addErrback([&](const Failure& f) { QVERIFY(f.check<ConnectionLost>()); });
    }
    void maxBufferedAbortsLoudly() {
        EpollReactor reactor;
        LogRecorder recorder;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        pair.client->transport().maxBuffered(1 << 20);
        pair.client->transport().write(std::string(32 << 20, 'x'));
        QVERIFY(!pair.client->transport().connected());
        QVERIFY(turnUntil(reactor, [&] { return pair.client->lost(); }));
        QVERIFY(pair.client->lostBy<ConnectionAborted>());
        QVERIFY(pair.client->reason->getErrorMessage().find("does not read") != std::string::npos);
    }
    void readWhileBlockedOffStopsReading() {
        EpollReactor reactor;
        Pair pair(reactor);
        pair.server->onMade = [](Heard& p) { p.transport().readWhileBlocked(false); };
        pair.server->onData = [](Heard& p, std::string_view data) { p.transport().write(data); };
        pair.client->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        QVERIFY(pair.connect());
        const std::string text = letters(32 << 20);
        pair.client->transport().write(text);
        turn(reactor, 200);
        const std::size_t read = pair.server->data.size();
        QVERIFY(read < text.size());
        QVERIFY(pair.server->transport().buffered() <= 2 * (256 << 10) + Transport::highWater);
        pair.client->transport().resumeProducing();
        QVERIFY(turnUntil(reactor, [&] { return pair.client->data.size() == text.size(); }));
        QVERIFY(pair.client->data == text);
    }

    // --- Half-close

    void r166_theInputEndsAndWritingGoesOn() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto server = std::make_shared<HalfHeard>();
        pair.server = server;
        QVERIFY(pair.connect());
        pair.client->transport().write("question");
        pair.client->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        pair.client->transport().write("r168: dropped");
        QVERIFY(turnUntil(reactor, [&] { return server->count("readLost") == 1; }));
        QCOMPARE(server->data, "question");
        server->transport().write("answer");
        QVERIFY(turnUntil(reactor, [&] { return pair.client->data == "answer"; })); // r167
        server->transport().loseConnection();
        QVERIFY(pair.bothLost());
        QCOMPARE(server->count("readLost"), std::size_t{1});
        QVERIFY(server->lostBy<ConnectionDone>());
    }
    void r169_bothSidesHalfCloseWithLoseConnectionInside() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto server = std::make_shared<HalfHeard>();
        auto client = std::make_shared<HalfHeard>();
        client->onWriteLost = [](HalfHeard& p) { p.transport().loseConnection(); };
        server->onReadLost = [](HalfHeard& p) {
            p.transport().as<HalfCloseableTransport>()->loseWriteConnection();
        };
        pair.server = server;
        pair.client = client;
        QVERIFY(pair.connect());
        client->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        QCOMPARE(client->count("writeLost"), std::size_t{0});
        QVERIFY(pair.bothLost());
        QCOMPARE(client->count("writeLost"), std::size_t{1});
        QCOMPARE(server->count("readLost"), std::size_t{1});
    }
    void r170_exceptionsInHalfClose() {
        EpollReactor reactor;
        LogRecorder recorder;
        Pair pair(reactor);
        auto server = std::make_shared<HalfHeard>();
        server->onReadLost = [](HalfHeard&) { throw std::domain_error("read"); };
        pair.server = server;
        QVERIFY(pair.connect());
        pair.client->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        QVERIFY(pair.bothLost());
        QVERIFY(server->lostBy<std::domain_error>());
        QCOMPARE(recorder.flushErrors<std::domain_error>().size(), std::size_t{1});
    }

    // --- Life

    void r164_theProtocolDiesAfterTheLoss() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        std::weak_ptr<int> alive = pair.server->alive;
        pair.client->transport().loseConnection();
        QVERIFY(pair.bothLost());
        pair.server.reset();
        QVERIFY(alive.expired());
    }
    void r162_theReactorsEndIsConnectionLost() {
        auto reactor = std::make_unique<EpollReactor>();
        Pair pair(*reactor);
        QVERIFY(pair.connect());
        reactor.reset();
        QVERIFY(pair.client->lostBy<ConnectionLost>() && pair.server->lostBy<ConnectionLost>());
        QCOMPARE(&pair.client->transport(), &nullTransport());
    }
    void closingAndStoppingInOneCallbackStillTellsTheProtocol() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        pair.client->onData = [&](Heard& p, std::string_view) {
            p.transport().loseConnection();
            reactor.stop();
        };
        pair.server->transport().write("stop");
        reactor.run();
        QVERIFY(pair.client->lost() && pair.server->lost());
        QVERIFY(pair.client->lostBy<ConnectionDone>());
        QCOMPARE(pair.client->count("lost"), std::size_t{1});
    }
    void whatIsOwnedByAProtocolEndsAfterItsLoss() {
        EpollReactor reactor;
        Pair pair(reactor);
        bool lostFirst = false;
        QVERIFY(pair.connect());
        DelayedCall call = reactor.callLater(1h, [] {}).ownedBy(*pair.client);
        pair.client->onLost = [&](Heard&) { lostFirst = call.active(); };
        pair.server->transport().loseConnection();
        QVERIFY(pair.bothLost());
        QVERIFY(lostFirst);
        QVERIFY(!call.active());
    }
    void replaceProtocolHandsTheConnectionOn() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto second = std::make_shared<Heard>();
        pair.server->onData = [&](Heard& p, std::string_view) {
            const auto old = p.transport().replaceProtocol(second);
            QCOMPARE(old.get(), static_cast<Protocol*>(&p));
            QCOMPARE(&p.transport(), &nullTransport());
        };
        QVERIFY(pair.connect());
        pair.client->transport().write("switch");
        QVERIFY(turnUntil(reactor, [&] { return pair.server->data == "switch"; }));
        pair.client->transport().write("second");
        QVERIFY(turnUntil(reactor, [&] { return second->data == "second"; }));
        pair.client->transport().loseConnection();
        QVERIFY(turnUntil(reactor, [&] { return second->lost(); }));
        QVERIFY(!pair.server->lost());
    }
    void aReplacedProtocolLivesUntilItsHandlerReturns() {
        EpollReactor reactor;
        Pair pair(reactor);
        auto second = std::make_shared<Heard>();
        const std::weak_ptr<Heard> first = pair.server;
        bool lived = false;
        pair.server->onData = [&](Heard& p, std::string_view) {
            Transport& transport = p.transport();
            pair.server.reset();
            transport.replaceProtocol(second);
            lived = !first.expired();
        };
        QVERIFY(pair.connect());
        pair.client->transport().write("switch");
        QVERIFY(turnUntil(reactor, [&] { return lived; }));
        QVERIFY(first.expired());
        pair.client->transport().write("second");
        QVERIFY(turnUntil(reactor, [&] { return second->data == "second"; }));
    }
    void addressesAreThereInConnectionLost() {
        EpollReactor reactor;
        Pair pair(reactor);
        QVERIFY(pair.connect());
        const Address host = pair.client->transport().getHost();
        const Address peer = pair.client->transport().getPeer();
        Address lostHost;
        Address lostPeer;
        pair.client->onLost = [&](Heard& p) {
            lostHost = p.transport().getHost();
            lostPeer = p.transport().getPeer();
        };
        pair.server->transport().abortConnection();
        QVERIFY(pair.bothLost());
        QCOMPARE(lostHost, host);
        QCOMPARE(lostPeer, peer);
    }
};

QTEST_GUILESS_MAIN(StreamTest)
#include "stream_test.moc"
