// Contract 2.A, R-012 to R-016: what goes on while startup or shutdown wait, and passes made by hand.

#include <thread>

#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Resolver;
using bine::kit::cpuTimeOfThread;
using bine::kit::Steps;
using bine::kit::watchPhases;
using bine::kit::Wire;

class WaitingTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
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
        for (auto* answer : {&first, &second})
            reactor().addSystemEventTrigger("before", "startup", [answer] { return answer->deferred(); });
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
        reactor().addSystemEventTrigger("before", "startup",
                                        [&] { return bine::fail<>(std::runtime_error("no luck")); });
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
            std::this_thread::sleep_for(250ms); // the length of the wait that is looked at
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
        for (auto* answer : {&first, &second, &third})
            reactor().addSystemEventTrigger("before", "shutdown", [answer] { return answer->deferred(); });
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
        QVERIFY2(errors.front().find("waiting.cpp") != std::string::npos, errors.front().c_str());
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
        reactor().callLater(1s, [&] { // beyond the default
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
        for (auto& call : reactor().getDelayedCalls())
            call.cancel();
    }

    void r015_iterateDoesNotBlock() {
        reactor().callLater(24h, [] {});
        const auto before = reactor().stats().turns;
        for (int i = 0; i < 10; ++i)
            onePass(); // hangs if it blocks
        QCOMPARE(reactor().stats().turns - before, std::uint64_t(10));
    }

    void r015_iterateWaitsForSomethingToDo() {
        bool called = false;
        onePass();
        reactor().callLater(20ms, [&] { called = true; });
        int passes = 0;
        while (!called && ++passes < 100)
            reactor().iterate(1h);
        QVERIFY(called);
        QVERIFY2(passes <= 3, qPrintable(QString::number(passes)));
    }

    void r016_iterateInsideACallback() {
        Steps steps;
        reactor().callLater(0s, [&] {
            steps.add("outer");
            while (!steps.text().contains("timer"))
                reactor().iterate(1h);
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
            if (text != "one")
                return reactor().stop();
            first.send("two");
            second->send("other");
            while (!steps.text().contains("other"))
                reactor().iterate(1h);
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
                while (deepest < wanted)
                    reactor().iterate(1h);
            }
            --depth;
        };
        reactor().callLater(0s, dive);
        run();
        QCOMPARE(deepest, 10);
        QCOMPARE(depth, 0);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<WaitingTest>(argc, argv); }
#include "waiting.moc"
