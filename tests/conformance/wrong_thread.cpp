// Calls from a wrong thread end the program with a message that names the call, the object and both threads.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "bine/defer/looping_call.h"
#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/manual_clock.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace bine;
using namespace std::chrono_literals;
using nettest::Heard;

namespace {

void onThreadCalled(const char* name, const std::function<void()>& f) {
    std::thread([&] {
        ::pthread_setname_np(::pthread_self(), name);
        f();
    }).join();
}

/// What a fork of this process writes to stderr while f runs in it; "survived" or another end, if it does not abort.
std::string lastWordsOf(const std::function<void()>& f) {
    int ends[2];
    if (::pipe(ends) != 0) qFatal("pipe: %d", errno);
    const pid_t child = ::_Fork(); // not fork(): its child would not own the reactor
    if (child == 0) {
        const rlimit noCore{0, 0};
        ::setrlimit(RLIMIT_CORE, &noCore);
        ::signal(SIGABRT, SIG_DFL);
        ::dup2(ends[1], STDERR_FILENO);
        f();
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string words;
    char some[1024];
    for (ssize_t n; (n = ::read(ends[0], some, sizeof some)) > 0 || (n < 0 && errno == EINTR);)
        if (n > 0) words.append(some, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) return words;
    return "survived: " + words;
}

std::string trespass(const std::function<void()>& f) {
    return lastWordsOf([&] { onThreadCalled("trespasser", f); });
}

struct NoReader : ReadDescriptor {
    int fileno() const override { return 0; }
    IoResult doRead() override { return {}; }
    void connectionLost(const Failure&) override {}
};

struct Nothing final : Producer {
    void pauseProducing() override {}
    void resumeProducing() override {}
    void stopProducing() override {}
};

} // namespace

class WrongThreadTest : public kit::ReactorTest {
    Q_OBJECT

private slots:
    void r272_theMessageSaysWhatAndWhereAndWhatToDo() {
        const std::string words = lastWordsOf([] {
            onThreadCalled("owner", [] {
                ManualClock clock;
                Scope scope;
                clock.callLater(1s, [] {}).ownedBy(scope);
                onThreadCalled("trespasser", [&] { scope.cancel(); });
            });
        });
        const QRegularExpression expected("^bine: A Scope that owns something ended or was cancelled on thread \\d+ 'trespasser' instead of thread \\d+ "
                                          "'owner'\\. Use reactor\\.callFromThread\\(\\.\\.\\.\\) to do this there\\.\n$");
        QVERIFY2(expected.match(QString::fromStdString(words)).hasMatch(), words.c_str());
    }

    void r272_aReactorsFunctions_data() {
        rows({"callLater", "stop", "iterate", "addSystemEventTrigger", "callWhenRunning", "addReader", "getDelayedCalls", "threadPool", "setTurnBudget",
              "setShutdownDeadline", "service", "networkOf", "attach", "listenTCP", "connectTCP", "connectFactory"});
    }
    void r272_aReactorsFunctions() {
        static NoReader reader;
        const std::map<std::string, std::pair<std::function<void()>, std::string>> calls{
            {"callLater", {[&] { reactor().callLater(1s, [] {}); }, "callLater()"}},
            {"stop", {[&] { reactor().stop(); }, "stop()"}},
            {"iterate", {[&] { reactor().iterate(); }, "iterate()"}},
            {"addSystemEventTrigger", {[&] { reactor().addSystemEventTrigger(Phase::after, "startup", [] {}); }, "addSystemEventTrigger()"}},
            {"callWhenRunning", {[&] { reactor().callWhenRunning([] {}); }, "callWhenRunning()"}},
            {"addReader", {[&] { reactor().addReader(reader); }, "addReader()"}},
            {"getDelayedCalls", {[&] { reactor().getDelayedCalls(); }, "getDelayedCalls()"}},
            {"threadPool", {[&] { reactor().threadPool(); }, "threadPool()"}},
            {"setTurnBudget", {[&] { reactor().setTurnBudget(1ms); }, "setTurnBudget()"}},
            {"setShutdownDeadline", {[&] { reactor().setShutdownDeadline(1s); }, "setShutdownDeadline()"}},
            {"service", {[&] { reactor().service<int>(); }, "service()"}},
            {"networkOf", {[&] { networkOf(reactor()); }, "networkOf()"}},
            {"attach", {[&] { attach(reactor(), std::make_shared<MemoryTransport>(), std::make_shared<Heard>()); }, "attach()"}},
            {"listenTCP", {[&] { listenTCP(reactor(), 8000, Factory::forProtocol<Heard>()); }, "listenTCP() with 0.0.0.0:8000"}},
            {"connectTCP",
             {[&] { connectTCP(reactor(), "example.org", 80, std::make_shared<nettest::Client>()); }, "connectTCP() with example.org:80"}},
            {"connectFactory",
             {[&] { connectFactory(reactor(), "example.org", 80, Factory::forProtocol<Heard>()); }, "connectFactory() with example.org:80"}},
        };
        check(calls);
    }

    void r272_aConnectionsFunctions_data() {
        rows({"loseConnection", "abortConnection", "registerProducer", "unregisterProducer", "drained", "ownedBy"},
             {"write", "pauseProducing", "resumeProducing"});
    }
    void r272_aConnectionsFunctions() {
        nettest::Pair pair(reactor());
        QVERIFY(pair.connect());
        Transport& transport = pair.server->transport();
        Scope scope;
        const std::string name = " of " + transport.describe();
        const std::map<std::string, std::pair<std::function<void()>, std::string>> calls{
            {"write", {[&] { transport.write("x"); }, "write()" + name}},
            {"pauseProducing", {[&] { transport.pauseProducing(); }, "pauseProducing()" + name}},
            {"resumeProducing", {[&] { transport.resumeProducing(); }, "resumeProducing()" + name}},
            {"loseConnection", {[&] { transport.loseConnection(); }, "loseConnection()" + name}},
            {"abortConnection", {[&] { transport.abortConnection(); }, "abortConnection()" + name}},
            {"registerProducer", {[&] { transport.registerProducer(std::make_shared<Nothing>(), true); }, "registerProducer()" + name}},
            {"unregisterProducer", {[&] { transport.unregisterProducer(); }, "unregisterProducer()" + name}},
            {"drained", {[&] { transport.drained(); }, "drained()" + name}},
            {"ownedBy", {[&] { transport.ownedBy(scope); }, "ownedBy()" + name}},
        };
        check(calls);
        pair.port.stopListening();
        transport.abortConnection();
        QVERIFY(pair.bothLost());
    }

    void r272_portsAndConnectors_data() {
        rows({"connect", "stopConnecting", "disconnect", "state", "ownedBy", "stopListening", "startListening", "listening", "getHost"});
    }
    void r272_portsAndConnectors() {
        auto port = listenTCP(reactor(), 0, Factory::forProtocol<Heard>(), TCPServerOptions().listenOn("127.0.0.1"));
        const Address host = port.getHost();
        auto factory = std::make_shared<nettest::Client>();
        auto connector = connectTCP(reactor(), "127.0.0.1", host.port(), factory);
        Scope scope;
        const std::string to = " of the connector to " + host.text();
        const std::string of = " of the port " + host.text();
        const std::map<std::string, std::pair<std::function<void()>, std::string>> calls{
            {"connect", {[&] { connector.connect(); }, "connect()" + to}},
            {"stopConnecting", {[&] { connector.stopConnecting(); }, "stopConnecting()" + to}},
            {"disconnect", {[&] { connector.disconnect(); }, "disconnect()" + to}},
            {"state", {[&] { connector.state(); }, "state()" + to}},
            {"ownedBy", {[&] { connector.ownedBy(scope); }, "ownedBy()" + to}},
            {"stopListening", {[&] { port.stopListening(); }, "stopListening()" + of}},
            {"startListening", {[&] { port.startListening(); }, "startListening()" + of}},
            {"listening", {[&] { port.listening(); }, "listening()" + of}},
            {"getHost", {[&] { port.getHost(); }, "getHost()" + of}},
        };
        check(calls);
        connector.disconnect();
        port.stopListening();
        nettest::turn(reactor());
    }

    void r272_timersDeferredsAndOwners_data() {
        rows({"start", "stop", "reset", "scopeCancel", "scopeOwns", "protocolDies", "advance", "memoryWrite"},
             {"callCancel", "callReset", "callDelay", "callback", "errback", "addCallback"});
    }
    void r272_timersDeferredsAndOwners() {
        DelayedCall call = reactor().callLater(1h, [] {});
        LoopingCall loop(reactor(), [] {}), other(reactor(), [] {});
        loop.start(1h);
        Resolver<int> answer;
        Deferred<int> deferred = answer.deferred();
        Scope scope;
        call.ownedBy(scope);
        auto protocol = std::make_shared<Heard>();
        reactor().callLater(1h, [] {}).ownedBy(*protocol);
        ManualClock clock;
        auto memory = std::make_shared<MemoryTransport>();
        const std::string here = " of the call scheduled at ";
        const std::map<std::string, std::pair<std::function<void()>, std::string>> calls{
            {"callCancel", {[&] { call.cancel(); }, "DelayedCall::cancel()" + here}},
            {"callReset", {[&] { call.reset(1s); }, "DelayedCall::reset()" + here}},
            {"callDelay", {[&] { call.delay(1s); }, "DelayedCall::delay()" + here}},
            {"start", {[&] { other.start(1s); }, "LoopingCall::start() was called"}},
            {"stop", {[&] { loop.stop(); }, "LoopingCall::stop() was called"}},
            {"reset", {[&] { loop.reset(); }, "LoopingCall::reset() was called"}},
            {"callback", {[&] { answer.callback(1); }, "A Deferred made at "}},
            {"errback", {[&] { answer.errback(ConnectionLost()); }, "A Deferred made at "}},
            {"addCallback", {[&] { deferred.addCallback([](int x) { return x; }); }, "A Deferred made at "}},
            {"scopeCancel", {[&] { scope.cancel(); }, "A Scope that owns something ended or was cancelled"}},
            {"scopeOwns", {[&] { ManualClock().callLater(1s, [] {}).ownedBy(scope); }, "A Scope that owns something was given something more to own"}},
            {"protocolDies", {[&] { protocol.reset(); }, "A Protocol that owns something ended or was cancelled"}},
            {"advance", {[&] { clock.advance(1s); }, "ManualClock::advance() was called"}},
            {"memoryWrite", {[&] { memory->write("x"); }, "write() of <"}},
        };
        check(calls);
        loop.stop();
        answer.callback(1);
    }

    void r272_theRightThreadIsNotAccused() {
        Scope scope; // made elsewhere, which is allowed while it owns nothing
        std::thread([&] {
            EpollReactor home;
            nettest::Pair pair(home);
            LoopingCall loop(home, [&] { pair.client->transport().write("x"); });
            loop.ownedBy(scope);
            loop.start(1ms).addErrback([](const Failure&) {});
            pair.server->onData = [&](Heard& heard, std::string_view) {
                home.iterate(0s); // a dialog
                heard.transport().write("y");
                heard.transport().loseConnection();
            };
            pair.connect();
            pair.bothLost();
            scope.cancel();
            pair.port.stopListening();
            nettest::turn(home);
        }).join();
        QVERIFY(scope.empty());
    }

private:
#ifdef NDEBUG
    static constexpr bool kEachCall = false;
#else
    static constexpr bool kEachCall = true;
#endif

    /// `perCall`: those that only a debug build of the library checks.
    static void rows(std::initializer_list<const char*> names, std::initializer_list<const char*> perCall = {}) {
        QTest::addColumn<QString>("call");
        for (const char* name : names)
            QTest::newRow(name) << QString(name);
        if (kEachCall)
            for (const char* name : perCall)
                QTest::newRow(name) << QString(name);
    }
    void check(const std::map<std::string, std::pair<std::function<void()>, std::string>>& calls) {
        QFETCH(QString, call);
        const auto& [f, expected] = calls.at(call.toStdString());
        const std::string words = trespass(f);
        QVERIFY2(words.rfind("bine: " + expected, 0) == 0, words.c_str());
        QVERIFY2(words.find(" 'trespasser' instead of thread ") != words.npos, words.c_str());
        QVERIFY2(words.find("reactor.callFromThread(...)") != words.npos, words.c_str());
    }
};

int main(int argc, char** argv) { return kit::runTests<WrongThreadTest>(argc, argv); }
#include "wrong_thread.moc"
