// Contract 2.A, R-001 to R-020: how a reactor starts and ends. (R-009 and R-017 are elsewhere: signals, hosts.)

#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/errors.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Resolver;
using bine::kit::Steps;
using bine::kit::Wire;

namespace {

std::chrono::nanoseconds cpuTimeOfThread() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Adds "before", "during", "after" with the event's name to steps.
void watchPhases(bine::Reactor& reactor, const std::string& event, Steps& steps) {
    for (const char* phase : {"after", "during", "before"})
        reactor.addSystemEventTrigger(phase, event, steps.adder(std::string(phase) + "-" + event));
}

}  // namespace

class LifecycleTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r001_stopBeforeRun() {
        QVERIFY_THROWS_EXCEPTION(bine::ReactorNotRunning, reactor().stop());
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, reactor().stop());
        QVERIFY(!reactor().running());
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
        QVERIFY_THROWS_EXCEPTION(bine::ReactorNotRunning, reactor().stop());
    }

    void r002_secondStopInTheSameCallback() {
        bool refused = false;
        reactor().callWhenRunning([&] {
            reactor().stop();
            refused = stopIsRefused();
        });
        run();
        QVERIFY(refused);
    }

    void r002_stopInEachShutdownPhase() {
        int refused = 0;
        for (const char* phase : {"before", "during", "after"})
            reactor().addSystemEventTrigger(phase, "shutdown", [&] { refused += stopIsRefused(); });
        runToTheEnd();
        QCOMPARE(refused, 3);
    }

    void r002_stopWhileShutdownWaits() {
        Resolver<> answer;
        bool refused = false;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(20ms, [&] {
            refused = stopIsRefused();
            answer.callback();
        });
        run();
        QVERIFY(refused);
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
            QCOMPARE(steps.text(),
                     "before-startup during-startup after-startup running timer thread data before-shutdown during-shutdown after-shutdown");
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
        QCOMPARE(steps.text(), "before-startup during-startup after-startup running timer data before-shutdown during-shutdown after-shutdown");
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
        reactor().callWhenRunning([&](int number, const std::string& word) { text = word + std::to_string(number); }, 7, std::string("seven"));
        runToTheEnd();
        QCOMPARE(text, std::string("seven7"));
    }

    void r008_running() {
        Steps steps;
        for (const char* event : {"startup", "shutdown"})
            for (const char* phase : {"before", "during", "after"})
                reactor().addSystemEventTrigger(phase, event, [&] { steps.add(reactor().running() ? "yes" : "no"); });
        QVERIFY(!reactor().running());
        runToTheEnd();
        QCOMPARE(steps.text(), "no yes yes yes no no");
    }

    void r010_stopInAnyCallback_data() {
        QTest::addColumn<QString>("where");
        for (const char* where : {"timer", "zero", "thread", "data", "whenRunning", "beforeStartup", "duringStartup", "afterStartup", "deferred", "host"})
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
        if (!answer.called()) answer.errback(bine::CancelledError());
        if (where != "deferred") QCOMPARE(loggedErrors().size(), std::size_t(1));
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

    void r012_aDeferredHoldsTheStartupBack() {
        Steps steps;
        Resolver<> answer;
        watchPhases(reactor(), "startup", steps);
        reactor().addSystemEventTrigger("before", "startup", [&] { return answer.deferred(); });
        reactor().callWhenRunning(steps.adder("running"));
        reactor().callLater(20ms, [&] {
            steps.add(reactor().running() ? "early" : "timer");
            answer.callback();
            steps.add(reactor().running() ? "started" : "late");
            reactor().stop();
        });
        run();
        QCOMPARE(steps.text(), "before-startup timer during-startup after-startup running started");
    }

    void r012_severalDeferredsAreAllWaitedFor() {
        Steps steps;
        Resolver<> first, second;
        for (auto* answer : {&first, &second}) reactor().addSystemEventTrigger("before", "startup", [answer] { return answer->deferred(); });
        reactor().addSystemEventTrigger("during", "startup", steps.adder("during"));
        reactor().callLater(1ms, [&] {
            second.callback();
            steps.add("one");
        });
        reactor().callLater(20ms, [&] {
            steps.add("two");
            first.callback();
            reactor().stop();
        });
        run();
        QCOMPARE(steps.text(), "one two during");
    }

    void r012_aDeferredThatFailsIsLoggedAndHoldsNothingBack() {
        bool started = false;
        reactor().addSystemEventTrigger("before", "startup", [&] { return bine::fail<>(std::runtime_error("no luck")); });
        reactor().callWhenRunning([&] { started = true; });
        runToTheEnd();
        QVERIFY(started);
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY(errors.front().find("no luck") != std::string::npos);
    }

    void r012_stopWhileTheStartupWaits() {
        Steps steps;
        Resolver<> never;
        reactor().addSystemEventTrigger("before", "startup", [&] { return never.deferred(); });
        reactor().callWhenRunning(steps.adder("running"));
        watchPhases(reactor(), "shutdown", steps);
        reactor().callLater(20ms, [&] { reactor().stop(); });
        run();
        QCOMPARE(steps.text(), "before-shutdown during-shutdown after-shutdown");
        never.callback();
        QVERIFY(!reactor().running());
    }

    void r013_waitingForTheStartupUsesNoCpuTime() {
        Resolver<> answer;
        std::chrono::nanoseconds cpu{};
        std::uint64_t turns = 0;
        reactor().addSystemEventTrigger("before", "startup", [&] {
            cpu = cpuTimeOfThread();
            turns = reactor().stats().turns;
            return answer.deferred();
        });
        std::jthread other([&] {
            std::this_thread::sleep_for(250ms);  // the length of the wait that is looked at
            reactor().callFromThread([&] {
                cpu = cpuTimeOfThread() - cpu;
                turns = reactor().stats().turns - turns;
                answer.callback();
                reactor().stop();
            });
        });
        run();
        QVERIFY2(turns <= 5, qPrintable(QString::number(turns)));
        QVERIFY2(cpu < 100ms, qPrintable(QString::number(cpu.count())));
    }

    void r014_everythingIsInServiceWhileShutdownWaits() {
        Steps steps;
        Resolver<> answer;
        std::jthread other;
        Wire wire(reactor(), [&](std::string text) {
            steps.add(text);
            QVERIFY(reactor().running());
            answer.callback();
        });
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            steps.add("before");
            reactor().callLater(5ms, [&] {
                steps.add("timer");
                other = std::jthread([&] {
                    reactor().callFromThread([&] {
                        steps.add("thread");
                        wire.send("data");
                    });
                });
            });
            return answer.deferred();
        });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        runToTheEnd();
        QCOMPARE(steps.text(), "before timer thread data during");
    }

    void r014_allDeferredsAreWaitedForFailedOrNot() {
        Steps steps;
        Resolver<> first, second, third;
        for (auto* answer : {&first, &second, &third}) reactor().addSystemEventTrigger("before", "shutdown", [answer] { return answer->deferred(); });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(5ms, [&] {
            steps.add("fails");
            second.errback(std::runtime_error("no luck"));
        });
        reactor().callLater(10ms, [&] {
            steps.add("fires");
            third.callback();
        });
        reactor().callLater(15ms, [&] {
            steps.add("fires");
            first.callback();
        });
        run();
        QCOMPARE(steps.text(), "fails fires fires during");
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r014_whatExceedsTheDeadlineIsLoggedByName() {
        Steps steps;
        Resolver<> never, answer;
        reactor().setShutdownDeadline(60ms);
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return never.deferred(); });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        reactor().addSystemEventTrigger("after", "shutdown", steps.adder("after"));
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(10ms, [&] { answer.callback(); });
        run();
        QCOMPARE(steps.text(), "during after");
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY2(errors.front().find("lifecycle.cpp") != std::string::npos, errors.front().c_str());
        QVERIFY2(errors.front().find("before shutdown") != std::string::npos, errors.front().c_str());
        never.callback();
        QCOMPARE(steps.text(), "during after");
    }

    void r014_firingAfterTheDeadlineIsHarmless() {
        Resolver<> late;
        reactor().setShutdownDeadline(1ms);
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return late.deferred(); });
        runToTheEnd();
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        late.callback();
    }

    void r014_theDeadlineCanBeInfinite() {
        Resolver<> answer;
        bool fired = false;
        reactor().setShutdownDeadline(bine::ReactorBase::infinite);
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        reactor().addSystemEventTrigger("during", "shutdown", [&] { QVERIFY(fired); });
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().callLater(1s, [&] {  // beyond the default
            fired = true;
            answer.callback();
        });
        run();
        QVERIFY(fired);
    }

    void r014_theDeadlineIsNoCallOfTheUsers() {
        Resolver<> answer;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return answer.deferred(); });
        reactor().callWhenRunning([&] { reactor().stop(); });
        std::size_t pending = 1;
        reactor().callLater(5ms, [&] {
            pending = reactor().getDelayedCalls().size();
            answer.callback();
        });
        run();
        QCOMPARE(pending, std::size_t(0));
    }

    void r014_aNegativeDeadlineIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().setShutdownDeadline(-1ms));
    }

    void r015_iterateDoesOnePass() {
        int passes = 0;
        std::function<void()> again = [&] {
            ++passes;
            reactor().callLater(0s, again);
        };
        const auto far = reactor().callLater(24h, [] {});
        reactor().callLater(0s, again);
        for (int i = 1; i <= 3; ++i) {
            onePass();
            QCOMPARE(passes, i);
        }
        QVERIFY(far.active());
        for (auto& call : reactor().getDelayedCalls()) call.cancel();
    }

    void r015_iterateDoesNotBlock() {
        reactor().callLater(24h, [] {});
        const auto before = reactor().stats().turns;
        for (int i = 0; i < 10; ++i) onePass();  // hangs if it blocks
        QCOMPARE(reactor().stats().turns - before, std::uint64_t(10));
    }

    void r015_iterateWaitsForSomethingToDo() {
        bool called = false;
        onePass();
        reactor().callLater(20ms, [&] { called = true; });
        int passes = 0;
        while (!called && ++passes < 100) reactor().iterate(1h);
        QVERIFY(called);
        QVERIFY2(passes <= 3, qPrintable(QString::number(passes)));
    }

    void r016_iterateInsideACallback() {
        Steps steps;
        reactor().callLater(0s, [&] {
            steps.add("outer");
            while (!steps.text().contains("timer")) reactor().iterate(1h);
            steps.add("back");
            reactor().stop();
        });
        reactor().callLater(0s, steps.adder("zero"));
        reactor().callLater(10ms, steps.adder("timer"));
        run();
        QCOMPARE(steps.text(), "outer zero timer back");
    }

    void r016_aBusyDescriptorIsNotServedInTheNestedPass() {
        Steps steps;
        std::unique_ptr<Wire> second;
        Wire first(reactor(), [&](std::string text) {
            steps.add(text);
            if (text != "one") return reactor().stop();
            first.send("two");
            second->send("other");
            while (!steps.text().contains("other")) reactor().iterate(1h);
            steps.add("back");
        });
        second = std::make_unique<Wire>(reactor(), [&](std::string text) { steps.add(text); });
        reactor().callWhenRunning([&] { first.send("one"); });
        run();
        QCOMPARE(steps.text(), "one other back two");
    }

    void r016_nestedPassesTenDeep() {
        int depth = 0, deepest = 0;
        std::function<void()> dive = [&] {
            deepest = (std::max)(deepest, ++depth);
            if (depth == 10) {
                reactor().stop();
            } else {
                reactor().callLater(0s, dive);
                const int wanted = depth + 1;
                while (deepest < wanted) reactor().iterate(1h);
            }
            --depth;
        };
        reactor().callLater(0s, dive);
        run();
        QCOMPARE(deepest, 10);
        QCOMPARE(depth, 0);
    }

    void r018_nothingIsLeftInTheHost() {
        host().destroyReactor();
        const auto objects = host().hostObjects();
        const auto before = bine::kit::Belongings::now();
        {
            Wire wire(reactor(), [](std::string) {});
            const auto far = reactor().callLater(1h, [] {});
            reactor().callLater(5ms, [&] {
                bine::deferToThread(reactor(), [] {}).addCallback([&] { reactor().stop(); });
            });
            run();
            QVERIFY(far.active());
            QCOMPARE(bine::kit::differences(objects, host().hostObjects()), std::string());
            QVERIFY(!wire.open());
        }
        host().destroyReactor();
        QCOMPARE(bine::kit::settle([&] { return before.differences(bine::kit::Belongings::now()); }), std::string());
    }

    void r018_theHostGoesOn() {
        bool called = false;
        runToTheEnd();
        if (!host().hosted()) return;
        host().hostTimer(5ms, [&] {
            called = true;
            host().quitHost();
        });
        host().runHost();
        QVERIFY(called);
    }

    void r019_reactorsByTheHundred() {
        const auto before = bine::kit::Belongings::now();
        const auto objects = host().hostObjects();
        const auto some = [&](int n) {
            for (int i = 0; i < n; ++i) {
                auto one = host().anotherReactor();
                Wire wire(*one, [](std::string) {});
                one->callLater(1h, [] {});
                one->callLater(0s, [] {});
                one->callFromThread([] {});
                if (i % 3 == 0) continue;  // never ran
                one->iterate(0s);
                one->iterate(0s);
                if (i % 3 == 1) continue;  // dies running
                one->crash();
            }
        };
        some(30);
        const auto used = mallinfo2().uordblks;
        some(300);
        const auto grown = static_cast<long>(mallinfo2().uordblks) - static_cast<long>(used);
        QVERIFY2(grown < 32 * 1024, qPrintable(QString::number(grown)));
        QCOMPARE(before.differences(bine::kit::Belongings::now()), std::string());
        QCOMPARE(bine::kit::differences(objects, host().hostObjects()), std::string());
    }

    void r019_manyOnOneThread() {
        std::vector<std::unique_ptr<bine::ReactorBase>> all;
        int called = 0;
        for (int i = 0; i < 20; ++i) {
            all.push_back(host().anotherReactor());
            all.back()->callLater(1ms, [&] { ++called; });
        }
        if (host().hosted()) {
            QVERIFY(host().spinUntil([&] { return called == 20; }));  // one loop serves them all
        } else {
            for (auto& one : all) {
                one->callLater(2ms, [&] { one->stop(); });
                one->run();
            }
        }
        QCOMPARE(called, 20);
    }

    void r019_destroyedInItsOwnCallback() {
        auto one = host().anotherReactor();
        bool ran = false;
        one->callLater(0s, [&] {
            one.reset();
            ran = true;
        });
        if (host().hosted())
            QVERIFY(host().spinUntil([&] { return ran; }));
        else
            one->run();
        QVERIFY(ran);
        QVERIFY(!one);
    }

    void r020_twoReactorsOnTwoThreads() {
        // Each counts what it is sent, on its own thread, while it runs timers and Deferreds of its own.
        std::atomic<bine::Reactor*> reactors[2] = {};
        std::atomic<int> ready{0}, ended{0}, wrong{0};
        constexpr int kCalls = 500;
        const auto work = [&](bine::kit::ReactorHost& host, int me) {
            bine::ReactorBase& mine = host.reactor();
            reactors[me] = &mine;
            ++ready;
            while (ready < 2) std::this_thread::yield();
            bine::Reactor& other = *reactors[1 - me];
            int got = 0, timers = 0;
            std::function<void()> tick = [&] {
                if (!mine.isInReactorThread() || other.isInReactorThread()) ++wrong;
                if (++timers < 100) mine.callLater(std::chrono::microseconds(timers % 7 * 10), tick);
                Resolver<int> answer;
                auto chain = answer.deferred().addCallback([&](int value) {
                    if (value != timers) ++wrong;
                });
                answer.callback(timers);
                for (int i = 0; i < kCalls / 100; ++i)
                    other.callFromThread([&wrong, &other, count = &counts_[1 - me]] {
                        ++*count;
                        if (!other.isInReactorThread()) ++wrong;
                    });
                if (timers == 100) mine.callFromThread([&] { ++ended; });
            };
            counts_[me] = 0;
            ++ready;
            while (ready < 4) std::this_thread::yield();
            mine.callWhenRunning(tick);
            std::function<void()> look = [&] {
                got = counts_[me];
                if (got == kCalls && ended == 2)
                    mine.stop();
                else
                    mine.callLater(1ms, look);
            };
            mine.callLater(1ms, look);
            host.run();
            if (got != kCalls) ++wrong;
            ++ready;
            while (ready < 6) std::this_thread::yield();  // nobody's reactor dies while the other may call it
        };
        std::thread second([&] { bine::kit::onThread([&](bine::kit::ReactorHost& host) { work(host, 1); }); });
        bine::kit::onThread([&](bine::kit::ReactorHost& host) { work(host, 0); });
        second.join();
        QCOMPARE(wrong.load(), 0);
    }

private:
    void runToTheEnd() {
        reactor().callWhenRunning([&] { reactor().stop(); });
        run();
    }
    bool stopIsRefused() {
        try {
            reactor().stop();
        } catch (const bine::ReactorNotRunning&) {
            return true;
        }
        return false;
    }
    /// One pass that does not wait; for the embedded reactor it is dispatch().
    void onePass() {
        if (bine::kit::reactorName() == "embedded")
            static_cast<bine::EpollReactor&>(reactor()).dispatch();
        else
            reactor().iterate(0s);
    }

    int counts_[2] = {};
};

int main(int argc, char** argv) { return bine::kit::runTests<LifecycleTest>(argc, argv); }
#include "lifecycle.moc"
