#include <QtTest>

#include <random>

#include "bine/defer/owner.h"
#include "bine/log/log.h"
#include "bine/log/recorder.h"
#include "bine/net/half_close.h"
#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "bine/reactors/manual_clock.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

std::vector<std::string> list(std::initializer_list<const char*> words) {
    return {words.begin(), words.end()};
}

struct Wire {
    explicit Wire(std::shared_ptr<Heard> protocol = std::make_shared<Heard>())
        : protocol(std::move(protocol)) {
        this->protocol->makeConnection(transport);
    }
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    std::shared_ptr<Heard> protocol;
};

struct Source : Producer {
    std::function<void()> onResume;
    int paused = 0, resumed = 0, stopped = 0;
    void pauseProducing() override { ++paused; }
    void resumeProducing() override {
        ++resumed;
        if (onResume)
            onResume();
    }
    void stopProducing() override { ++stopped; }
};

/// A transport as a stranger would write it: against the public headers alone.
class Stranger : public Transport {
public:
    using Transport::write;
    std::string sent;
    bool gone = false;
    void write(std::string_view data) override {
        if (acceptsWrites())
            sent += data;
    }
    std::size_t left = 0;
    std::size_t buffered() const noexcept override { return left; }
    void drainedAll() {
        left = 0;
        outputDrained();
    }
    using Transport::loseConnection;
    void loseConnection() override { markDisconnecting(); }
    void abortConnection() override {
        gone = true;
        markEnded();
    }
    void pauseProducing() override {}
    void resumeProducing() override {}
    void arrived(std::string_view data) { deliverData(data); }
    void inputEnded() { deliverEof(); }
    void broke(const Failure& reason) { failOutput(reason); }
    void ended(const Failure& reason) { deliverLoss(reason); }
};

} // namespace

class MemoryTransportTest : public QObject {
    Q_OBJECT
private slots:
    void whatIsFedAndWritten() {
        Wire wire(std::make_shared<Heard>());
        wire.protocol->onData = [](Heard& p, std::string_view data) { p.transport().write(data); };
        wire.transport->feed("hello");
        QCOMPARE(wire.transport->value(), "hello");
        wire.transport->feed("abc", 1);
        QCOMPARE(wire.transport->takeOutput(), "helloabc");
        QCOMPARE(wire.transport->value(), "");
        wire.transport->write(std::string("rvalue"));
        QCOMPARE(wire.transport->value(), "rvalue");
        QCOMPARE(wire.protocol->transport().getPeer().host(), "192.168.1.1");
    }
    void pausedInputWaits() {
        Wire wire;
        wire.protocol->onData = [](Heard& p, std::string_view) { p.transport().pauseProducing(); };
        wire.transport->feed("abc", 1);
        QCOMPARE(wire.protocol->data, "a");
        wire.protocol->transport().resumeProducing();
        QCOMPARE(wire.protocol->data, "ab");
        wire.transport->feedEof();
        QVERIFY(!wire.protocol->lost());
        wire.protocol->transport().resumeProducing();
        QCOMPARE(wire.protocol->data, "abc");
        wire.protocol->transport().resumeProducing();
        QVERIFY(wire.protocol->lostBy<ConnectionDone>());
    }
    void r246_feedingInsideAHandlerWaitsForItsEnd() {
        Wire wire;
        wire.protocol->onData = [&](Heard& p, std::string_view data) {
            if (data == "a")
                wire.transport->feed("b");
            QCOMPARE(p.deepest, 1);
        };
        wire.transport->feed("a");
        QCOMPARE(wire.protocol->data, "ab");
    }
    void endsAreToldWhenTheTestSaysSo() {
        Wire lose;
        lose.protocol->transport().loseConnection();
        QVERIFY(lose.transport->closing() && lose.protocol->transport().disconnecting() &&
                !lose.protocol->lost());
        lose.transport->feed("r155");
        QCOMPARE(lose.protocol->data, "");
        lose.transport->finish();
        QVERIFY(lose.protocol->lostBy<ConnectionDone>());
        lose.transport->finish();
        QCOMPARE(lose.protocol->count("lost"), std::size_t{1});

        Wire abort;
        abort.protocol->transport().abortConnection();
        abort.protocol->transport().write("r159");
        QVERIFY(abort.transport->aborted() && abort.transport->value().empty());
        abort.transport->finish();
        QVERIFY(abort.protocol->lostBy<ConnectionAborted>());

        Wire broken;
        broken.transport->end(ConnectionLost("cut"));
        QVERIFY(broken.protocol->lostBy<ConnectionLost>());
    }
    void r160_anExceptionIsTheReasonEvenAfterAbort() {
        LogRecorder recorder;
        Wire wire;
        wire.protocol->onData = [](Heard& p, std::string_view) {
            p.transport().abortConnection();
            throw std::domain_error("handler");
        };
        wire.transport->feed("x");
        wire.transport->finish();
        QVERIFY(wire.protocol->lostBy<std::domain_error>());
        QCOMPARE(wire.protocol->count("lost"), std::size_t{1});
        QCOMPARE(recorder.flushErrors<std::domain_error>().size(), std::size_t{1});
    }
    void r163_anExceptionFromConnectionLostIsLogged() {
        LogRecorder recorder;
        Wire wire;
        wire.protocol->onLost = [](Heard&) { throw std::domain_error("lost"); };
        wire.transport->feedEof();
        QCOMPARE(recorder.flushErrors<std::domain_error>().size(), std::size_t{1});
        QCOMPARE(&wire.protocol->transport(), &nullTransport());
    }
    void producersOverABlockedOutput() {
        Wire wire;
        auto source = std::make_shared<Source>();
        wire.transport->blockOutput(true);
        wire.transport->registerProducer(source, true);
        wire.transport->write(std::string(Transport::highWater, 'x'));
        QCOMPARE(source->paused, 0);
        wire.transport->write("y");
        QCOMPARE(source->paused, 1);
        QCOMPARE(source->resumed, 0);
        wire.transport->takeOutput();
        QCOMPARE(source->resumed, 1);
        bool drained = false;
        wire.transport->write("z");
        wire.transport->drained().addCallback([&] { drained = true; });
        QVERIFY(!drained);
        wire.transport->takeOutput();
        QVERIFY(drained);
        wire.transport->end(ConnectionLost());
        QCOMPARE(source->stopped, 1);
    }
    void aPullProducerFeedsEachTakeOutput() {
        Wire wire;
        auto source = std::make_shared<Source>();
        source->onResume = [&] { wire.transport->write("piece"); };
        wire.transport->registerProducer(source, false);
        QCOMPARE(wire.transport->takeOutput(), "piece");
        QCOMPARE(wire.transport->takeOutput(), "piece");
    }
    void aTransportThatIsDroppedLeavesTheProtocolAlone() {
        auto protocol = std::make_shared<Heard>();
        { Wire wire(protocol); }
        QVERIFY(!protocol->lost());
        QCOMPARE(&protocol->transport(), &nullTransport());
    }
    void misuseThrows() {
        Wire wire;
        QVERIFY_THROWS_EXCEPTION(std::logic_error,
                                 wire.protocol->makeConnection(std::make_shared<MemoryTransport>()));
        QVERIFY_THROWS_EXCEPTION(std::logic_error, std::make_shared<Heard>()->makeConnection(wire.transport));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, std::make_shared<Heard>()->makeConnection(nullptr));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, wire.transport->registerProducer(nullptr, true));
        QVERIFY_THROWS_EXCEPTION(std::logic_error, wire.transport->replaceProtocol(nullptr));
    }

    // --- Transports of strangers

    void aStrangersTransportNeedsNoCareForTheRules() {
        LogRecorder recorder;
        auto transport = std::make_shared<Stranger>();
        auto protocol = std::make_shared<Heard>();
        protocol->makeConnection(transport);
        // Delivered while a handler is on the stack: kept, in order, the loss last.
        protocol->onData = [&](Heard& p, std::string_view data) {
            if (data != "a")
                return;
            transport->arrived("b");
            transport->arrived("c");
            transport->ended(connectionDone());
            QVERIFY(!p.connected());
            QCOMPARE(p.data, "a");
        };
        transport->arrived("a");
        QCOMPARE(protocol->data, "abc");
        QCOMPARE(protocol->events, list({"made", "data", "lost"}));
        QCOMPARE(protocol->deepest, 1);
        transport->arrived("d");
        transport->ended(connectionDone());
        QCOMPARE(protocol->events.size(), std::size_t{3});
    }
    void attachKeepsAStrangersTransportUntilTheLoss() {
        EpollReactor reactor;
        auto transport = std::make_shared<Stranger>();
        std::weak_ptr<Stranger> weak = transport;
        auto protocol = std::make_shared<Heard>();
        attach(reactor, transport, protocol);
        transport.reset();
        QVERIFY(!weak.expired());
        weak.lock()->ended(connectionDone());
        QVERIFY(protocol->lost());
        QVERIFY(weak.expired());
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, attach(reactor, nullptr, protocol));
    }
    void attachedTransportsEndWithTheReactor() {
        auto protocol = std::make_shared<Heard>();
        {
            EpollReactor reactor;
            reactor.callWhenRunning([&] {
                attach(reactor, std::make_shared<Stranger>(), protocol);
                reactor.stop();
            });
            reactor.run();
            QVERIFY(protocol->lostBy<ConnectionLost>());
            protocol = std::make_shared<Heard>();
            attach(reactor, std::make_shared<Stranger>(), protocol);
        }
        QVERIFY(protocol->lostBy<ConnectionLost>());
    }

    // --- The end of the input

    void r166_afterTheEndOfTheInputWhatWaitsIsSent() {
        Wire wire;
        wire.transport->blockOutput(true);
        wire.transport->write("answer");
        wire.transport->feedEof();
        QVERIFY(!wire.protocol->lost() && wire.protocol->connected());
        wire.transport->write(", and more");
        QCOMPARE(wire.transport->takeOutput(), "answer, and more");
        QVERIFY(wire.protocol->lostBy<ConnectionDone>());
        QCOMPARE(wire.protocol->events, list({"made", "lost"}));
        QVERIFY(wire.transport->manualClock().getDelayedCalls().empty());
    }
    void r166_anOwedAnswerHoldsTheConnectionOpen() {
        Wire wire;
        HoldOpen owed = wire.transport->holdOpen();
        HoldOpen moved = std::move(owed);
        wire.transport->feedEof();
        QVERIFY(!wire.protocol->lost() && moved && !owed);
        wire.transport->write("answer");
        moved.release();
        moved.release();
        QVERIFY(!wire.protocol->lost());
        wire.transport->manualClock().advance(0s);
        QVERIFY(wire.protocol->lostBy<ConnectionDone>());
        QCOMPARE(wire.transport->value(), "answer");
    }
    void r166_aProducerHoldsTheConnectionOpen() {
        Wire wire;
        auto source = std::make_shared<Source>();
        wire.transport->registerProducer(source, true);
        wire.transport->feedEof();
        QVERIFY(!wire.protocol->lost());
        wire.transport->unregisterProducer();
        QVERIFY(!wire.protocol->lost());
        wire.transport->manualClock().advance(0s);
        QVERIFY(wire.protocol->lostBy<ConnectionDone>());
        QCOMPARE(source->stopped, 0);
    }
    void r166_theBoundIsAnAbortThatNamesTheBytes() {
        Wire wire;
        wire.transport->blockOutput(true);
        wire.transport->write("12345");
        wire.transport->feedEof();
        wire.transport->manualClock().advance(30s - 1ns);
        QVERIFY(!wire.transport->aborted());
        wire.transport->manualClock().advance(1ns);
        QVERIFY(wire.transport->aborted());
        wire.transport->finish();
        QVERIFY(wire.protocol->lostBy<ConnectionLost>());
        QCOMPARE(wire.protocol->reason->getErrorMessage(),
                 "answering a peer that ended its writing took more than 30 s: 5 bytes were not sent");
    }
    void r166_theBoundCanBeSet() {
        Wire wire;
        wire.transport->halfClosedTimeout(2s);
        const HoldOpen owed = wire.transport->holdOpen();
        wire.transport->feedEof();
        wire.transport->manualClock().advance(2s);
        QVERIFY(wire.transport->aborted());
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, wire.transport->halfClosedTimeout(-1s));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Linger(-1s));
    }
    void r166_anAnswerFromAHandlerIsNotCutOff() {
        Wire wire;
        HoldOpen owed = wire.transport->holdOpen();
        auto source = std::make_shared<Source>();
        wire.transport->feedEof();
        source->onResume = [&] { // a handler with a dialog
            wire.transport->unregisterProducer();
            owed.release();
            wire.transport->manualClock().advance(1s);
            QVERIFY(!wire.protocol->lost());
            wire.transport->write("answer");
        };
        wire.transport->registerProducer(source, false);
        QCOMPARE(wire.transport->value(), "answer");
        QVERIFY(!wire.protocol->lost());
        wire.transport->manualClock().advance(0s);
        QVERIFY(wire.protocol->lostBy<ConnectionDone>());
    }
    void aHeldAnswerIsSafeWhenTheTransportIsGone() {
        HoldOpen owed;
        {
            Wire wire;
            owed = wire.transport->holdOpen();
            QVERIFY(owed);
        }
        QVERIFY(!owed);
        owed.release();
        QVERIFY(!nullTransport().holdOpen());
    }

    // --- Other ends

    void r162_aLossWithUnsentBytesIsNeverDone() {
        Wire wire;
        wire.transport->blockOutput(true);
        wire.transport->write("12345");
        wire.transport->loseConnection();
        wire.transport->finish();
        QVERIFY(!wire.protocol->lostBy<ConnectionDone>());
        QVERIFY(wire.protocol->reason->getErrorMessage().find("5 bytes were not sent") != std::string::npos);
    }
    void r154_aLingerBoundsTheEnd() {
        Wire wire;
        wire.transport->blockOutput(true);
        wire.transport->write("12345");
        wire.transport->loseConnection(Linger(60s));
        wire.transport->loseConnection(Linger(2s)); // the earliest counts
        wire.transport->loseConnection(Linger(20s));
        wire.transport->manualClock().advance(2s);
        QVERIFY(wire.transport->aborted());
        wire.transport->finish();
        QCOMPARE(wire.protocol->reason->getErrorMessage(), "closing took more than 2 s: 5 bytes were not sent");
    }
    void r154_aLingerWithEverythingSentIsDone() {
        Wire wire;
        wire.transport->loseConnection(Linger(2s));
        wire.transport->manualClock().advance(2s);
        QVERIFY(wire.transport->aborted());
        wire.transport->finish();
        QVERIFY(wire.protocol->lostBy<ConnectionDone>());
    }
    void r135_inputBeforeAFailedWriteIsDelivered() {
        Wire wire;
        auto source = std::make_shared<Source>();
        wire.transport->pauseProducing();
        wire.transport->registerProducer(source, true);
        wire.transport->feed("last words");
        wire.transport->blockOutput(true);
        wire.transport->write("lost");
        bool failed = false;
        wire.transport->drained().addErrback([&](const Failure&) { failed = true; });
        wire.transport->breakOutput(ConnectionLost("broken"));
        wire.transport->write("dropped");
        QCOMPARE(wire.transport->value(), "");
        QCOMPARE(source->stopped, 0);
        wire.transport->manualClock().advance(0s);
        QVERIFY(source->stopped == 1 && failed && !wire.protocol->lost());
        wire.transport->resumeProducing();
        QCOMPARE(wire.protocol->data, "last words");
        QCOMPARE(wire.protocol->reason->getErrorMessage(), "broken");
        QCOMPARE(source->stopped, 1);
    }
    void r268_anOwnersDeathAfterLoseConnectionLeavesTheOutput() {
        Wire wire;
        wire.transport->blockOutput(true);
        {
            Scope owner;
            wire.transport->ownedBy(owner);
            wire.transport->write("bye");
            wire.transport->loseConnection();
        }
        QVERIFY(!wire.transport->aborted());
        QCOMPARE(wire.transport->takeOutput(), "bye");
        wire.transport->finish();
        QCOMPARE(wire.protocol->events, list({"made"}));

        Wire stuck;
        {
            Scope owner;
            stuck.transport->ownedBy(owner);
            stuck.transport->loseConnection();
        }
        stuck.transport->manualClock().advance(30s);
        QVERIFY(stuck.transport->aborted());
    }
    void aDroppedWriteIsLoggedOncePerConnection() {
        std::vector<std::string> messages;
        const auto listening = addLogObserver([&](const LogEvent& event) { messages.push_back(event.message); });
        Wire wire;
        wire.transport->loseConnection();
        wire.transport->write("12345");
        wire.transport->write("678");
        QCOMPARE(messages, list({"Dropping 5 bytes written to <Heard>: loseConnection() was called"}));
    }
    void writesWithoutAConnectionAreLoggedNowAndThen() {
        std::size_t logged = 0;
        const auto listening = addLogObserver([&](const LogEvent&) { ++logged; });
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < 100000; ++i)
            nullTransport().write("lost");
        const auto took = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
        QVERIFY(logged <= static_cast<std::size_t>(took.count()) + 1);
        QVERIFY(logged >= 1);
    }
    void clockIsTheOneOfTheLoop() {
        Wire wire;
        QCOMPARE(&wire.protocol->transport().clock(), &wire.transport->manualClock());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, nullTransport().clock());
        ManualClock clock;
        MemoryPipe pipe(clock);
        auto client = std::make_shared<Heard>();
        auto server = std::make_shared<Heard>();
        pipe.connect(client, server);
        QCOMPARE(&server->transport().clock(), &clock);
        auto alone = std::make_shared<Stranger>();
        auto protocol = std::make_shared<Heard>();
        protocol->makeConnection(alone);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, alone->clock());
        EpollReactor reactor;
        auto attached = std::make_shared<Stranger>();
        attach(reactor, attached, std::make_shared<Heard>());
        QCOMPARE(&attached->clock(), static_cast<Clock*>(&reactor));
    }
    void r166_aStrangersTransportHasTheSameRules() {
        EpollReactor reactor;
        auto transport = std::make_shared<Stranger>();
        auto protocol = std::make_shared<Heard>();
        attach(reactor, transport, protocol);
        protocol->onData = [&](Heard&, std::string_view) {
            transport->inputEnded(); // waits for the handler
            transport->left = 5;
        };
        transport->arrived("question");
        QVERIFY(protocol->connected() && !transport->disconnecting());
        HoldOpen owed = transport->holdOpen();
        transport->drainedAll();
        QVERIFY(!transport->disconnecting());
        owed.release();
        QVERIFY(turnUntil(reactor, [&] { return transport->disconnecting(); }));
        transport->ended(connectionDone());
        QVERIFY(protocol->lostBy<ConnectionDone>());

        auto broken = std::make_shared<Stranger>();
        auto other = std::make_shared<Heard>();
        attach(reactor, broken, other);
        broken->broke(ConnectionLost("broken"));
        broken->write("dropped");
        QCOMPARE(broken->sent, "");
        broken->arrived("last words");
        QCOMPARE(other->data, "last words");
        broken->ended(connectionDone());
        QCOMPARE(other->reason->getErrorMessage(), "broken");
    }

    // --- The pipe

    void r166_aPipeBringsTheAnswerToAPeerThatEndedItsWriting() {
        ManualClock clock;
        MemoryPipe pipe(clock, 1ms);
        pipe.chunk(10);
        auto client = std::make_shared<Heard>();
        auto server = std::make_shared<Heard>();
        HoldOpen owed;
        server->onData = [&](Heard& p, std::string_view) {
            owed = p.transport().holdOpen();
            clock.callLater(1s, [&] {
                server->transport().write(std::string(95, 'x'));
                owed.release();
            });
        };
        pipe.connect(client, server);
        client->transport().write("question");
        client->transport().as<HalfCloseableTransport>()->loseWriteConnection();
        clock.advance(2s);
        QCOMPARE(client->data.size(), std::size_t{95});
        QVERIFY(server->lostBy<ConnectionDone>() && client->lostBy<ConnectionDone>());
        QVERIFY(pipe.finished() && clock.getDelayedCalls().empty());
    }
    void r135_aPipeDeliversWhatCameBeforeAFailedWrite() {
        ManualClock clock;
        MemoryPipe pipe(clock);
        auto client = std::make_shared<Heard>();
        auto server = std::make_shared<Heard>();
        pipe.connect(client, server);
        client->transport().pauseProducing();
        server->transport().write("last words");
        server->transport().loseConnection();
        clock.advance(0s);
        client->transport().write("into the void");
        clock.advance(0s);
        clock.advance(0s);
        QVERIFY(!client->lost());
        client->transport().resumeProducing();
        QCOMPARE(client->data, "last words");
        QVERIFY(client->lostBy<ConnectionLost>());
    }

    void twoProtocolsTalkOverAPipe() {
        ManualClock clock;
        MemoryPipe pipe(clock, 10ms);
        auto client = std::make_shared<Heard>();
        auto server = std::make_shared<Heard>();
        server->onData = [](Heard& p, std::string_view data) { p.transport().write(data); };
        pipe.connect(client, server);
        client->transport().write("ping");
        QCOMPARE(server->data, "");
        clock.advance(9ms);
        QCOMPARE(server->data, "");
        clock.advance(1ms);
        QCOMPARE(server->data, "ping");
        clock.advance(10ms);
        QCOMPARE(client->data, "ping");
        client->transport().loseConnection();
        clock.advance(10ms);
        QVERIFY(client->lostBy<ConnectionDone>() && server->lostBy<ConnectionDone>());
        QVERIFY(pipe.finished());
        clock.advance(1s);
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void aPipeDeliversByteByByteAndFlushesBeforeTheEnd() {
        ManualClock clock;
        MemoryPipe pipe(clock);
        pipe.chunk(1);
        auto client = std::make_shared<Heard>();
        auto server = std::make_shared<Heard>();
        int pieces = 0;
        server->onData = [&](Heard&, std::string_view data) {
            ++pieces;
            QCOMPARE(data.size(), std::size_t{1});
        };
        pipe.connect(client, server);
        client->transport().write("abcdef");
        client->transport().loseConnection();
        for (int i = 0; i < 20; ++i)
            clock.advance(0s);
        QCOMPARE(server->data, "abcdef");
        QCOMPARE(pieces, 6);
        QVERIFY(pipe.finished());
    }
    void anAbortResetsTheOtherEnd() {
        ManualClock clock;
        MemoryPipe pipe(clock, 1ms);
        auto client = std::make_shared<Heard>();
        auto server = std::make_shared<Heard>();
        pipe.connect(client, server);
        client->transport().write("never arrives");
        client->transport().abortConnection();
        clock.advance(1ms);
        QVERIFY(client->lostBy<ConnectionAborted>());
        QVERIFY(server->lostBy<ConnectionLost>() && !server->lostBy<ConnectionAborted>());
        QCOMPARE(server->data, "");
    }

    // Whatever a protocol and its peer do, in whatever order and from wherever, the rules hold.
    void everythingInAnyOrder() {
        LogRecorder recorder;
        std::size_t received = 0;
        std::size_t thrown = 0;
        std::size_t early = 0;
        for (unsigned seed = 1; seed <= 3000; ++seed) {
            std::mt19937 random(seed);
            ManualClock clock;
            MemoryPipe pipe(clock, random() % 2 ? 0ms : 3ms);
            pipe.chunk(random() % 3);
            auto client = std::make_shared<Heard>();
            auto server = std::make_shared<Heard>();
            std::vector<std::shared_ptr<Source>> sources;
            std::function<void(Heard&)> act = [&](Heard& p) {
                Transport& t = p.transport();
                switch (random() % 14) {
                case 0:
                    t.write("x");
                    break;
                case 1:
                    t.write(std::string(random() % 100000, 'y'));
                    break;
                case 2:
                    t.pauseProducing();
                    break;
                case 3:
                    t.resumeProducing();
                    break;
                case 4:
                    if (random() % 4 == 0)
                        t.loseConnection();
                    break;
                case 5:
                    if (random() % 8 == 0)
                        t.abortConnection();
                    break;
                case 6:
                    sources.push_back(std::make_shared<Source>());
                    sources.back()->onResume = [&, heard = &p] { act(*heard); };
                    try {
                        t.registerProducer(sources.back(), random() % 2);
                    } catch (const ProducerAlreadyRegistered&) {
                        sources.pop_back();
                    }
                    break;
                case 7:
                    t.unregisterProducer();
                    break;
                case 8:
                    t.drained().addCallback([&, heard = &p] { act(*heard); }).addErrback([](const Failure&) {
                    });
                    break;
                case 9:
                    clock.advance(3ms);
                    break; // a nested loop
                case 10:
                    if (p.depth != 0 && random() % 4 == 0)
                        throw std::domain_error("handler");
                    break;
                case 11:
                    t.maxBuffered(random() % 2 ? 0 : 1 << 20);
                    break;
                case 12:
                    t.stopConsuming();
                    break;
                case 13:
                    if (auto* half = t.as<HalfCloseableTransport>(); half && random() % 8 == 0)
                        half->loseWriteConnection();
                    break;
                }
            };
            for (const auto& each : {client, server}) {
                each->onMade = each->onLost = act;
                each->onData = [&](Heard& p, std::string_view) { act(p); };
            }
            pipe.connect(client, server);
            for (int step = 0; step < 60; ++step) {
                act(random() % 2 ? *client : *server);
                if (random() % 2)
                    clock.advance(1ms);
            }
            pipe.client().abortConnection();
            pipe.server().abortConnection();
            for (int i = 0; i < 5; ++i)
                clock.advance(10ms);
            for (const auto& each : {client, server}) {
                QCOMPARE(each->events.front(), "made");
                QCOMPARE(each->events.back(), "lost");
                QCOMPARE(each->count("lost"), std::size_t{1});
                QCOMPARE(each->deepest, 1);
                QVERIFY(!each->connected());
                received += each->data.size();
                early += !each->lostBy<ConnectionAborted>();
                each->onMade = each->onLost = nullptr;
                each->onData = nullptr;
            }
            for (const auto& source : sources)
                QVERIFY(source->stopped <= 1);
            for (const auto& source : sources)
                source->onResume = nullptr;
            thrown += recorder.flush().size();
        }
        QVERIFY(received > 1000000 && thrown > 100 && early > 100);
    }
    void aProtocolFindsItsFactoryByType() {
        struct Rooms : Factory {
            std::shared_ptr<Protocol> buildProtocol(const Address&) override { return std::make_shared<Heard>(); }
            int rooms = 7;
        };
        const auto protocol = std::make_shared<Heard>();
        QVERIFY(!protocol->factory<Rooms>());
        protocol->setFactory(std::make_shared<Rooms>());
        const Protocol& constant = *protocol;
        QCOMPARE(constant.factory<Rooms>()->rooms, 7);
        QVERIFY(constant.factory<const Rooms>());
        QVERIFY(!protocol->factory<Client>());
        QCOMPARE(constant.factory(), static_cast<Factory*>(protocol->factory<Rooms>()));
    }
    void theRestForANewProtocolComesWhenTheHandlerHasReturned() {
        Wire wire;
        const auto next = std::make_shared<Heard>();
        std::string inHandler;
        wire.protocol->onData = [&](Heard& p, std::string_view data) {
            p.transport().replaceProtocol(next, data.substr(2));
            inHandler = next->data;
        };
        wire.transport->feed("upgrade", 4);
        QCOMPARE(inHandler, "");
        QCOMPARE(next->data, "grade");
    }
    void aPausedNewProtocolGetsTheRestAndTheEndWhenItResumes() {
        Wire wire;
        const auto next = std::make_shared<Heard>();
        wire.transport->pauseProducing();
        wire.transport->replaceProtocol(next, "rest");
        wire.transport->feed(" and more");
        wire.transport->feedEof();
        QCOMPARE(next->events, list({}));
        wire.transport->resumeProducing();
        QCOMPARE(next->data, "rest and more");
        QCOMPARE(next->events, list({"data", "lost"}));
    }
    void aTransportThatDoesNotTellOfPausesDeliversTheRestAtOnce() {
        const auto transport = std::make_shared<Stranger>();
        const auto first = std::make_shared<Heard>();
        const auto next = std::make_shared<Heard>();
        first->makeConnection(transport);
        transport->pauseProducing();
        transport->replaceProtocol(next, "rest");
        QCOMPARE(next->data, "rest");
        transport->arrived(" more");
        QCOMPARE(next->data, "rest more");
    }
};

QTEST_GUILESS_MAIN(MemoryTransportTest)
#include "memory_transport_test.moc"
