#include "kit/reactor_test.h"

#include "bine/net/factory.h"
#include "bine/net/tcp.h"
#include "bine/reactors/mailbox.h"
#include "kit/host_loop.h"

namespace bine::kit {
namespace {

std::string textOf(const LogEvent& event) {
    if (!event.failure)
        return event.message;
    try {
        std::rethrow_exception(event.failure);
    } catch (const std::exception& error) {
        return event.message + ": " + error.what();
    } catch (...) {
        return event.message + ": not a std::exception";
    }
}

} // namespace

ReactorTest::ReactorTest() = default;
ReactorTest::~ReactorTest() = default;

void ReactorTest::runToTheEnd() {
    reactor().callWhenRunning([this] { reactor().stop(); });
    run();
}

void ReactorTest::onePass() {
    if (reactorName() == "embedded")
        static_cast<EpollReactor&>(reactor()).dispatch();
    else
        reactor().iterate(Duration::zero());
}

std::vector<std::string> ReactorTest::loggedErrors() {
    std::vector<std::string> texts;
    for (const LogEvent& event : log_->flush())
        texts.push_back(textOf(event));
    return texts;
}

// What toolkits and we make once and keep (a descriptor in reserve for accepting, for one) is made before
// anything is counted.
void ReactorTest::initTestCase() {
    ReactorHost host;
    host.reactor().callWhenRunning([&] {
        const auto nobody = Factory::make([](const Address&) { return std::shared_ptr<Protocol>(); });
        nobody->noisy = false;
        listenTCP(host.reactor(), 0, nobody, TCPServerOptions().listenOn("127.0.0.1"));
        host.reactor().stop();
    });
    host.run();
}

void ReactorTest::init() {
    failOnQtsComplaints();
    log_ = std::make_unique<LogRecorder>();
    before_ = Belongings::now();
    host_ = std::make_unique<ReactorHost>();
    hostBefore_ = host_->hostObjects();
    host_->reactor();
}

void ReactorTest::cleanup() {
    const bool failed = QTest::currentTestFailed();
    const std::string left = leftovers();
    if (failed) {
        if (!left.empty())
            qInfo("after the failure: %s", left.c_str());
        return;
    }
    QVERIFY2(left.empty(), left.c_str());
}

std::string ReactorTest::leftovers() {
    std::string text;
    const auto note = [&](const char* where, const std::string& what) {
        if (!what.empty())
            text += (text.empty() ? "" : "; ") + std::string(where) + what;
    };
    std::weak_ptr<detail::Mailbox> machinery;
    std::vector<DelayedCall> calls;
    if (host_->hasReactor()) {
        machinery = reactor().mailbox();
        calls = reactor().getDelayedCalls();
    }
    host_->destroyReactor();
    for (const DelayedCall& call : calls)
        if (call.active())
            note("", "a delayed call is active, and its reactor is dead");
    note("", settle([&] {
             return std::string(machinery.expired() ? "" : "the reactor's machinery is still alive");
         }));
    if (countHostObjects_)
        note("in the host's loop, ", settle([&] { return differences(hostBefore_, host_->hostObjects()); }));
    host_.reset();
    note("", settle([&] { return before_.differences(Belongings::now()); }));
    for (const std::string& error : loggedErrors())
        note("logged: ", error);
    log_.reset();
    return text;
}

int runTests(QObject& test, int argc, char** argv) {
    if (reactorName() == "qt-noglib")
        qputenv("QT_NO_GLIB", "1");
    if (qEnvironmentVariableIsEmpty("QTEST_FUNCTION_TIMEOUT")) {
        const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(safetyLimit() * 3 / 2).count();
        qputenv("QTEST_FUNCTION_TIMEOUT", QByteArray::number(static_cast<qlonglong>(limit)));
    }
    watchQtObjects();
    return QTest::qExec(&test, argc, argv);
}

void failOnQtsComplaints() {
    static const QRegularExpression complaint("^Q(Object|SocketNotifier|BasicTimer|Timer|CoreApplication|"
                                              "EventLoop|EventDispatcher\\w*|Thread\\w*):");
    QTest::failOnWarning(complaint);
}

void watchPhases(Reactor& reactor, const std::string& event, Steps& steps) {
    for (const Phase phase : {Phase::after, Phase::during, Phase::before}) {
        const char* name = phase == Phase::before ? "before-" : phase == Phase::during ? "during-" : "after-";
        reactor.addSystemEventTrigger(phase, event, steps.adder(name + event));
    }
}

} // namespace bine::kit
