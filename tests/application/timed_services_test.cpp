// TimerService and CooperatorService, on a clock that the test sets.

#include "defer/defer_testing.h"

#include "bine/application/internet.h"
#include "bine/application/service.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::Deferred;

class TimedServicesTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    // --- TimerService

    void aTimerCallsWhileItRuns() {
        bine::ManualClock clock;
        int calls = 0;
        bine::TimerService timer(clock, 5s, [&](int by) { calls += by; }, 2);
        timer.startService();
        QCOMPARE(calls, 2);
        clock.advance(5s);
        QCOMPARE(calls, 4);
        QVERIFY(timer.stopService().called());
        clock.advance(5s);
        QCOMPARE(calls, 4);
        timer.startService();
        QCOMPARE(calls, 6);
    }
    void aTimersEndWaitsForTheCallThatIsUnderWay() {
        bine::ManualClock clock;
        bine::Resolver<> call;
        bine::TimerService timer(clock, 5s, [&] { return call.deferred(); });
        timer.startService();
        auto stopped = timer.stopService();
        QVERIFY(!stopped.called());
        call.callback();
        QVERIFY(stopped.called());
    }
    void aTimersFailureIsLoggedAndItStops() {
        bine::ManualClock clock;
        int calls = 0;
        bine::TimerService timer(clock, 5s, [&] {
            ++calls;
            throw oops();
        });
        timer.startService();
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
        clock.advance(10s);
        QCOMPARE(calls, 1);
        QVERIFY(timer.stopService().called());
        timer.startService();
        QCOMPARE(calls, 2);
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void aTimerThatDiesStops_data() {
        QTest::addColumn<bool>("stopping");
        QTest::newRow("running") << false;
        QTest::newRow("stopping") << true;
    }
    void aTimerThatDiesStops() {
        QFETCH(bool, stopping);
        bine::ManualClock clock;
        bine::Resolver<> call;
        bine::MultiService root;
        auto timer = std::make_unique<bine::TimerService>(clock, 5s, [&] { return call.deferred(); });
        timer->setServiceParent(root);
        root.startService();
        Deferred<> stopped = stopping ? root.stopService() : bine::succeed();
        timer.reset();
        QVERIFY(stopped.called());
        QVERIFY(call.called()); // cancelled
        QVERIFY(clock.getDelayedCalls().empty());
    }

    // --- CooperatorService

    void aCooperatorsTasksWaitForItsStart() {
        bine::ManualClock clock;
        bine::CooperatorService cooperator(clock);
        int steps = 0;
        auto done = cooperator.coiterate([&] { return ++steps < 3; });
        clock.pump({1ms, 1ms, 1ms, 1ms});
        QCOMPARE(steps, 0);
        cooperator.startService();
        clock.pump({1ms, 1ms, 1ms, 1ms});
        QCOMPARE(steps, 3);
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void aCooperatorsTasksEndWithIt() {
        bine::ManualClock clock;
        bine::CooperatorService cooperator(clock);
        cooperator.startService();
        auto done = cooperator.coiterate([] { return true; });
        QVERIFY(cooperator.stopService().called());
        QCOMPARE(outcome(done), std::string("bine::SchedulerStopped"));
        cooperator.startService();
        auto again = cooperator.coiterate([] { return false; });
        clock.pump({1ms, 1ms});
        QCOMPARE(outcome(again), std::string("fired"));
    }
};

QTEST_GUILESS_MAIN(TimedServicesTest)
#include "timed_services_test.moc"
