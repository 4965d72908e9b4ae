// Cooperator: tasks that take their steps in turn.

#include "defer/cooperator_testing.h"

#include <cstdint>
#include <optional>

#include "bine/defer/defer_later.h"
#include "bine/defer/looping_call.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::CooperativeTask;
using bine::Cooperator;
using bine::Deferred;
using bine::Failure;
using bine::ManualClock;
using bine::Resolver;
using bine::SchedulerStopped;
using bine::Steps;

class CooperatorTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    // --- Turns.

    void s010_eachTaskTakesAStepInTurn() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        cooperator.cooperate(write(text, 'a', 3));
        cooperator.cooperate(write(text, 'b', 2));
        cooperator.cooperate(write(text, 'c', 3));
        QCOMPARE(text, std::string());
        clock.advance(0s);
        QCOMPARE(text, std::string("abc"));  // this clock stands still: one step each
        clock.advance(0s);
        QCOMPARE(text, std::string("abcabc"));
        clock.advance(0s);
        QCOMPARE(text, std::string("abcabcac"));
    }
    void s010_theTurnEndsWithTheTimeSlice() {
        BusyClock clock;
        Cooperator cooperator(clock);
        std::string text;
        const auto each = [&](char name) {
            return [&clock, &text, name] {
                text += name;
                clock.busy += 4ms;
                return true;
            };
        };
        cooperator.cooperate(each('a'));
        cooperator.cooperate(each('b'));
        clock.advance(0s);
        QCOMPARE(text, std::string("aba"));  // 10 ms are over in the third
        clock.advance(0s);
        QCOMPARE(text, std::string("ababab"));
    }
    void s010_inSomebodyElsesLoopTheSliceIsTheTurnsBudget() {
        bine::EpollReactor own, embedded;
        embedded.fileno();
        QCOMPARE(own.timeSlice(), bine::Duration(10ms));
        QCOMPARE(embedded.timeSlice(), bine::Duration(1ms));
        embedded.setTurnBudget(3ms);
        QCOMPARE(embedded.timeSlice(), bine::Duration(3ms));

        struct HostsClock : BusyClock {
            bine::Duration timeSlice() const override { return 1ms; }
        } clock;
        int steps = 0;
        Cooperator cooperator(clock);
        cooperator.cooperate([&] {
            clock.busy += 500us;
            return ++steps < 100;
        });
        clock.advance(0s);
        QCOMPARE(steps, 2);
    }
    void s010_theSliceCanBeSet() {
        bine::EpollReactor reactor;
        // On a real clock: a slice of nothing is one step.
        int steps = 0, turns = 0;
        Cooperator cooperator(reactor, 0ms);
        cooperator.coiterate([&] { return ++steps < 10; }).addCallback([&] { reactor.stop(); });
        bine::LoopingCall turn(reactor, [&] { ++turns; });
        turn.start(0s);
        reactor.run();
        QCOMPARE(steps, 10);
        QVERIFY(turns >= 10);
        turn.stop();
    }
    void s010_aSliceOnARealClockHasManyPasses() {
        bine::EpollReactor reactor;
        int steps = 0, turns = 0;
        Cooperator cooperator(reactor, 1h);
        cooperator.coiterate([&] { return ++steps < 1000; }).addCallback([&] { reactor.stop(); });
        bine::LoopingCall turn(reactor, [&] { ++turns; });
        turn.start(0s);
        reactor.run();
        QVERIFY(turns < 5);
        turn.stop();
    }
    void s010_theNextSliceGoesOnWithWhoseTurnItIs() {
        ManualClock clock;
        Cooperator cooperator(clock, 0ms);
        std::string text;
        cooperator.cooperate(writeForEver(text, 'a'));
        cooperator.cooperate(writeForEver(text, 'b'));
        cooperator.cooperate(writeForEver(text, 'c'));
        for (int i = 0; i < 5; ++i) clock.advance(0s);
        QCOMPARE(text, std::string("abcab"));
    }
    void s010_nothingIsScheduledWithoutTasks() {
        ManualClock clock;
        Cooperator cooperator(clock);
        QVERIFY(clock.getDelayedCalls().empty());
        std::string text;
        auto task = cooperator.cooperate(write(text, 'a', 1));
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
        clock.advance(0s);
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
        clock.advance(0s);
        QVERIFY(!task.active());
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s010_theEndOfTheLastTaskTakesTheTimerOut() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto a = cooperator.cooperate(writeForEver(text, 'a'));
        auto b = cooperator.cooperate(writeForEver(text, 'b'));
        a.stop();
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
        b.stop();
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s010_neitherIsItForTasksThatRest() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto a = cooperator.cooperate(writeForEver(text, 'a'));
        a.pause();
        QVERIFY(clock.getDelayedCalls().empty());
        a.resume();
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
    }
    void s010_tasksCanBeAddedInsideAStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        cooperator.cooperate([&, added = false]() mutable {
            text += 'a';
            if (!std::exchange(added, true)) cooperator.cooperate(write(text, 'n', 2));
            return true;
        });
        cooperator.cooperate(write(text, 'b', 9));
        clock.advance(0s);
        clock.advance(0s);
        QVERIFY2(text == "abnabn", text.c_str());
    }
    void s010_stoppedItFailsItsTasks() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto runs = cooperator.cooperate(writeForEver(text, 'a'));
        auto pauses = cooperator.cooperate(writeForEver(text, 'b'));
        pauses.pause();
        int cancelled = 0;
        Resolver<> source([&] { ++cancelled; });
        auto waits = cooperator.coiterate([&]() -> Steps {
            co_yield source.deferred();
            text += "too far";
        });
        auto done = runs.whenDone();
        clock.advance(0s);
        cooperator.stop();
        QVERIFY(!cooperator.running());
        QCOMPARE(outcome(done), std::string("bine::SchedulerStopped"));
        QCOMPARE(outcome(waits), std::string("bine::SchedulerStopped"));
        QCOMPARE(endOf(pauses), std::string("bine::SchedulerStopped"));
        QCOMPARE(cancelled, 1);
        QVERIFY(clock.getDelayedCalls().empty());
        QVERIFY_THROWS_EXCEPTION(SchedulerStopped, runs.pause());
        QVERIFY_THROWS_EXCEPTION(SchedulerStopped, runs.resume());
        runs.stop();
        cooperator.stop();
    }
    void s010_whenTheFirstIsToldAllAreStopped() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Resolver<> source;
        std::vector<CooperativeTask> tasks;
        tasks.push_back(cooperator.cooperate(writeForEver(text, 'a')));
        tasks.push_back(cooperator.cooperate([&]() -> Steps {
            co_yield source.deferred();
            text += "too far";
        }));
        clock.advance(0s);
        bool active = false;
        int told = 0;
        for (auto& task : tasks)
            task.whenDone().addErrback([&](Failure) {
                ++told;
                for (auto& each : tasks) active = active || each.active();
                if (!source.called()) source.errback(oops());  // too late for the second
            });
        cooperator.stop();
        QVERIFY(!active);
        QCOMPARE(told, 2);
        QCOMPARE(text, std::string("a"));
    }
    void s010_stoppedItRefusesNewOnes() {
        ManualClock clock;
        Cooperator cooperator(clock);
        cooperator.stop();
        std::string text;
        auto task = cooperator.cooperate(writeForEver(text, 'a'));
        QVERIFY(!task.active());
        QCOMPARE(endOf(task), std::string("bine::SchedulerStopped"));
        auto done = cooperator.coiterate(writeForEver(text, 'a'));
        QCOMPARE(outcome(done), std::string("bine::SchedulerStopped"));
        clock.advance(1s);
        QCOMPARE(text, std::string());
    }
    void s010_startedAgainItTakesNewOnes() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        cooperator.stop();
        cooperator.start();
        QVERIFY(cooperator.running());
        cooperator.cooperate(write(text, 'a', 1));
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
    }
    void s010_startedLaterItLetsTasksWait() {
        ManualClock clock;
        Cooperator cooperator(clock, 10ms, Cooperator::Start::later);
        QVERIFY(!cooperator.running());
        std::string text;
        cooperator.cooperate(write(text, 'a', 1));
        QVERIFY(clock.getDelayedCalls().empty());
        cooperator.start();
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
    }
    void s010_itMayBeStoppedInsideAStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto done = cooperator.coiterate([&]() -> Steps {
            const Mark mark(text, "frame");
            cooperator.stop();
            text += "rest ";
            co_yield {};
            text += "too far ";
        });
        auto other = cooperator.coiterate(writeForEver(text, 'b'));
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("rest frame"));
        QCOMPARE(outcome(done), std::string("bine::SchedulerStopped"));
        QCOMPARE(outcome(other), std::string("bine::SchedulerStopped"));
    }
    void s010_itMayBeDestroyedInsideAStep() {
        ManualClock clock;
        auto cooperator = std::make_unique<Cooperator>(clock);
        std::string text;
        auto done = cooperator->coiterate([&, name = std::string("a capture, still there")]() -> Steps {
            const Mark mark(text, " frame");
            cooperator.reset();
            text += name;
            co_yield {};
            text += "too far ";
        });
        cooperator->cooperate(writeForEver(text, 'b'));
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("a capture, still there frame"));
        QCOMPARE(outcome(done), std::string("bine::SchedulerStopped"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s010_itMayBeDestroyedByWhatTheEndOfATaskFires() {
        ManualClock clock;
        auto cooperator = std::make_unique<Cooperator>(clock);
        std::string text;
        cooperator->coiterate(write(text, 'a', 1)).addCallback([&] { cooperator.reset(); });
        auto other = cooperator->coiterate(writeForEver(text, 'b'));
        clock.advance(0s);
        clock.advance(0s);
        QVERIFY(!cooperator);
        QCOMPARE(outcome(other), std::string("bine::SchedulerStopped"));
    }
    void s010_whoHearsOfItsEndCannotSetItGoingAgain() {
        ManualClock clock;
        auto cooperator = std::make_unique<Cooperator>(clock);
        Cooperator& same = *cooperator;
        std::string text, end;
        cooperator->coiterate(writeForEver(text, 'a')).addErrback([&](Failure) {
            same.start();
            auto next = same.cooperate(writeForEver(text, 'b'));
            end = endOf(next);
        });
        cooperator.reset();
        QCOMPARE(end, std::string("bine::SchedulerStopped"));
        clock.advance(1s);
        QCOMPARE(text, std::string());
    }
    void s010_aNestedLoopInsideAStepServesTheOthers() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        cooperator.cooperate([&] {
            text += "(";
            for (int i = 0; i < 3; ++i) clock.advance(0s);
            text += ")";
            return true;
        });
        cooperator.cooperate(writeForEver(text, 'b'));
        clock.advance(0s);
        QVERIFY2(text.starts_with("(bbb)"), text.c_str());
    }
    void s010_aNestedLoopInsideTheOnlyTaskFindsNothingToDo() {
        ManualClock clock;
        Cooperator cooperator(clock);
        int deepest = 0, depth = 0, steps = 0;
        bool scheduled = true;
        cooperator.cooperate([&] {
            deepest = std::max(deepest, ++depth);
            clock.advance(0s);
            scheduled = !clock.getDelayedCalls().empty();
            clock.advance(0s);
            --depth;
            return ++steps < 2;
        });
        clock.advance(0s);
        QCOMPARE(deepest, 1);
        QVERIFY(!scheduled);
        clock.advance(0s);
        QCOMPARE(steps, 2);
    }
    void aNegativeSliceIsRefused() {
        ManualClock clock;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Cooperator(clock, -1ms));
    }
    void manyTasksEndInLinearTime() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::vector<CooperativeTask> tasks;
        int steps = 0, ended = 0;
        for (int i = 0; i < 100'000; ++i) {
            tasks.push_back(cooperator.cooperate([&] { return ++steps, true; }));
            tasks.back().whenDone().addErrback([&](Failure) { ++ended; });
        }
        clock.advance(0s);
        QCOMPARE(steps, 100'000);
        for (std::size_t i = 0; i < tasks.size(); i += 2) tasks[i].stop();
        cooperator.stop();
        QCOMPARE(ended, 100'000);
    }

    // The classic exercise: a long computation in small steps, and a clock that keeps ticking beside it.
    void fibonacciBesideATickingTimer() {
        bine::EpollReactor reactor;
        Cooperator cooperator(reactor, 1ms);
        const auto fibonacci = [](int steps, std::uint64_t* result) -> Steps {
            std::uint64_t a = 0, b = 1;
            for (int i = 0; i < steps; ++i) {
                const std::uint64_t next = a + b;
                a = b;
                b = next;
                co_yield {};
            }
            *result = a;
        };
        std::uint64_t result = 0;
        int ticks = 0;
        bine::LoopingCall timer(reactor, [&] { ++ticks; });
        timer.start(1ms);
        bool goesOn = true;
        // However fast the machine: more rounds until the timer has ticked ten times.
        auto work = [&]() -> Deferred<> {
            while (ticks < 10) co_await cooperator.coiterate(fibonacci(90, &result));
            goesOn = false;
            reactor.stop();
        };
        auto done = work();
        reactor.run();
        timer.stop();
        QVERIFY(!goesOn);
        QCOMPARE(result, std::uint64_t(2880067194370816120));
        QVERIFY(ticks >= 10);
    }
};

QTEST_GUILESS_MAIN(CooperatorTest)
#include "cooperator_test.moc"
