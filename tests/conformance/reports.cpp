// D-047, D-109: what the library reports names places of the program, and none inside the library.

#include <functional>
#include <source_location>

#include "bine/application/internet.h"
#include "bine/application/start_application.h"
#include "bine/defer/cooperator.h"
#include "bine/defer/deferred_filesystem_lock.h"
#include "bine/defer/deferred_queue.h"
#include "bine/defer/defer_later.h"
#include "bine/defer/looping_call.h"
#include "bine/net/answer.h"
#include "bine/net/stream.h"
#include "bine/net/tcp.h"
#include "bine/protocols/finger.h"
#include "bine/reactors/defer_to_thread.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;

namespace {

constexpr const char* refusing = "127.0.0.1";
constexpr int refused = 1; // tcpmux, on which no machine listens

unsigned here(std::source_location where = std::source_location::current()) { return where.line(); }

std::runtime_error oops() { return std::runtime_error("oops"); }

struct Nothing : bine::Protocol {};

struct Question : bine::Protocol {
    bine::Deferred<std::string> answer() { return answer_.deferred(); }
    bine::Answer<std::string> answer_{*this};
};

struct Unstoppable : bine::Factory {
    Unstoppable() { noisy = false; }
    std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override { return nullptr; }
    void stopFactory() override { throw oops(); }
};

struct BadService : bine::Service {
    void startService() override { throw oops(); }
};

/// Keeps the events about failures of Deferreds, and calls `then` after each.
class Unhandled {
public:
    explicit Unhandled(std::function<void()> then)
        : listening_(bine::addLogObserver(
              [this, then = std::move(then)](const bine::LogEvent& event) {
                  if (event.message.find("Unhandled error in Deferred") == std::string::npos)
                      return;
                  events.push_back(event);
                  then();
              },
              bine::LogLevel::error)) {}
    std::vector<bine::LogEvent> events;

private:
    bine::LogSubscription listening_;
};

bool isHere(std::string_view file) { return file.ends_with("tests/conformance/reports.cpp"); }

/// What in the trace names a place that is none of this file's; empty if nothing does.
std::string strangePlaces(const bine::LogEvent& event) {
    std::string strange;
    std::istringstream lines(event.detail);
    std::string line;
    std::getline(lines, line); // the exception's class and text
    while (std::getline(lines, line))
        if (line.find("reports.cpp:") == std::string::npos || line.find('<') != std::string::npos ||
            line.find('(') != std::string::npos)
            strange += line + '\n';
    return strange;
}

} // namespace

class ReportsTest : public bine::kit::ReactorTest {
    Q_OBJECT
    std::vector<std::shared_ptr<void>> kept_; // until the end of the test

    /// Calls `call` in the running reactor, which makes a Deferred that fails and drops it. `call` returns its own line.
    void check(std::function<unsigned()> call) {
        unsigned line = 0;
        Unhandled unhandled([&] { reactor().callLater(0s, [&] { reactor().stop(); }); });
        reactor().callWhenRunning([&] { line = call(); });
        run();
        kept_.clear();
        loggedErrors();
        QCOMPARE(unhandled.events.size(), std::size_t(1));
        const bine::LogEvent& event = unhandled.events.front();
        QVERIFY2(isHere(event.where.file_name()), event.where.file_name());
        QCOMPARE(event.where.line(), line);
        QCOMPARE(strangePlaces(event), std::string());
    }
    template <class T>
    T& keep(std::shared_ptr<T> object) {
        kept_.push_back(object);
        return *object;
    }

private slots:
    void anUnhandledFailureNamesTheCallsLine_data() {
        using Call = std::function<unsigned(ReportsTest&)>;
        QTest::addColumn<Call>("call");
        const auto row = [](const char* name, Call call) { QTest::newRow(name) << call; };
        row("connectFactory", [](ReportsTest& t) { bine::connectFactory(t.reactor(), refusing, refused, bine::Factory::forProtocol<Nothing>()); return here(); });
        row("connectProtocol", [](ReportsTest& t) { bine::connectProtocol(t.reactor(), refusing, refused, std::make_shared<Nothing>()); return here(); });
        row("openConnection", [](ReportsTest& t) { bine::openConnection(t.reactor(), refusing, refused); return here(); });
        row("ask", [](ReportsTest& t) { bine::ask(t.reactor(), refusing, refused, std::make_shared<Question>()); return here(); });
        row("askFinger", [](ReportsTest& t) { bine::askFinger(t.reactor(), "@127.0.0.1:1"); return here(); });
        row("askFinger, a query that cannot be asked", [](ReportsTest& t) { bine::askFinger(t.reactor(), "no host"); return here(); });
        row("finger", [](ReportsTest& t) { bine::finger(t.reactor(), "@127.0.0.1:1"); return here(); });
        row("stopListening", [](ReportsTest& t) {
            const auto port = bine::listenTCP(t.reactor(), 0, std::make_shared<Unstoppable>(), bine::TCPServerOptions().listenOn("127.0.0.1"));
            port.stopListening(); return here();
        });
        row("Stream::readLine", [](ReportsTest&) { bine::Stream().readLine(); return here(); });
        row("Stream::nextLine", [](ReportsTest&) { bine::Stream().nextLine(); return here(); });
        row("Stream::drained", [](ReportsTest&) { bine::Stream().drained(); return here(); });
        row("deferToThread", [](ReportsTest& t) { bine::deferToThread(t.reactor(), [] { throw oops(); }); return here(); });
        row("deferLater", [](ReportsTest& t) { (void)bine::deferLater(t.reactor(), 0s, [] { throw oops(); }); return here(); });
        row("LoopingCall::start", [](ReportsTest& t) { t.keep(std::make_shared<bine::LoopingCall>(t.reactor(), [] { throw oops(); })).start(1ms); return here(); });
        row("Cooperator::coiterate", [](ReportsTest& t) { t.keep(std::make_shared<bine::Cooperator>(t.reactor())).coiterate([]() -> bool { throw oops(); }); return here(); });
        row("startApplication", [](ReportsTest& t) { bine::startApplication(t.reactor(), t.keep(std::make_shared<BadService>())); return here(); });
        row("DeferredQueue::get", [](ReportsTest&) { bine::DeferredQueue<int>().get(); return here(); });
        row("fail", [](ReportsTest&) { bine::fail(oops()); return here(); });
    }
    void anUnhandledFailureNamesTheCallsLine() {
        QFETCH(std::function<unsigned(ReportsTest&)>, call);
        check([&] { return call(*this); });
    }

    void aFailureInACoroutineNamesWhereItAwaited() {
        std::string trace;
        unsigned awaited = 0;
        const auto ask = [&]() -> bine::Deferred<> {
            awaited = here() + 1;
            co_await bine::openConnection(reactor(), refusing, refused);
        };
        auto asking = ask();
        asking.addErrback([&](const bine::Failure& failure) {
            trace = failure.getTraceback();
            reactor().stop();
        });
        run();
        QVERIFY2(trace.find("awaited at ") != std::string::npos && trace.find("reports.cpp:" + std::to_string(awaited) + " in ") != std::string::npos, trace.c_str());
        QVERIFY2(trace.find("bine/net") == std::string::npos && trace.find("bine::") == trace.rfind("bine::"), trace.c_str());
    }

    void aStallWhileConnectingNamesTheCallsLine() {
        unsigned line = 0;
        reactor().callWhenRunning([&] {
            const auto stall = [this](const bine::Failure&) {
                QTest::qSleep(100); // waits for nothing: it is the stall
                reactor().stop();
                return std::shared_ptr<bine::Protocol>();
            };
            const auto factory = bine::Factory::forProtocol<Nothing>();
            bine::connectFactory(reactor(), refusing, refused, factory).addErrback(stall); line = here();
        });
        run();
        const std::string name = reactor().stats().longestCallbackName;
        QVERIFY2(name.ends_with("reports.cpp:" + std::to_string(line)), name.c_str());
        QVERIFY2(name.find("bine/") == std::string::npos, name.c_str());
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ReportsTest>(argc, argv); }
#include "reports.moc"
