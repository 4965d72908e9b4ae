// Stream, openConnection(), streamFactory() and ask() in every loop: coroutines over real sockets.
#include "bine/net/answer.h"
#include "bine/net/errors.h"
#include "bine/net/stream.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using namespace bine;

namespace {

Deferred<> echoLines(Stream stream) {
    while (auto line = co_await stream.nextLine())
        stream.write(*line + "\n");
}

Deferred<std::string> question(Reactor& reactor, Port port, std::string line) {
    Stream stream = co_await openConnection(reactor, "127.0.0.1", port);
    stream.write(line + "\n");
    co_return co_await stream.readLine();
}

Deferred<std::size_t> everything(Reactor& reactor, Port port) {
    Stream stream = co_await openConnection(reactor, "127.0.0.1", port);
    stream.endWriting();
    const std::string all = co_await stream.readAll(64 << 20);
    co_return all.size();
}

/// Reads until the peer ends, in whatever way.
Deferred<> readToTheEnd(Stream stream) {
    try {
        while (co_await stream.nextLine()) {
        }
    } catch (const ConnectionLost&) { // a reset is an end, too
    }
}

class FirstLine : public Protocol {
public:
    Deferred<std::string> answer() { return answer_.deferred(); }
    void connectionMade() override { transport().write("hello\n"); }
    void dataReceived(std::string_view data) override { answer_.callback(std::string(data)); }

private:
    Answer<std::string> answer_{*this};
};

} // namespace

class StreamsTest : public kit::ReactorTest {
    Q_OBJECT

private slots:
    void aCoroutineAsksACoroutine() {
        auto port = listen(echoLines);
        std::string got;
        question(reactor(), port, "hello").addCallback([&](std::string line) { got = line; });
        QVERIFY(host().spinUntil([&] { return !got.empty(); }));
        QCOMPARE(got, "hello");
    }
    void manyAtOnce() {
        auto port = listen(echoLines);
        int right = 0;
        for (int i = 0; i < 50; ++i)
            question(reactor(), port, std::to_string(i)).addCallback([&right, i](std::string line) {
                right += line == std::to_string(i);
            });
        QVERIFY(host().spinUntil([&] { return right == 50; }));
    }
    void whatAHandlerWroteIsSentThoughThePeerReadsSlowly() {
        auto port = listen([](Stream stream) -> Deferred<> {
            for (int i = 0; i < 80; ++i) {
                stream.write(std::string(100'000, 'x'));
                co_await stream.drained();
            }
        });
        std::size_t got = 0;
        everything(reactor(), port).addCallback([&](std::size_t size) { got = size; });
        QVERIFY(host().spinUntil([&] { return got != 0; }));
        QCOMPARE(got, 8'000'000U);
    }
    void anOwnerThatDiesClosesTheConnection() {
        bool ended = false;
        auto port = listen([&ended](Stream stream) -> Deferred<> {
            co_await readToTheEnd(std::move(stream));
            ended = true;
        });
        bool called = false;
        {
            Scope window;
            question(reactor(), port, "hello").ownedBy(window).addBoth([&](Result<std::string>) { called = true; });
            QVERIFY(host().spinUntil([&] { return connections_ == 1; }));
        }
        QVERIFY(host().spinUntil([&] { return ended; }));
        QVERIFY(!called);
    }
    void aDeadlineEndsAReadAndTheConnectionGoesOn() {
        auto port = listen([](Stream stream) -> Deferred<> {
            co_await stream.readLine();
            stream.write("late\n");
            co_await stream.closed();
        });
        std::string got;
        auto client = [&]() -> Deferred<> {
            Stream stream = co_await openConnection(reactor(), "127.0.0.1", port);
            auto read = stream.readLine().addTimeout(1ms, reactor());
            try {
                co_await std::move(read);
            } catch (const TimeoutError&) {
                stream.write("now\n");
            }
            got = co_await stream.readLine();
        };
        auto running = client();
        QVERIFY(host().spinUntil([&] { return !got.empty(); }));
        QCOMPARE(got, "late");
    }
    void aDialogInTheMiddleOfAStreamLosesNothing() {
        auto port = listen(echoLines);
        std::vector<std::string> got;
        std::string other;
        auto client = [&]() -> Deferred<> {
            Stream stream = co_await openConnection(reactor(), "127.0.0.1", port);
            stream.write("one\ntwo\n");
            got.push_back(co_await stream.readLine());
            auto question2 = question(reactor(), port, "inside").addCallback([&](std::string line) { other = line; });
            host().nestedLoop([&] { return !other.empty(); });
            got.push_back(co_await stream.readLine());
        };
        auto running = client();
        QVERIFY(host().spinUntil([&] { return got.size() == 2; }));
        QCOMPARE(got, (std::vector<std::string>{"one", "two"}));
        QCOMPARE(other, "inside");
    }
    void theReactorsEndEndsStreams() {
        auto port = listen(echoLines);
        std::string error;
        auto client = [&]() -> Deferred<> {
            Stream stream = co_await openConnection(reactor(), "127.0.0.1", port);
            try {
                co_await stream.readLine();
            } catch (const ConnectionLost&) {
                error = "lost";
            }
        };
        auto running = client();
        QVERIFY(host().spinUntil([&] { return connections_ == 1; }));
        host().destroyReactor();
        QCOMPARE(error, "lost");
    }

    void askGivesOneAnswer() {
        auto port = listen(echoLines);
        std::string got;
        ask(reactor(), "127.0.0.1", port, std::make_shared<FirstLine>()).addCallback([&](std::string line) { got = line; });
        QVERIFY(host().spinUntil([&] { return !got.empty(); }));
        QCOMPARE(got, "hello\n");
    }
    void aDeadWindowEndsItsQuestion() {
        int lost = 0;
        auto port = listen([&lost](Stream stream) -> Deferred<> {
            co_await readToTheEnd(std::move(stream));
            ++lost;
        });
        {
            Scope window;
            ask(reactor(), "127.0.0.1", port, std::make_shared<FirstLine>()).ownedBy(window).addCallback([](std::string) {});
            QVERIFY(host().spinUntil([&] { return connections_ == 1; }));
        }
        QVERIFY(host().spinUntil([&] { return lost == 1; }));
    }

private:
    /// Serves with the handler until the reactor ends; the port's number.
    template <class Handler>
    Port listen(Handler handler) {
        connections_ = 0;
        auto counted = [this, handler = std::move(handler)](Stream stream) {
            ++connections_;
            return handler(std::move(stream));
        };
        return listenTCP(reactor(), 0, streamFactory(std::move(counted)), TCPServerOptions().listenOn("127.0.0.1"))
            .getHost()
            .port();
    }
    int connections_ = 0;
};

int main(int argc, char** argv) { return kit::runTests<StreamsTest>(argc, argv); }
#include "streams.moc"
