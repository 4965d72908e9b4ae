// Stream over a MemoryTransport: every read, at every cut, at its bound and one beyond, and at the end of the stream.
#include <QtTest>

#include <cstdlib>
#include <new>

#include "bine/log/recorder.h"
#include "bine/net/memory_transport.h"
#include "bine/net/stream.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"
#include "net_testing.h"

static thread_local long allocations = 0;

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace bine;
using namespace nettest;

namespace {

/// A Stream whose peer is the test.
struct Fed {
    EpollReactor reactor;
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    Stream stream = Stream::over(reactor, transport);
    std::vector<std::string> got;

    Deferred<> readAllKinds() {
        got.push_back(co_await stream.readLine(3));
        got.push_back(co_await stream.readLine());
        got.push_back(co_await stream.readLine());
        got.push_back(co_await stream.readExactly(3));
        got.push_back(co_await stream.readUntil("END", 3));
        got.push_back(co_await stream.readUntil("--"));
        got.push_back(co_await stream.readAll(4));
        got.push_back(co_await stream.read());
    }
};

/// What a read came to: "=text", or "!" and the name of the error.
template <class T>
struct Outcome {
    std::string text = "waits";
    DeferredRef ref;
    Scope scope; // what ends after this tells it nothing

    explicit Outcome(Deferred<T> read) {
        ref = read.ref();
        std::move(read)
            .ownedBy(scope)
            .addCallback([this](T value) { text = "=" + show(std::move(value)); })
            .addErrback([this](const Failure& failure) {
                if (failure.check<EndOfStreamError>())
                    text = "!end";
                else if (failure.check<StreamLimitError>())
                    text = "!limit";
                else if (failure.check<CancelledError>())
                    text = "!cancelled";
                else if (failure.check<TimeoutError>())
                    text = "!timeout";
                else if (failure.check<ConnectionLost>())
                    text = "!lost";
                else
                    text = "!other";
            });
    }
    static std::string show(std::string value) { return value; }
    static std::string show(std::optional<std::string> value) { return value ? *value : "(none)"; }
};
template <class T>
Outcome(Deferred<T>) -> Outcome<T>;

const std::string kInput = "one\r\ntwo\n\nabcdefEND--rest";

Deferred<> echoLines(Stream stream) {
    while (auto line = co_await stream.nextLine())
        stream.write(*line + "\n");
}

} // namespace

class AwaitableStreamTest : public QObject {
    Q_OBJECT

private slots:
    void everyReadAtEveryCut() {
        const std::vector<std::string> expected{"one", "two", "", "abc", "def", "", "rest", ""};
        for (std::size_t cut = 0; cut <= kInput.size(); ++cut) {
            Fed fed;
            auto reading = fed.readAllKinds();
            fed.transport->feed(kInput.substr(0, cut));
            fed.transport->feed(kInput.substr(cut));
            fed.transport->feedEof();
            QCOMPARE(fed.got, expected);
        }
    }
    void everyReadByteByByte() {
        Fed fed;
        auto reading = fed.readAllKinds();
        fed.transport->feed(kInput, 1);
        fed.transport->feedEof();
        QCOMPARE(fed.got.size(), 8U);
        QCOMPARE(fed.got[6], "rest");
    }
    void everyReadFromTheBuffer() {
        Fed fed;
        fed.transport->feed(kInput);
        fed.transport->feedEof();
        auto reading = fed.readAllKinds();
        QCOMPARE(fed.got.size(), 8U);
        QVERIFY(fed.stream.atEnd());
    }

    void aLineAtItsMaximumAndOneBeyond() {
        Fed fed;
        Outcome fits(fed.stream.readLine(3));
        fed.transport->feed("abc\r\n");
        QCOMPARE(fits.text, "=abc");
        Outcome tooLong(fed.stream.readLine(3));
        fed.transport->feed("abcd");
        QCOMPARE(tooLong.text, "waits"); // "d" could be the return before the end
        fed.transport->feed("e");
        QCOMPARE(tooLong.text, "!limit");
        Outcome notConsumed(fed.stream.readExactly(5));
        QCOMPARE(notConsumed.text, "=abcde");
    }
    void aDelimiterThatComesInPieces() {
        Fed fed;
        Outcome text(fed.stream.readUntil("<end>", 4));
        for (const char c : std::string("ab<<end>x"))
            fed.transport->feed(std::string(1, c));
        QCOMPARE(text.text, "=ab<");
        Outcome rest(fed.stream.read());
        QCOMPARE(rest.text, "=x");
        Outcome beyond(fed.stream.readUntil("<end>", 4));
        fed.transport->feed("abcde<end");
        QCOMPARE(beyond.text, "!limit");
    }
    void readAllHasAMaximum() {
        Fed fed;
        Outcome all(fed.stream.readAll(4));
        fed.transport->feed("abcd");
        QCOMPARE(all.text, "waits");
        fed.transport->feed("e");
        QCOMPARE(all.text, "!limit");
    }

    void theEndIsAnErrorOrAValue() {
        Fed fed;
        fed.transport->feed("partial");
        fed.transport->feedEof();
        Outcome line(fed.stream.readLine());
        QCOMPARE(line.text, "!end");
        Outcome again(fed.stream.readLine());
        QCOMPARE(again.text, "!end");
        Outcome some(fed.stream.read());
        QCOMPARE(some.text, "=");
        Outcome next(fed.stream.nextLine());
        QCOMPARE(next.text, "=(none)");
        QVERIFY(fed.stream.connected()); // the other direction is open
    }
    void nextLineGivesTheLastLineThoughUnterminated() {
        Fed fed;
        fed.transport->feed("a\nlast");
        fed.transport->feedEof();
        Outcome first(fed.stream.nextLine());
        Outcome last(fed.stream.nextLine());
        Outcome none(fed.stream.nextLine());
        QCOMPARE(first.text, "=a");
        QCOMPARE(last.text, "=last");
        QCOMPARE(none.text, "=(none)");
    }
    void endOfStreamErrorHasTheBytesThatCame() {
        Fed fed;
        fed.transport->feed("half");
        fed.transport->feedEof();
        std::string partial;
        fed.stream.readExactly(10).addErrback([&](const Failure& failure) {
            partial = failure.trap<EndOfStreamError>().partial();
            return std::string();
        });
        QCOMPARE(partial, "half");
    }
    void aLossFailsReadsAfterWhatIsBuffered() {
        Fed fed;
        fed.transport->feed("last words");
        fed.transport->end(ConnectionLost("reset"));
        Outcome some(fed.stream.read());
        QCOMPARE(some.text, "=last words");
        Outcome none(fed.stream.read());
        QCOMPARE(none.text, "!lost");
        QVERIFY(!fed.stream.connected());
    }
    void aReadThatWaitsFailsWithTheLoss() {
        Fed fed;
        Outcome line(fed.stream.readLine());
        fed.transport->end(ConnectionLost("reset"));
        QCOMPARE(line.text, "!lost");
    }

    void oneReadAtATime() {
        Fed fed;
        Outcome first(fed.stream.readLine());
        QVERIFY_EXCEPTION_THROWN(static_cast<void>(fed.stream.readLine()), std::logic_error);
        fed.transport->feed("x\n");
        QCOMPARE(first.text, "=x");
        Outcome second(fed.stream.readLine());
        QCOMPARE(second.text, "waits");
    }
    void aCancelledReadConsumesNothing() {
        Fed fed;
        Outcome first(fed.stream.readLine());
        fed.transport->feed("ab");
        first.ref.cancel();
        QCOMPARE(first.text, "!cancelled");
        fed.transport->feed("c\n");
        Outcome second(fed.stream.readLine());
        QCOMPARE(second.text, "=abc");
    }
    void aDeadlineIsAddTimeout() {
        Fed fed;
        ManualClock clock;
        Outcome line(fed.stream.readLine().addTimeout(5s, clock));
        clock.advance(5s);
        QCOMPARE(line.text, "!timeout");
        fed.transport->feed("late\n");
        Outcome next(fed.stream.readLine());
        QCOMPARE(next.text, "=late");
    }

    void flowControlIsOnByItself() {
        Fed fed;
        fed.transport->feed(std::string(64 * 1024 - 1, 'x'));
        QVERIFY(!fed.transport->paused());
        fed.transport->feed("y");
        QVERIFY(fed.transport->paused());
        Outcome buffered(fed.stream.read(10));
        QVERIFY(fed.transport->paused()); // the buffer served it
        Outcome more(fed.stream.readExactly(64 * 1024));
        QVERIFY(!fed.transport->paused());
        fed.transport->feed(std::string(10, 'z'));
        QCOMPARE(more.text.size(), 64U * 1024 + 1);
    }

    void aLineFromTheBufferAllocatesItsStringOnly() {
        Fed fed;
        const std::string line(100, 'x');
        for (int i = 0; i < 20; ++i)
            fed.transport->feed(line + "\r\n");
        for (int i = 0; i < 20; ++i) {
            const long before = allocations;
            {
                auto read = fed.stream.readLine();
                QVERIFY(read.called());
            }
            QCOMPARE(allocations - before, 1);
        }
    }

    void writingAndEnding() {
        Fed fed;
        fed.stream.write("literal ");
        fed.stream.write(std::string("string"));
        QCOMPARE(fed.transport->value(), "literal string");
        bool closed = false;
        fed.stream.closed().addCallback([&] { closed = true; });
        fed.stream.close();
        QVERIFY(fed.transport->closing());
        QVERIFY(!closed);
        fed.transport->finish();
        QVERIFY(closed);
    }
    void droppingTheStreamClosesTheConnection() {
        Fed fed;
        {
            Stream dropped = std::move(fed.stream);
            dropped.write("bye");
        }
        QVERIFY(fed.transport->closing());
        QCOMPARE(fed.transport->value(), "bye");
        Outcome read(fed.stream.read());
        QCOMPARE(read.text, "!lost");
    }
    void endWritingLeavesReadingOpen() {
        Fed fed;
        fed.stream.endWriting();
        QVERIFY(fed.transport->writeEnded());
        Outcome line(fed.stream.readLine());
        fed.transport->feed("still\n");
        QCOMPARE(line.text, "=still");
    }
    void anEmptyStreamIsSafe() {
        Stream none;
        none.write("x");
        none.close();
        none.abort();
        none.endWriting();
        QVERIFY(!none.connected());
        QVERIFY(none.atEnd());
        Outcome read(none.readLine());
        QCOMPARE(read.text, "!lost");
    }
    void aDelimiterIsNotEmptyNorAMaximumZero() {
        Fed fed;
        QVERIFY_EXCEPTION_THROWN(static_cast<void>(fed.stream.readUntil("")), std::invalid_argument);
        QVERIFY_EXCEPTION_THROWN(static_cast<void>(fed.stream.read(0)), std::invalid_argument);
    }

    void aServerIsACoroutineForEachConnection() {
        auto factory = streamFactory(echoLines);
        auto transport = std::make_shared<MemoryTransport>();
        auto protocol = factory->buildProtocol(transport->getPeer());
        protocol->setFactory(factory);
        protocol->makeConnection(transport);
        transport->feed("a\r\nb");
        QCOMPARE(transport->value(), "a\n");
        transport->feedEof();
        QCOMPARE(transport->value(), "a\nb\n");
        QVERIFY(transport->closing());
    }
    void aHandlerMayHaveCaptures() {
        std::string greeting = "welcome";
        auto factory = streamFactory([greeting](Stream stream) -> Deferred<> {
            const std::string name = co_await stream.readLine();
            stream.write(greeting + " " + name);
        });
        auto transport = std::make_shared<MemoryTransport>();
        auto protocol = factory->buildProtocol(transport->getPeer());
        protocol->setFactory(factory);
        protocol->makeConnection(transport);
        factory = nullptr; // the connection keeps it
        transport->feed("alice\n");
        QCOMPARE(transport->value(), "welcome alice");
    }
    void aHandlerThatFailsAbortsItsConnection() {
        LogRecorder log;
        auto factory = streamFactory([](Stream stream) -> Deferred<> {
            co_await stream.readLine();
            throw std::runtime_error("handler");
        });
        auto transport = std::make_shared<MemoryTransport>();
        auto protocol = factory->buildProtocol(transport->getPeer());
        protocol->setFactory(factory);
        protocol->makeConnection(transport);
        transport->feed("x\n");
        QVERIFY(transport->aborted());
        QCOMPARE(log.flushErrors<std::exception>().size(), 1U);
    }
    void aPeerThatGoesIsNoError() {
        LogRecorder log;
        auto factory = streamFactory([](Stream stream) -> Deferred<> { co_await stream.readLine(); });
        for (const bool clean : {true, false}) {
            auto transport = std::make_shared<MemoryTransport>();
            auto protocol = factory->buildProtocol(transport->getPeer());
            protocol->setFactory(factory);
            protocol->makeConnection(transport);
            if (clean)
                transport->feedEof();
            else
                transport->end(ConnectionLost("reset"));
        }
        QCOMPARE(log.flushErrors<std::exception>().size(), 0U);
    }
};

QTEST_GUILESS_MAIN(AwaitableStreamTest)
#include "awaitable_stream_test.moc"
