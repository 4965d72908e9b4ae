// Finger, both sides: the client and the server over memory, and both over loopback.
#include <QtTest/QtTest>

#include <optional>

#include "bine/defer/deferred.h"
#include "bine/log/recorder.h"
#include "bine/net/errors.h"
#include "bine/net/memory_transport.h"
#include "bine/net/tcp.h"
#include "bine/protocols/finger.h"
#include "bine/protocols/finger_server.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"

using namespace bine;
using namespace std::chrono_literals;

namespace {

/// What became of a question: "text", "text|notice", "!ErrorType: text", or "pending".
template <class T>
class Outcome {
public:
    explicit Outcome(Deferred<T> deferred)
        : deferred_(std::move(deferred).ownedBy(scope_).addBoth([this](Result<T> r) { said_ = text(r); })) {}
    std::string said() const { return said_.value_or("pending"); }
    Deferred<>& deferred() { return deferred_; }

private:
    static std::string text(const Result<T>& result) {
        if (result.isFailure()) {
            const std::string type = result.failure().typeName();
            return "!" + type.substr(type.rfind(':') + 1) + ": " + result.failure().userMessage();
        }
        if constexpr (std::is_same_v<T, FingerAnswer>)
            return result.value().text + (result.value().complete() ? "" : "|" + result.value().notice);
        else
            return result.value();
    }
    std::optional<std::string> said_;
    Scope scope_;
    Deferred<> deferred_;
};

/// A client that has asked "alice@host" over a transport of the test's.
struct Asked {
    explicit Asked(FingerOptions options = FingerOptions(), const char* query = "alice@host")
        : client(std::make_shared<FingerClient>(clock, FingerQuery::parse(query), options)), answer(client->answer()) {
        client->makeConnection(transport);
    }
    ManualClock clock;
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    std::shared_ptr<FingerClient> client;
    Outcome<FingerAnswer> answer;
};

/// A server's connection over a transport of the test's.
struct Served {
    explicit Served(std::shared_ptr<FingerFactory> factory) : factory(std::move(factory)) {
        this->factory->buildProtocol({})->makeConnection(transport);
    }
    std::string ask(std::string_view query) {
        transport->feed(query);
        return transport->value();
    }
    std::shared_ptr<FingerFactory> factory;
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
};

const std::map<std::string, std::string> users = {{"alice", "Gone climbing.\nBack soon."}, {"bob", "No plan.\n"}};

}  // namespace

class TestFinger : public QObject {
    Q_OBJECT

    ManualClock clock_;
    std::shared_ptr<FingerFactory> dictionary() { return std::make_shared<FingerFactory>(clock_, users); }
    std::shared_ptr<FingerFactory> lookup(FingerFactory::Lookup f) { return std::make_shared<FingerFactory>(clock_, std::move(f)); }
    /// Runs the reactor until `done()`.
    template <class F>
    static void runUntil(EpollReactor& reactor, F done) {
        while (!done()) reactor.iterate(1s);
    }

private Q_SLOTS:
    // --- The client

    void theQueryIsSent() {
        QCOMPARE(Asked().transport->value(), std::string("alice\r\n"));
        QCOMPARE(Asked({}, "/W @host").transport->value(), std::string("/W\r\n"));
    }
    void theAnswerIsWhatCameBeforeTheEnd() {
        const std::string stream = "Login: alice\r\nPlan:\r\ncaf\xc3\xa9\r\n";
        for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
            Asked asked;
            asked.transport->feed(stream, chunk);
            QCOMPARE(asked.answer.said(), std::string("pending"));
            asked.transport->feedEof();
            QCOMPARE(asked.answer.said(), std::string("Login: alice\nPlan:\ncaf\xc3\xa9\n"));
            QVERIFY(asked.clock.getDelayedCalls().empty());
        }
    }
    void controlCharactersAreNeutralised() {
        Asked asked;
        asked.transport->feed("\x1b[2J\x07hi");
        asked.transport->feedEof();
        QCOMPARE(asked.answer.said(), std::string("\xef\xbf\xbd[2J\xef\xbf\xbdhi"));
    }
    void anAnswerThatIsNotUtf8IsLatin1() {
        const std::string stream = "Name: Ren\xe9\r\nPlan:\r\n\xabZ\xfcrich\xbb \x96 caf\xc3\xa9\r\n";
        for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
            Asked asked;
            asked.transport->feed(stream, chunk);
            asked.transport->feedEof();
            QCOMPARE(asked.answer.said(), std::string("Name: Ren\xc3\xa9\nPlan:\n\xc2\xabZ\xc3\xbcrich\xc2\xbb \\x96 caf\xc3\x83\xc2\xa9\n"));
        }
    }
    void aCharacterThatWasCutDoesNotMakeItLatin1() {
        Asked asked(FingerOptions().maximum(4));
        asked.transport->feed("\xc3\xa9x\xc3\xa9");
        QCOMPARE(asked.answer.said(), std::string("\xc3\xa9x|The answer was cut after 4 bytes."));
    }
    void theLimitHoldsForTheTextToo() {
        Asked asked(FingerOptions().maximum(4));
        asked.transport->feed("\xe9\xe9\xe9");
        asked.transport->feedEof();
        QCOMPARE(asked.answer.said(), std::string("\xc3\xa9\xc3\xa9|The answer was cut after 4 bytes."));
    }
    void anEmptyAnswerIsAnAnswer() {
        Asked asked;
        asked.transport->feedEof();
        QCOMPARE(asked.answer.said(), std::string());
    }
    void aLongAnswerIsCut() {
        Asked asked(FingerOptions().maximum(1024));
        asked.transport->feed(std::string(1024, 'x'));
        QCOMPARE(asked.answer.said(), std::string("pending"));
        asked.transport->feed("y");
        QCOMPARE(asked.answer.said(), std::string(1024, 'x') + "|The answer was cut after 1 KiB.");
        QVERIFY(asked.transport->aborted());
        asked.transport->finish();
        QVERIFY(asked.clock.getDelayedCalls().empty());
    }
    void aBrokenConnectionFailsWhenNothingCame() {
        Asked asked;
        asked.transport->end(ConnectionLost());
        QVERIFY(asked.answer.said().starts_with("!ConnectionLost: "));
    }
    void aBrokenConnectionGivesWhatCame() {
        Asked asked;
        asked.transport->feed("half");
        asked.transport->end(ConnectionLost());
        QCOMPARE(asked.answer.said(), std::string("half|The connection broke before the end of the answer."));
    }
    void theDeadlineFailsWhenNothingCame() {
        Asked asked;
        asked.clock.advance(29s);
        QCOMPARE(asked.answer.said(), std::string("pending"));
        asked.clock.advance(1s);
        QVERIFY2(asked.answer.said().starts_with("!TimeoutError: "), asked.answer.said().c_str());
        QVERIFY(asked.transport->aborted());
    }
    void theDeadlineGivesWhatCame() {
        Asked asked(FingerOptions().timeLimit(2s));
        asked.clock.advance(1s);
        asked.transport->feed("drip");
        asked.clock.advance(1s);
        QCOMPARE(asked.answer.said(), std::string("drip|The rest of the answer did not come within 2 seconds."));
        QVERIFY(asked.transport->aborted());
    }
    void theDeadlineCountsFromTheQuestion() {
        ManualClock clock;
        auto client = std::make_shared<FingerClient>(clock, FingerQuery::parse("a@b"), FingerOptions().timeLimit(10s));
        Outcome<FingerAnswer> answer(client->answer());
        clock.advance(9s);  // connecting took that long
        auto transport = std::make_shared<MemoryTransport>();
        client->makeConnection(transport);
        clock.advance(1s);
        QVERIFY(transport->aborted());
    }
    void cancellingAbortsTheConnection() {
        Asked asked;
        asked.transport->feed("half");
        asked.answer.deferred().cancel();
        QVERIFY(asked.answer.said().starts_with("!CancelledError: "));
        QVERIFY(asked.transport->aborted());
        asked.transport->finish();
        QVERIFY(asked.clock.getDelayedCalls().empty());
    }
    void badOptionsAreRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, FingerOptions().timeLimit(0s));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, FingerServerOptions().timeLimit(-1s));
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, FingerOptions().port(70000));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, FingerFactory(clock_, FingerFactory::Lookup()));
    }

    // --- The server

    void aUserIsFound() {
        Served served(dictionary());
        QCOMPARE(served.ask("alice\r\n"), std::string("Gone climbing.\r\nBack soon.\r\n"));
        QVERIFY(served.transport->closing());
        served.transport->finish();
        QVERIFY(clock_.getDelayedCalls().empty());
    }
    void theQueryMayComeInPieces() {
        Served served(dictionary());
        for (const char c : std::string("/W bob\r")) QCOMPARE(served.ask({&c, 1}), std::string());
        QCOMPARE(served.ask("\n"), std::string("No plan.\r\n"));
        served.transport->finish();
    }
    void aBareNewlineEndsAQuery() { QCOMPARE(Served(dictionary()).ask("bob\n"), std::string("No plan.\r\n")); }
    void anUnknownUserIsSaidToBeUnknown() {
        QCOMPARE(Served(dictionary()).ask("eve\r\n"), std::string("finger: eve: no such user.\r\n"));
    }
    void anEmptyQueryListsTheUsers() {
        QCOMPARE(Served(dictionary()).ask("\r\n"), std::string("alice\r\nbob\r\n"));
        QCOMPARE(Served(dictionary()).ask("/W\r\n"), std::string("alice\r\nbob\r\n"));
        QCOMPARE(Served(std::make_shared<FingerFactory>(clock_, std::map<std::string, std::string>())).ask("\r\n"),
                 std::string("No one is known here.\r\n"));
    }
    void forwardingIsRefused() {
        QCOMPARE(Served(dictionary()).ask("alice@elsewhere\r\n"), std::string("Finger forwarding service denied\r\n"));
        QCOMPARE(Served(dictionary()).ask("@elsewhere\r\n"), std::string("Finger forwarding service denied\r\n"));
    }
    void badQueriesAreAnsweredAndNeverLookedUp() {
        int lookups = 0;
        const auto refused = [&](std::string_view query) {
            Served served(lookup([&](const std::string&, bool) {
                ++lookups;
                return succeed(std::string("found"));
            }));
            const std::string said = served.ask(query);
            return said.ends_with("\r\n") && served.transport->closing();
        };
        QVERIFY(refused("al\x1bice\r\n"));
        QVERIFY(refused("\xff\r\n"));
        QVERIFY(refused("/X alice\r\n"));
        QVERIFY(refused(std::string(513, 'a') + "\r\n"));
        QVERIFY(refused(std::string(5000, 'a')));
        QCOMPARE(lookups, 0);
    }
    void onlyTheFirstLineCounts() {
        Served served(dictionary());
        QCOMPARE(served.ask("alice\r\nbob\r\n"), std::string("Gone climbing.\r\nBack soon.\r\n"));
    }
    void theLookupLearnsUserAndSwitch() {
        std::string heard;
        const auto factory = lookup([&](const std::string& user, bool verbose) {
            heard += user + (verbose ? "+ " : "- ");
            return succeed(std::string("x"));
        });
        Served(factory).ask("alice\r\n");
        Served(factory).ask("/W alice smith\r\n");
        Served(factory).ask("\r\n");
        QCOMPARE(heard, std::string("alice- alice smith+ - "));
    }
    void theAnswerMayComeLater() {
        Resolver<std::string> later;
        Served served(lookup([&](const std::string&, bool) { return later.deferred(); }));
        QCOMPARE(served.ask("alice\r\n"), std::string());
        QCOMPARE(served.ask("noise\r\n"), std::string());
        later.callback(std::string("at last"));
        QCOMPARE(served.transport->value(), std::string("at last\r\n"));
        QVERIFY(served.transport->closing());
    }
    void r166_aPeerThatEndsItsWritingGetsTheAnswer() {
        Resolver<std::string> later;
        Served served(lookup([&](const std::string&, bool) { return later.deferred(); }));
        served.ask("alice\r\n");
        served.transport->feedEof();
        served.transport->manualClock().advance(59s);
        QVERIFY(!served.transport->ended() && !served.transport->aborted());
        later.callback(std::string("at last"));
        QCOMPARE(served.transport->value(), std::string("at last\r\n"));
        QVERIFY(served.transport->closing());
    }
    void aQueryWithoutALineEndGetsNoAnswer() {
        Served served(dictionary());
        served.ask("alice");
        served.transport->feedEof();
        QVERIFY(served.transport->ended());
        QCOMPARE(served.transport->value(), std::string());
        QVERIFY(clock_.getDelayedCalls().empty());
    }
    void aFailedLookupIsAnInternalError() {
        LogRecorder log;
        QCOMPARE(Served(lookup([](const std::string&, bool) { return fail<std::string>(std::runtime_error("no disk")); })).ask("a\r\n"),
                 std::string("Internal error in server\r\n"));
        QCOMPARE(Served(lookup([](const std::string&, bool) -> Deferred<std::string> { throw std::runtime_error("no disk"); })).ask("a\r\n"),
                 std::string("Internal error in server\r\n"));
        QCOMPARE(log.flushErrors<std::runtime_error>().size(), std::size_t(2));
    }
    void theLookupIsCancelledWhenThePeerGoes() {
        int cancelled = 0;
        Resolver<std::string> later([&] { ++cancelled; });
        Served served(lookup([&](const std::string&, bool) { return later.deferred(); }));
        served.ask("alice\r\n");
        served.transport->end(ConnectionLost());
        QCOMPARE(cancelled, 1);
        QVERIFY(clock_.getDelayedCalls().empty());
    }
    void aSilentPeerIsAborted() {
        Served served(dictionary());
        served.ask("ali");
        clock_.advance(59s);
        QVERIFY(!served.transport->aborted());
        clock_.advance(1s);
        QVERIFY(served.transport->aborted());
    }
    void aPeerThatDoesNotReadIsAborted() {
        Served served(dictionary());
        served.ask("alice\r\n");
        clock_.advance(60s);
        QVERIFY(served.transport->aborted());
    }
    void tooManyConnectionsAreClosed() {
        const auto factory = std::make_shared<FingerFactory>(clock_, users, FingerServerOptions().maximumConnections(2));
        auto first = std::make_unique<Served>(factory);
        const Served second(factory);
        QCOMPARE(factory->connections(), std::size_t(2));
        QVERIFY(!factory->buildProtocol({}));
        first.reset();
        QVERIFY(factory->buildProtocol({}));
    }

    void tooManyConnectionsOfOnePeerAreClosed() {
        std::size_t warnings = 0;
        const auto watching = addLogObserver([&](const LogEvent& event) { warnings += event.level == LogLevel::warn; });
        const auto factory = std::make_shared<FingerFactory>(clock_, users, FingerServerOptions().maximumConnectionsPerPeer(2));
        const auto from = [&](const char* host) { return factory->buildProtocol(Address::of(host, 1)); };
        auto first = from("192.0.2.1"), second = from("192.0.2.1");
        QVERIFY(first && second);
        QVERIFY(!from("192.0.2.1"));
        QVERIFY(!from("192.0.2.1"));
        QVERIFY(!from("::ffff:192.0.2.1"));
        QVERIFY(from("192.0.2.2"));
        QVERIFY(from("::ffff:192.0.2.2"));
        QCOMPARE(warnings, std::size_t(1));
        first.reset();
        QVERIFY(from("192.0.2.1"));

        const auto near = from("2001:db8:1:2::1"), alsoNear = from("2001:db8:1:2:3::1");
        QVERIFY(!from("2001:db8:1:2:ffff::"));
        QVERIFY(from("2001:db8:1:3::1"));
        std::vector<std::shared_ptr<Protocol>> local;
        for (int i = 0; i < 10; ++i) local.push_back(factory->buildProtocol({}));
        QVERIFY(local.back());
        QCOMPARE(FingerServerOptions().maximumConnectionsPerPeer(), std::size_t(50));
    }

    // --- Both

    void clientAndServerUnderstandEachOther() {
        ManualClock clock;
        for (std::size_t chunk : {0, 1, 3}) {
            MemoryPipe pipe(clock, 10ms);
            pipe.chunk(chunk);
            auto client = std::make_shared<FingerClient>(clock, FingerQuery::parse("alice@host"));
            Outcome<FingerAnswer> answer(client->answer());
            pipe.connect(client, std::make_shared<FingerFactory>(clock, users)->buildProtocol({}));
            for (int i = 0; i < 200; ++i) clock.advance(10ms);
            QCOMPARE(answer.said(), std::string("Gone climbing.\nBack soon.\n"));
            QVERIFY(pipe.finished());
        }
    }
    void overLoopback() {
        EpollReactor reactor;
        const auto port = listenTCP(reactor, 0, std::make_shared<FingerFactory>(reactor, users), TCPServerOptions().listenOn("127.0.0.1"));
        const std::string at = "@127.0.0.1:" + std::to_string(port.getHost().port());
        Outcome<std::string> alice(finger(reactor, "alice" + at)), everybody(finger(reactor, at)), cut(finger(reactor, "bob" + at, FingerOptions().maximum(2)));
        runUntil(reactor, [&] { return alice.said() != "pending" && everybody.said() != "pending" && cut.said() != "pending"; });
        QCOMPARE(alice.said(), std::string("Gone climbing.\nBack soon.\n"));
        QCOMPARE(everybody.said(), std::string("alice\nbob\n"));
        QCOMPARE(cut.said(), std::string("No\n[The answer was cut after 2 bytes.]\n"));
    }
    void aLinkIsAsked() {
        EpollReactor reactor;
        const auto port = listenTCP(reactor, 0, std::make_shared<FingerFactory>(reactor, users), TCPServerOptions().listenOn("127.0.0.1"));
        Outcome<std::string> alice(finger(reactor, "finger://127.0.0.1:" + std::to_string(port.getHost().port()) + "/%61lice"));
        runUntil(reactor, [&] { return alice.said() != "pending"; });
        QCOMPARE(alice.said(), std::string("Gone climbing.\nBack soon.\n"));
    }
    void aBadQueryFailsTheDeferred() {
        EpollReactor reactor;
        QVERIFY(Outcome<std::string>(finger(reactor, "alice")).said().starts_with("!InvalidFingerQuery: "));
        QVERIFY(Outcome<std::string>(finger(reactor, "a@b@c")).said().starts_with("!InvalidFingerQuery: "));
    }
    void r095_nobodyListens() {
        EpollReactor reactor;
        const auto port = listenTCP(reactor, 0, dictionary(), TCPServerOptions().listenOn("127.0.0.1"));
        const auto number = port.getHost().port();
        bool stopped = false;
        auto stopping = port.stopListening().addCallback([&] { stopped = true; });
        runUntil(reactor, [&] { return stopped; });
        Outcome<std::string> answer(finger(reactor, "alice@127.0.0.1:" + std::to_string(number)));
        runUntil(reactor, [&] { return answer.said() != "pending"; });
        QVERIFY2(answer.said().starts_with("!ConnectionRefusedError: "), answer.said().c_str());
    }
    void cancellingWhileConnecting() {
        EpollReactor reactor;
        Outcome<std::string> answer(finger(reactor, "alice@127.0.0.1:7979"));
        answer.deferred().cancel();
        QVERIFY2(answer.said().starts_with("!ConnectingCancelledError: "), answer.said().c_str());
        reactor.iterate();
        QCOMPARE(reactor.stats().descriptors, std::size_t(0));
    }
    void r268_theQuestionDiesWithItsOwner() {
        EpollReactor reactor;
        std::vector<std::shared_ptr<Resolver<std::string>>> waiting;
        const auto silent = std::make_shared<FingerFactory>(reactor, [&](const std::string&, bool) {
            waiting.push_back(std::make_shared<Resolver<std::string>>());
            return waiting.back()->deferred();
        });
        const auto port = listenTCP(reactor, 0, silent, TCPServerOptions().listenOn("127.0.0.1"));
        bool called = false;
        {
            Scope owner;
            finger(reactor, "alice@127.0.0.1:" + std::to_string(port.getHost().port())).ownedBy(owner).addBoth([&](Result<std::string>) { called = true; });
            runUntil(reactor, [&] { return !waiting.empty(); });
        }
        runUntil(reactor, [&] { return silent->connections() == 0; });
        QVERIFY(!called);
    }
};

QTEST_GUILESS_MAIN(TestFinger)
#include "test_finger.moc"
