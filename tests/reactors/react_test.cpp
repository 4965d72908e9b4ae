// react: a reactor for the time of one Deferred.

#include "defer/defer_testing.h"

#include <signal.h>

#include <memory>
#include <optional>
#include <stdexcept>

#include "bine/defer/defer_later.h"
#include "bine/log/recorder.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/native_reactors.h"
#include "bine/reactors/react.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::EpollReactor;
using bine::Reactor;
using bine::Resolver;

namespace {

/// Counts how often it is stopped.
class CountingReactor : public EpollReactor {
public:
    void stop() override {
        ++stops;
        EpollReactor::stop();
    }
    int stops = 0;
};

/// Writes down the events of its life.
void watch(Reactor& reactor, std::string& seen) {
    reactor.addSystemEventTrigger("during", "startup", [&] { seen += "startup "; });
    reactor.addSystemEventTrigger("during", "shutdown", [&] { seen += "shutdown "; });
}

Deferred<int> statusAfter(Reactor& reactor, int status) {
    co_await bine::deferLater(reactor, 1ms);
    co_return status;
}

}  // namespace

class ReactTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void s012_itRunsTheReactorUntilTheDeferredHasFired() {
        CountingReactor reactor;
        std::string seen;
        watch(reactor, seen);
        const int status = bine::react(reactor, [&](Reactor& same) -> Deferred<> {
            seen += &same == &reactor ? "main " : "another ";
            co_await bine::deferLater(same, 1ms);
            seen += "done ";
        });
        QCOMPARE(status, 0);
        QCOMPARE(seen, std::string("main startup done shutdown "));
        QCOMPARE(reactor.stops, 1);
        QVERIFY(!reactor.running());
    }
    void s012_theExitStatusIsReturned() {
        EpollReactor reactor;
        QCOMPARE(bine::react(reactor, statusAfter, 3), 3);
    }
    void s012_oneThatIsDoneAtOnceStillEntersAndLeavesTheLoop() {
        CountingReactor reactor;
        std::string seen;
        watch(reactor, seen);
        QCOMPARE(bine::react(reactor, [](Reactor&) { return bine::succeed(7); }), 7);
        QCOMPARE(seen, std::string("startup shutdown "));
        QCOMPARE(reactor.stops, 1);
    }
    void s012_alsoIfTheStartupTakesItsTime() {
        CountingReactor reactor;
        reactor.addSystemEventTrigger("before", "startup", [&] { return bine::deferLater(reactor, 5ms); });
        QCOMPARE(bine::react(reactor, [](Reactor&) { return bine::succeed(7); }), 7);
        QCOMPARE(reactor.stops, 1);
    }
    void s012_aFailureIsLoggedAndTheStatusIsOne() {
        EpollReactor reactor;
        const int status = bine::react(reactor, [](Reactor& reactor) -> Deferred<> {
            co_await bine::deferLater(reactor, 1ms);
            throw std::runtime_error("main gives up");
        });
        QCOMPARE(status, 1);
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY(events.front().level == bine::LogLevel::critical);
        QVERIFY(events.front().detail.find("main gives up") != std::string::npos);
    }
    void s012_soIsAnExceptionThatMainThrowsAndTheLoopIsStillEntered() {
        CountingReactor reactor;
        std::string seen;
        watch(reactor, seen);
        const int status = bine::react(reactor, [](Reactor&) -> Deferred<> { throw std::runtime_error("at once"); });
        QCOMPARE(status, 1);
        QCOMPARE(seen, std::string("startup shutdown "));
        QCOMPARE(reactor.stops, 1);
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void s012_aReactorThatIsStoppingIsTolerated() {
        EpollReactor reactor;
        const int status = bine::react(reactor, [](Reactor& reactor) -> Deferred<int> {
            co_await bine::deferLater(reactor, 1ms);
            reactor.stop();
            co_return 4;
        });
        QCOMPARE(status, 4);
    }
    void s012_soIsMainThatEndsInTheShutdown() {
        CountingReactor reactor;
        Resolver<int> result;
        reactor.addSystemEventTrigger("during", "shutdown", [&] { result.callback(5); });
        reactor.callLater(1ms, [&] { reactor.stop(); });
        QCOMPARE(bine::react(reactor, [&](Reactor&) { return result.deferred(); }), 5);
        QCOMPARE(reactor.stops, 1);
        QVERIFY(reactor.getDelayedCalls().empty());
    }
    void s012_stoppedBySomebodyElseItEndsWhatIsLeftOfMain() {
        EpollReactor reactor;
        std::string seen;
        struct Mark {
            explicit Mark(std::string& seen) : seen(seen) {}
            ~Mark() { seen += "frame "; }
            std::string& seen;
        };
        reactor.callLater(1ms, [&] { reactor.stop(); });
        Resolver<> source([&] { seen += "source "; });
        const int status = bine::react(reactor, [&](Reactor&) -> Deferred<> {
            const Mark mark(seen);
            auto waits = source.deferred();
            co_await std::move(waits);
            seen += "too far";
        });
        QCOMPARE(status, 0);
        QCOMPARE(seen, std::string("frame source "));
    }
    void s012_theSameReactorCanReactAgain() {
        EpollReactor reactor;
        QCOMPARE(bine::react(reactor, statusAfter, 1), 1);
        QCOMPARE(bine::react(reactor, statusAfter, 2), 2);
    }
    void s012_aCrashReturnsToo() {
        EpollReactor reactor;
        const int status = bine::react(reactor, [](Reactor& reactor) -> Deferred<int> {
            co_await bine::deferLater(reactor, 1ms);
            reactor.crash();
            co_await bine::deferLater(reactor, 1h);
            co_return 9;
        });
        QCOMPARE(status, 0);
        QVERIFY(reactor.getDelayedCalls().empty());
        QCOMPARE(bine::react(reactor, statusAfter, 2), 2);
    }
    void s012_aCrashInTheLastMomentLeavesNothingForTheNextRun() {
        EpollReactor reactor;
        const int status = bine::react(reactor, [](Reactor& reactor) -> Deferred<int> {
            co_await bine::deferLater(reactor, 0s);
            reactor.crash();
            co_return 3;
        });
        QCOMPARE(status, 3);
        QVERIFY(reactor.getDelayedCalls().empty());
    }
    void s012_theReactorMayBeDestroyedInside() {
        auto reactor = std::make_unique<EpollReactor>();
        const int status = bine::react(*reactor, [&](Reactor& same) -> Deferred<int> {
            co_await bine::deferLater(same, 1ms);
            reactor.reset();
            co_return 6;
        });
        QCOMPARE(status, 6);
    }
    void insideARunningReactorItThrowsAndEndsMain() {
        EpollReactor reactor;
        bool refused = false, tooFar = false;
        reactor.callLater(1ms, [&] {
            try {
                bine::react(reactor, [&](Reactor& reactor) -> Deferred<> {
                    co_await bine::deferLater(reactor, 1ms);
                    tooFar = true;
                });
            } catch (const bine::ReactorAlreadyRunning&) {
                refused = true;
            }
            reactor.callLater(5ms, [&] { reactor.stop(); });
        });
        reactor.run();
        QVERIFY(refused);
        QVERIFY(!tooFar);
    }
    void aSignalIsInTheStatus() {
        struct sigaction mine{};
        struct sigaction before{};
        mine.sa_handler = SIG_DFL;
        sigaction(SIGTERM, &mine, &before);  // Qt Test has a handler
        EpollReactor reactor;
        const int status = bine::react(reactor, [](Reactor& reactor) -> Deferred<int> {
            reactor.callLater(1ms, [] { raise(SIGTERM); });
            return bine::deferLater(reactor, 1h, [] { return 3; });
        });
        sigaction(SIGTERM, &before, nullptr);
        QCOMPARE(status, 128 + SIGTERM);
    }
    void mainMayBeACoroutineWithCapturesAndArguments() {
        EpollReactor reactor;
        std::string seen;
        const int status = bine::react(
            reactor,
            [&seen, name = std::string("a capture of some length")](Reactor& reactor, std::string argument, std::unique_ptr<int>& number) -> Deferred<int> {
                co_await bine::deferLater(reactor, 1ms);
                seen = name + argument;
                co_return *number;
            },
            std::string(" and an argument"), std::make_unique<int>(8));
        QCOMPARE(status, 8);
        QCOMPARE(seen, std::string("a capture of some length and an argument"));
    }
};

QTEST_GUILESS_MAIN(ReactTest)
#include "react_test.moc"
