// Contract 2.A, R-001 to R-011: how a reactor starts and ends. (R-009 is in signals.cpp.)

#include <thread>

#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/errors.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Resolver;
using bine::kit::Steps;
using bine::kit::watchPhases;
using bine::kit::Wire;

class LifecycleTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r001_stopBeforeRun() {
        QVERIFY_THROWS_EXCEPTION(bine::ReactorNotRunning, reactor().stop());
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, reactor().stop());
        QVERIFY(!reactor().running());
    }

    void boundsAreSetThroughAnyReactor() {
        bine::Reactor& any = reactor();
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, any.setTurnBudget(-1ms));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, any.setNestingLimit(0));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, any.setShutdownDeadline(-1ms));
        any.setShutdownDeadline(1ms);
        Resolver<> never;
        any.addSystemEventTrigger("before", "shutdown", [&] { return never.deferred(); });
        runToTheEnd(); // within the deadline
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY2(errors[0].find("lifecycle.cpp:") != std::string::npos, errors[0].c_str());
    }

    void r001_stopBeforeRunDoesNotSpoilTheRun() {
        QVERIFY_THROWS_EXCEPTION(bine::ReactorNotRunning, reactor().stop());
        bool called = false;
        reactor().callLater(1ms, [&] {
            called = true;
            reactor().stop();
        });
        run();
        QVERIFY(called);
    }

    void r002_stopAfterTheEnd() {
        runToTheEnd();
        reactor().stop();
        QVERIFY(!reactor().running());
        runToTheEnd(); // it is not stopped beforehand
    }

    void r002_secondStopInTheSameCallback() {
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        reactor().callWhenRunning([&] {
            reactor().stop();
            reactor().stop();
        });
        run();
        QCOMPARE(steps.text(), "before-shutdown during-shutdown after-shutdown");
    }

    void r002_stopInEachShutdownPhase() {
        Steps steps;
        for (const char* phase : {"before", "during", "after"})
            reactor().addSystemEventTrigger(phase, "shutdown", [&] {
                reactor().stop();
                steps.add("stopped");
            });
        runToTheEnd();
        QCOMPARE(steps.text(), "stopped stopped stopped");
        runToTheEnd(); // it is not stopped beforehand
    }

    void r002_stopWhileShutdownWaits() {
        Resolver<> answer;
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(20ms, [&] {
            reactor().stop();
            steps.add("answers");
            answer.callback();
        });
        run();
        QCOMPARE(steps.text(), "before-shutdown answers during-shutdown after-shutdown");
    }

    void r003_runInsideRun() {
        Steps steps;
        reactor().callLater(1ms, [&] {
            try {
                reactor().run();
            } catch (const bine::ReactorAlreadyRunning&) {
                steps.add("refused");
            }
            QVERIFY(reactor().running());
            reactor().callLater(1ms, [&] {
                steps.add("goes on");
                reactor().stop();
            });
        });
        watchPhases(reactor(), "shutdown", steps);
        run();
        QCOMPARE(steps.text(), "refused goes on before-shutdown during-shutdown after-shutdown");
    }

    void r003_runInAStartupTrigger() {
        int refused = 0;
        for (const char* phase : {"before", "during", "after"})
            reactor().addSystemEventTrigger(phase, "startup", [&] {
                try {
                    reactor().run();
                } catch (const bine::ReactorAlreadyRunning&) {
                    ++refused;
                }
            });
        runToTheEnd();
        QCOMPARE(refused, 3);
    }

    void r004_runAgain() {
        for (int round = 0; round < 3; ++round) {
            Steps steps;
            watchPhases(reactor(), "startup", steps);
            watchPhases(reactor(), "shutdown", steps);
            reactor().callWhenRunning(steps.adder("running"));
            Wire wire(reactor(), [&](std::string text) {
                steps.add(text);
                reactor().stop();
            });
            std::jthread other;
            reactor().callLater(1ms, [&] {
                steps.add("timer");
                other = std::jthread([&] {
                    reactor().callFromThread([&] {
                        steps.add("thread");
                        wire.send("data");
                    });
                });
            });
            run();
            QVERIFY(!reactor().running());
            QCOMPARE(steps.text(), "before-startup during-startup after-startup running timer thread data "
                                   "before-shutdown during-shutdown after-shutdown");
        }
    }

    void r004_triggersOfTheFirstRunDoNotComeAgain() {
        Steps steps;
        watchPhases(reactor(), "startup", steps);
        watchPhases(reactor(), "shutdown", steps);
        runToTheEnd();
        const QString once = steps.text();
        runToTheEnd();
        QCOMPARE(steps.text(), once);
    }

    void r004_runAgainWithTheThreadPool() {
        for (int round = 0; round < 2; ++round) {
            int answer = 0;
            reactor().callWhenRunning([&] {
                bine::deferToThread(reactor(), [] { return 42; }).addCallback([&](int value) {
                    answer = value;
                    reactor().stop();
                });
            });
            run();
            QCOMPARE(answer, 42);
        }
    }

    void r004_refusedInAnAfterShutdownTrigger() {
        bool refused = false;
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            try {
                reactor().run();
            } catch (const bine::ReactorNotRestartable&) {
                refused = true;
            }
        });
        runToTheEnd();
        QVERIFY(refused);
        runToTheEnd();
    }

    void r005_runAfterCrash() {
        reactor().callWhenRunning([&] { reactor().crash(); });
        run();
        Steps steps;
        watchPhases(reactor(), "startup", steps);
        watchPhases(reactor(), "shutdown", steps);
        reactor().callWhenRunning(steps.adder("running"));
        Wire wire(reactor(), [&](std::string text) {
            steps.add(text);
            reactor().stop();
        });
        std::jthread other;
        reactor().callLater(1ms, [&] {
            steps.add("timer");
            other = std::jthread([&] { reactor().callFromThread([&] { wire.send("data"); }); });
        });
        run();
        QCOMPARE(steps.text(), "before-startup during-startup after-startup running timer data "
                               "before-shutdown during-shutdown after-shutdown");
    }

    void r005_whatWaitedAtTheCrashComesInTheNextRun() {
        bool called = false;
        reactor().callLater(20ms, [&] {
            called = true;
            reactor().stop();
        });
        reactor().callWhenRunning([&] { reactor().crash(); });
        run();
        QVERIFY(!called);
        run();
        QVERIFY(called);
    }

    void r005_crashDuringStartup() {
        Resolver<> never;
        reactor().addSystemEventTrigger("before", "startup", [&] { return never.deferred(); });
        reactor().callLater(1ms, [&] { reactor().crash(); });
        run();
        QVERIFY(!reactor().running());
        never.callback();
        runToTheEnd();
    }

    void r006_crashFiresNoTrigger() {
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        bool runningAfterwards = true;
        reactor().callLater(1ms, [&] {
            reactor().crash();
            runningAfterwards = reactor().running();
        });
        run();
        QVERIFY(!runningAfterwards);
        QVERIFY(!reactor().running());
        QCOMPARE(steps.text(), "");
    }

    void r006_crashWhileShutdownWaits() {
        Steps steps;
        Resolver<> never;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return never.deferred(); });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        reactor().addSystemEventTrigger("after", "shutdown", steps.adder("after"));
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(20ms, [&] { reactor().crash(); });
        run();
        QCOMPARE(steps.text(), "");
        QVERIFY(!reactor().running());
        never.callback();
        QCOMPARE(steps.text(), "");
    }

    void r007_callWhenRunningKeepsTheOrder() {
        Steps steps;
        for (const char* step : {"a", "b", "c"})
            reactor().callWhenRunning([&, step] {
                QVERIFY(reactor().running());
                steps.add(step);
            });
        QCOMPARE(steps.text(), "");
        runToTheEnd();
        QCOMPARE(steps.text(), "a b c");
    }

    void r007_callWhenRunningCallsAtOnce() {
        Steps steps;
        reactor().callLater(1ms, [&] {
            reactor().callWhenRunning(steps.adder("called"));
            steps.add("returned");
            reactor().stop();
        });
        run();
        QCOMPARE(steps.text(), "called returned");
    }

    void r007_callWhenRunningPassesArguments() {
        std::string text;
        reactor().callWhenRunning(
            [&](int number, const std::string& word) { text = word + std::to_string(number); }, 7,
            std::string("seven"));
        runToTheEnd();
        QCOMPARE(text, std::string("seven7"));
    }

    void r008_running() {
        Steps steps;
        for (const char* event : {"startup", "shutdown"})
            for (const char* phase : {"before", "during", "after"})
                reactor().addSystemEventTrigger(phase, event,
                                                [&] { steps.add(reactor().running() ? "yes" : "no"); });
        QVERIFY(!reactor().running());
        runToTheEnd();
        QCOMPARE(steps.text(), "no yes yes yes no no");
    }

    void r010_stopInAnyCallback_data() {
        QTest::addColumn<QString>("where");
        for (const char* where : {"timer", "zero", "thread", "data", "whenRunning", "beforeStartup",
                                  "duringStartup", "afterStartup", "deferred", "host"})
            QTest::newRow(where) << where;
    }

    void r010_stopInAnyCallback() {
        QFETCH(QString, where);
        Steps steps;
        const auto stop = [&] {
            reactor().stop();
            steps.add("stop");
        };
        Wire wire(reactor(), [&](std::string) { stop(); });
        std::jthread other;
        Resolver<> answer;
        answer.deferred().addCallback(stop);
        if (where == "timer")
            reactor().callLater(5ms, stop);
        else if (where == "zero")
            reactor().callLater(0s, stop);
        else if (where == "thread")
            other = std::jthread([&] { reactor().callFromThread(stop); });
        else if (where == "data")
            wire.send("x");
        else if (where == "whenRunning")
            reactor().callWhenRunning(stop);
        else if (where == "beforeStartup")
            reactor().addSystemEventTrigger("before", "startup", stop);
        else if (where == "duringStartup")
            reactor().addSystemEventTrigger("during", "startup", stop);
        else if (where == "afterStartup")
            reactor().addSystemEventTrigger("after", "startup", stop);
        else if (where == "deferred")
            reactor().callLater(1ms, [&] { answer.callback(); });
        else
            reactor().callWhenRunning([&] { host().hostCallback(stop); });
        watchPhases(reactor(), "shutdown", steps);
        run();
        QCOMPARE(steps.text(), "stop before-shutdown during-shutdown after-shutdown");
        if (!answer.called())
            answer.errback(bine::CancelledError());
        if (where != "deferred")
            QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r011_stopRunsNoTriggerItself() {
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        reactor().callLater(1ms, [&] {
            reactor().stop();
            steps.add("returned");
            QVERIFY(reactor().running());
        });
        run();
        QCOMPARE(steps.text(), "returned before-shutdown during-shutdown after-shutdown");
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<LifecycleTest>(argc, argv); }
#include "lifecycle.moc"
