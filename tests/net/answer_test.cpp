// Answer and ask(): one answer, whatever comes later, and a connection that ends with the question.
#include <QtTest>

#include "bine/log/recorder.h"
#include "bine/net/answer.h"
#include "bine/net/memory_transport.h"
#include "bine/reactors/manual_clock.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

/// Answers with the first line, naively: it fires with each line and with the loss.
class Question : public Protocol {
public:
    Deferred<std::string> answer() { return answer_.deferred(); }
    void connectionMade() override { transport().write("?\n"); }
    void dataReceived(std::string_view data) override {
        text_ += data;
        if (text_.ends_with('\n'))
            late += !answer_.callback(text_);
    }
    void connectionLost(const Failure& reason) override { late += !answer_.errback(reason); }
    int late = 0;

private:
    std::string text_;
    Answer<std::string> answer_{*this};
};

/// Leaves the loss to Answer.
class Quiet : public Protocol {
public:
    Deferred<> answer() { return answer_.deferred(); }
    void dataReceived(std::string_view) override { answer_.callback(); }

private:
    Answer<> answer_{*this};
};

struct Asked {
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    std::shared_ptr<Question> question = std::make_shared<Question>();
    Asked() { question->makeConnection(transport); }
};

} // namespace

class AnswerTest : public QObject {
    Q_OBJECT

private slots:
    void firesOnceAndIgnoresWhatComesLater() {
        LogRecorder log;
        Asked asked;
        std::vector<std::string> got;
        asked.question->answer().addCallback([&](std::string text) { got.push_back(text); });
        asked.transport->feed("one\n");
        asked.transport->feed("two\n");
        asked.transport->end(ConnectionLost("reset"));
        QCOMPARE(got, std::vector<std::string>{"one\n"});
        QCOMPARE(asked.question->late, 2);
        QCOMPARE(log.flushErrors<std::exception>().size(), 0U);
    }
    void anEndWithoutAnswerIsItsFailure() {
        auto transport = std::make_shared<MemoryTransport>();
        auto quiet = std::make_shared<Quiet>();
        quiet->makeConnection(transport);
        bool done = false;
        quiet->answer().addErrback([&](const Failure& failure) { done = failure.check<ConnectionDone>() != nullptr; });
        transport->feedEof();
        QVERIFY(done);
    }
    void cancellingEndsTheConnection() {
        Asked asked;
        bool cancelled = false;
        auto answer = asked.question->answer().addErrback([&](const Failure& failure) {
            cancelled = failure.check<CancelledError>() != nullptr;
            return std::string();
        });
        answer.cancel();
        QVERIFY(cancelled);
        QVERIFY(asked.transport->aborted());
        asked.transport->finish();
        QCOMPARE(asked.question->late, 1);
    }
    void aTimeoutEndsTheConnection() {
        ManualClock clock;
        Asked asked;
        bool timedOut = false;
        asked.question->answer().addTimeout(5s, clock).addErrback([&](const Failure& failure) {
            timedOut = failure.check<TimeoutError>() != nullptr;
            return std::string();
        });
        clock.advance(5s);
        QVERIFY(timedOut);
        QVERIFY(asked.transport->aborted());
    }
    void anOwnersDeathEndsTheConnectionInSilence() {
        Asked asked;
        int called = 0;
        {
            Scope window;
            asked.question->answer().ownedBy(window).addBoth([&](Result<std::string>) { ++called; });
        }
        QVERIFY(asked.transport->aborted());
        QCOMPARE(called, 0);
    }
    void theAnswerMayDieInItsCallback() {
        auto transport = std::make_shared<MemoryTransport>();
        auto question = std::make_shared<Question>();
        question->makeConnection(transport);
        question->answer().addCallback([&](std::string) {
            transport->end(connectionDone());
            question.reset();
        });
        transport->feed("x\n");
        QVERIFY(!question);
    }

    void askConnectsAndAnswers() {
        EpollReactor reactor;
        auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>(), TCPServerOptions().listenOn("127.0.0.1"));
        std::string got;
        ask(reactor, "127.0.0.1", port.getHost().port(), std::make_shared<Question>()).addCallback([&](std::string text) { got = text; });
        QVERIFY(turnUntil(reactor, [&] { return !got.empty(); }));
        QCOMPARE(got, "?\n");
    }
    void askFailsAsConnectingDoes() {
        EpollReactor reactor;
        auto port = listenTCP(reactor, 0, Factory::forProtocol<Echo>(), TCPServerOptions().listenOn("127.0.0.1"));
        const auto number = port.getHost().port();
        port.stopListening();
        turn(reactor);
        bool refused = false;
        ask(reactor, "127.0.0.1", number, std::make_shared<Question>()).addErrback([&](const Failure& failure) {
            refused = failure.check<ConnectionRefusedError>() != nullptr;
            return std::string();
        });
        QVERIFY(turnUntil(reactor, [&] { return refused; }));
    }
    void aWindowThatDiesEndsWhatItAskedAtEveryStage() {
        for (int turns = 0; turns < 6; ++turns) {
            EpollReactor reactor;
            Pair silent(reactor);
            bool called = false;
            {
                Scope window;
                ask(reactor, "127.0.0.1", silent.port.getHost().port(), std::make_shared<Question>())
                    .ownedBy(window)
                    .addBoth([&](Result<std::string>) { called = true; });
                turn(reactor, turns);
            }
            turn(reactor);
            QVERIFY(!called);
            QCOMPARE(silent.server->count("made"), silent.server->count("lost"));
        }
    }
};

QTEST_GUILESS_MAIN(AnswerTest)
#include "answer_test.moc"
