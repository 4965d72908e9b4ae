// Contract: what the host's own callbacks do to the reactor while it sleeps; R-254: the host
// dies.

#include "kit/reactor_test.h"

using namespace std::chrono_literals;

class HostLoopTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r017_stopInAHostsCallbackWorksAtOnce() {
        reactor().callWhenRunning([&] { host().hostCallback([&] { reactor().stop(); }); });
        run(); // hangs if nothing wakes the reactor
        QVERIFY(!reactor().running());
    }

    void r017_stopInAHostsTimerWorksAtOnce() {
        bool stopped = false;
        reactor().addSystemEventTrigger("after", "shutdown", [&] { stopped = true; });
        host().hostTimer(20ms, [&] {
            QVERIFY(reactor().running());
            reactor().stop();
            QVERIFY(!stopped);
        });
        run();
        QVERIFY(stopped);
    }

    void r017_stopInAHostsCallbackDetachesFromALoopThatGoesOn() {
        bool stopped = false;
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            stopped = true;
            host().hostCallback([&] { host().quitHost(); }); // only a loop that still runs gets there
        });
        host().hostTimer(20ms, [&] { reactor().stop(); });
        host().runHost();
        QVERIFY(stopped);
    }

    // The host may come to its callback before it comes to the reactor.
    void r017_stopBeforeTheFirstTurn_data() {
        QTest::addColumn<bool>("attached");
        QTest::newRow("owned") << false;
        QTest::newRow("attached") << true;
    }
    void r017_stopBeforeTheFirstTurn() {
        QFETCH(bool, attached);
        bine::kit::Steps steps;
        bine::kit::watchPhases(reactor(), "startup", steps);
        bine::kit::watchPhases(reactor(), "shutdown", steps);
        if (attached)
            reactor().addSystemEventTrigger("after", "shutdown", [&] { host().quitHost(); });
        host().hostCallback([&] { reactor().stop(); });
        attached ? host().runHost() : run();
        QCOMPARE(steps.text(), "before-startup during-startup after-startup before-shutdown during-shutdown after-shutdown");
        QVERIFY(!reactor().running());
    }

    void r041_resetToEarlierInAHostsCallback() {
        bool called = false;
        auto call = reactor().callLater(1h, [&] {
            called = true;
            reactor().stop();
        });
        host().hostTimer(20ms, [&] { call.reset(1ms); });
        run();
        QVERIFY(called);
    }

    void r041_delayToEarlierInAHostsCallback() {
        bool called = false;
        auto call = reactor().callLater(1h, [&] {
            called = true;
            reactor().stop();
        });
        host().hostCallback([&] { call.delay(-1h); });
        run();
        QVERIFY(called);
    }

    void r041_cancelOfTheNextInAHostsCallbackLeavesTheOneAfterIt() {
        bool called = false;
        auto next = reactor().callLater(200ms, [] { QFAIL("it was cancelled"); });
        reactor().callLater(210ms, [&] {
            called = true;
            reactor().stop();
        });
        host().hostCallback([&] { next.cancel(); });
        run();
        QVERIFY(called);
    }

    void r047_callLaterInAHostsTimer() {
        bool called = false;
        host().hostTimer(20ms, [&] {
            QVERIFY(reactor().getDelayedCalls().empty());
            reactor().callLater(1ms, [&] {
                called = true;
                reactor().stop();
            });
        });
        run();
        QVERIFY(called);
    }

    void r047_zeroDelayInAHostsTimer() {
        bool called = false;
        host().hostTimer(20ms, [&] {
            reactor().callLater(0s, [&] {
                called = true;
                reactor().stop();
            });
            QVERIFY(!called);
        });
        run();
        QVERIFY(called);
    }

    // Not later than a host's timer for a later time that was started with it: the order shows it, not the
    // clock.
    void r047_beforeAHostsLaterTimer() {
        bine::kit::Steps steps;
        host().hostTimer(10ms, [&] {
            reactor().callLater(5ms, steps.adder("reactor"));
            host().hostTimer(100ms, [&] {
                steps.add("host");
                reactor().stop();
            });
        });
        run();
        QCOMPARE(steps.text(), "reactor host");
    }

    // The default context of GLib cannot die: there only what comes after it is shown.
    void r254_theLoopDiesFirst() {
        toolkitComesAndGoes();
        bool stopped = false;
        reactor().addSystemEventTrigger("after", "shutdown", [&] { stopped = true; });
        const auto call = reactor().callLater(1h, [] {});
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        host().destroyLoop();
        QVERIFY(reactor().running());
        reactor().callLater(0s, [] {}); // nobody serves it, and nothing breaks
        host().destroyReactor();
        QVERIFY(stopped);
        QVERIFY(!call.active());
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<HostLoopTest>(argc, argv); }
#include "host_loop.moc"
