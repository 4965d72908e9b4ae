// Filters between a protocol and its transport: in memory, on a wire, over sockets, and stacked.
#include <QtTest>

#include <optional>

#include "bine/defer/owner.h"
#include "bine/log/recorder.h"
#include "bine/net/filter.h"
#include "bine/net/half_close.h"
#include "bine/net/memory_transport.h"
#include "bine/reactors/manual_clock.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

using Events = std::vector<std::string>;

/// What is written above leaves in capitals.
class Upper : public Filter {
public:
    using Filter::Filter;

protected:
    void dataFromAbove(std::string_view data) override {
        std::string text(data);
        for (char& c : text)
            c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        writeBelow(std::move(text));
    }
};

/// Keeps what is written above until it is released.
class Dam : public Filter {
public:
    using Filter::Filter;
    void release() {
        writeBelow(std::exchange(kept_, {}));
        if (losing_)
            loseBelow();
    }

protected:
    void dataFromAbove(std::string_view data) override { kept_ += data; }
    std::size_t keptOutput() const noexcept override { return kept_.size(); }
    void loseFromAbove() override {
        losing_ = true;
        if (kept_.empty())
            loseBelow();
    }

private:
    std::string kept_;
    bool losing_ = false;
};

class HalfHeard : public Heard, public HalfCloseableProtocol {
public:
    void readConnectionLost() override { events.push_back("readLost"); }
    void writeConnectionLost() override { events.push_back("writeLost"); }
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

/// A protocol above a filter above a transport in memory.
template <class F = Filter, class P = Heard>
struct Stack {
    Stack() { filter->makeConnection(transport); }
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    std::shared_ptr<P> protocol = std::make_shared<P>();
    std::shared_ptr<F> filter = std::make_shared<F>(protocol);
};

} // namespace

class FilterTest : public QObject {
    Q_OBJECT

private slots:
    void bytesPassBothWays() {
        Stack<> s;
        s.transport->feed("in");
        s.protocol->transport().write("out");
        s.protocol->transport().write(std::string(100, 'x'));
        QCOMPARE(s.protocol->events, (Events{"made", "data"}));
        QCOMPARE(s.protocol->data, std::string("in"));
        QCOMPARE(s.transport->value(), "out" + std::string(100, 'x'));
    }
    void aFilterChangesBytes() {
        Stack<Upper> s;
        s.transport->feed("in");
        s.protocol->transport().write("out");
        QCOMPARE(s.protocol->data, std::string("in"));
        QCOMPARE(s.transport->value(), std::string("OUT"));
    }
    void filtersMayBeStacked() {
        const auto transport = std::make_shared<MemoryTransport>();
        const auto protocol = std::make_shared<Heard>();
        const auto filter = std::make_shared<Filter>(std::make_shared<Upper>(std::make_shared<Filter>(protocol)));
        filter->makeConnection(transport);
        transport->feed("in");
        protocol->transport().write("out");
        QCOMPARE(protocol->data, std::string("in"));
        QCOMPARE(transport->value(), std::string("OUT"));
        transport->end(ConnectionLost("reset"));
        QCOMPARE(protocol->events, (Events{"made", "data", "lost"}));
        QCOMPARE(protocol->reason->getErrorMessage(), std::string(ConnectionLost("reset").what()));
    }
    void namesAddressesAndClockAreThoseBelow() {
        Stack<> s;
        Transport& above = s.protocol->transport();
        QCOMPARE(above.getPeer().text(), s.transport->getPeer().text());
        QCOMPARE(above.getHost().text(), s.transport->getHost().text());
        QCOMPARE(&above.clock(), static_cast<Clock*>(&s.transport->manualClock()));
        QCOMPARE(above.logPrefix(), std::string("Heard"));
        QCOMPARE(s.transport->logPrefix(), std::string("Heard"));
        QCOMPARE(above.describe(), std::string("<Heard>"));
        std::string inConnectionLost;
        s.protocol->onLost = [&](Heard& p) { inConnectionLost = p.transport().getPeer().text(); };
        s.transport->end(connectionDone());
        QCOMPARE(inConnectionLost, s.transport->getPeer().text());
    }
    void losingAboveLosesBelow() {
        Stack<> s;
        s.protocol->transport().loseConnection();
        QVERIFY(s.transport->closing());
        s.transport->finish();
        QVERIFY(s.protocol->lostBy<ConnectionDone>());
    }
    void abortingAboveAbortsBelowWithTheReason() {
        Stack<> s;
        s.protocol->transport().abortConnection(ProtocolError("nonsense"));
        QVERIFY(s.transport->aborted());
        QVERIFY(!s.protocol->connected());
        s.transport->finish();
        QVERIFY(s.protocol->lostBy<ProtocolError>());
    }
    void anExceptionAboveIsLoggedOnceAndAborts() {
        LogRecorder log;
        Stack<> s;
        s.protocol->onData = [](Heard&, std::string_view) { throw std::runtime_error("bug"); };
        s.transport->feed("x");
        s.transport->finish();
        QCOMPARE(log.flushErrors<std::runtime_error>().size(), std::size_t{1});
        QVERIFY(s.protocol->lostBy<std::runtime_error>());
    }
    void aLingerIsPassedOn() {
        Stack<> s;
        s.transport->blockOutput(true);
        s.protocol->transport().write("bye");
        s.protocol->transport().loseConnection(Linger(5s));
        s.transport->manualClock().advance(5s);
        QVERIFY(s.transport->aborted());
        s.transport->finish();
        QVERIFY(s.protocol->lostBy<ConnectionLost>());
    }
    void whatAFilterKeepsIsSentBeforeTheEnd() {
        Stack<Dam> s;
        s.protocol->transport().write("bye");
        QCOMPARE(s.protocol->transport().buffered(), std::size_t{3});
        s.protocol->transport().loseConnection();
        QVERIFY(!s.transport->closing());
        s.filter->release();
        QCOMPARE(s.transport->value(), std::string("bye"));
        QVERIFY(s.transport->closing());
    }
    void pausingAbovePausesBelow() {
        Stack<> s;
        s.protocol->transport().pauseProducing();
        QVERIFY(s.transport->paused());
        s.transport->feed("x");
        QCOMPARE(s.protocol->data, std::string());
        s.protocol->transport().resumeProducing();
        QCOMPARE(s.protocol->data, std::string("x"));
    }
    void aProducerAboveFollowsWhatWaitsBelow() {
        Stack<> s;
        s.transport->blockOutput(true);
        const auto source = std::make_shared<Source>();
        s.protocol->transport().registerProducer(source, true);
        s.protocol->transport().write(std::string(Transport::highWater + 1, 'x'));
        QCOMPARE(source->paused, 1);
        s.transport->takeOutput();
        QCOMPARE(source->resumed, 1);
    }
    void aPullProducerAboveIsAskedAgainWhenAPieceHasLeft() {
        Stack<> s;
        const auto source = std::make_shared<Source>();
        int left = 3;
        source->onResume = [&] {
            if (left-- > 0)
                s.protocol->transport().write("piece ");
            else
                s.protocol->transport().unregisterProducer();
        };
        s.protocol->transport().registerProducer(source, false);
        for (int i = 0; i < 5; ++i)
            s.transport->manualClock().advance(1ms);
        QCOMPARE(s.transport->value(), std::string("piece piece piece "));
    }
    void theEndWaitsForAProducerAbove() {
        Stack<> s;
        s.protocol->transport().registerProducer(std::make_shared<Source>(), true);
        s.protocol->transport().loseConnection();
        s.protocol->transport().write("last");
        QVERIFY(!s.transport->closing());
        s.protocol->transport().unregisterProducer();
        QVERIFY(s.transport->closing());
        QCOMPARE(s.transport->value(), std::string("last"));
    }
    void drainedCountsWhatTheFilterAndTheTransportKeep() {
        Stack<Dam> s;
        s.transport->blockOutput(true);
        bool drained = false;
        s.protocol->transport().write("water");
        s.protocol->transport().drained().addCallback([&] { drained = true; });
        s.transport->manualClock().advance(1ms);
        QVERIFY(!drained);
        s.filter->release();
        s.transport->manualClock().advance(1ms);
        QVERIFY(!drained);
        s.transport->takeOutput();
        s.transport->manualClock().advance(1ms);
        QVERIFY(drained);
    }
    void maxBufferedCountsWhatWaitsBelow() {
        LogRecorder log;
        Stack<> s;
        s.transport->blockOutput(true);
        s.protocol->transport().maxBuffered(4);
        s.protocol->transport().write("water");
        QVERIFY(s.transport->aborted());
    }
    void aHalfCloseableProtocolHearsBothEnds() {
        Stack<Filter, HalfHeard> s;
        auto* const ability = s.protocol->transport().as<HalfCloseableTransport>();
        QVERIFY(ability);
        s.transport->feedEof();
        QCOMPARE(s.protocol->events, (Events{"made", "readLost"}));
        s.protocol->transport().write("answer");
        ability->loseWriteConnection();
        QVERIFY(s.transport->writeEnded());
        QCOMPARE(s.transport->takeOutput(), std::string("answer"));
        QCOMPARE(s.protocol->events, (Events{"made", "readLost", "writeLost"}));
    }
    void aPeerThatEndsItsWritingStillGetsWhatIsOwed() {
        Stack<> s;
        auto owed = s.protocol->transport().holdOpen();
        s.transport->feedEof();
        s.transport->manualClock().advance(1s);
        QVERIFY(!s.transport->closing());
        s.protocol->transport().write("answer");
        owed.release();
        s.transport->manualClock().advance(1s);
        QVERIFY(s.transport->closing());
        s.transport->finish();
        QVERIFY(s.protocol->lostBy<ConnectionDone>());
        QCOMPARE(s.transport->value(), std::string("answer"));
    }
    void anOwnerOfTheFilterSilencesTheProtocol() {
        Stack<> s;
        {
            Scope window;
            s.protocol->transport().ownedBy(window);
        }
        QVERIFY(s.transport->aborted());
        s.transport->finish();
        QCOMPARE(s.protocol->events, Events{"made"});
        QVERIFY(!s.protocol->connected());
    }
    void anOwnerOfTheTransportSilencesTheProtocol() {
        Stack<> s;
        {
            Scope window;
            s.transport->ownedBy(window);
        }
        s.transport->finish();
        QCOMPARE(s.protocol->events, Events{"made"});
        QVERIFY(!s.protocol->connected());
    }
    void theFilterAndItsProtocolGoWithTheTransport() {
        std::weak_ptr<Heard> protocol;
        {
            Stack<> s;
            protocol = s.protocol;
            s.transport->end(connectionDone());
        }
        QVERIFY(protocol.expired());
        {
            Stack<> s;
            protocol = s.protocol;
        }
        QVERIFY(protocol.expired());
    }
    void aReplacedProtocolAboveGetsTheRest() {
        Stack<> s;
        const auto next = std::make_shared<Heard>();
        s.protocol->onData = [&](Heard& p, std::string_view data) { p.transport().replaceProtocol(next, data.substr(2)); };
        s.transport->feed("upgrade");
        s.transport->feed(" more");
        QCOMPARE(next->data, std::string("grade more"));
    }
    void noProtocolIsRefused() { QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Filter(nullptr)); }
    void twoProtocolsTalkThroughFiltersOnAPipe() {
        ManualClock clock;
        MemoryPipe pipe(clock, 1ms);
        pipe.chunk(3);
        const auto client = std::make_shared<Heard>();
        pipe.connect(std::make_shared<Upper>(client), std::make_shared<Filter>(std::make_shared<Echo>()));
        client->transport().write("hello there");
        for (int i = 0; i < 40; ++i)
            clock.advance(1ms);
        QCOMPARE(client->data, std::string("HELLO THERE"));
        client->transport().loseConnection();
        for (int i = 0; i < 10; ++i)
            clock.advance(1ms);
        QVERIFY(pipe.finished());
        QVERIFY(client->lostBy<ConnectionDone>());
    }
};

QTEST_GUILESS_MAIN(FilterTest)
#include "filter_test.moc"
