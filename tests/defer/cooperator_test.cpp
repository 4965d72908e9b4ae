// Cooperator: tasks that take their steps in turn.

#include "defer/defer_testing.h"

#include <cstdint>
#include <optional>

#include "bine/defer/cooperator.h"
#include "bine/defer/defer_later.h"
#include "bine/defer/looping_call.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::CancelledError;
using bine::CooperativeTask;
using bine::Cooperator;
using bine::Deferred;
using bine::Failure;
using bine::ManualClock;
using bine::NotPaused;
using bine::Resolver;
using bine::Result;
using bine::SchedulerStopped;
using bine::Scope;
using bine::Steps;
using bine::TaskDone;
using bine::TaskFailed;
using bine::TaskFinished;
using bine::TaskStopped;

namespace {

/// Writes `name` at each of its steps, `times` times.
Steps write(std::string& text, char name, int times) {
    for (int i = 0; i < times; ++i) {
        text += name;
        co_yield {};
    }
}
Steps writeForEver(std::string& text, char name) {
    for (;;) {
        text += name;
        co_yield {};
    }
}

/// Writes when it is destroyed.
class Mark {
public:
    Mark(std::string& text, const char* name) : text_(text), name_(name) {}
    Mark(const Mark&) = delete;
    ~Mark() { text_ += name_; }

private:
    std::string& text_;
    const char* name_;
};

/// A ManualClock on which steps take their time.
class BusyClock : public ManualClock {
public:
    bine::TimePoint now() const override { return ManualClock::now() + busy; }
    bine::Duration busy{};
};

/// What became of a Deferred, as a word.
std::string outcome(Deferred<>& deferred) {
    const auto word = std::make_shared<std::string>("nothing yet");
    deferred.addBoth([word](Result<> result) { *word = result.isValue() ? "fired" : result.failure().typeName(); });
    return *word;
}

/// The same, of one that is asked for now.
std::string endOf(CooperativeTask& task) {
    auto done = task.whenDone();
    return outcome(done);
}

}  // namespace

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
        QVERIFY_THROWS_EXCEPTION(SchedulerStopped, runs.stop());
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

    // --- Tasks.

    void s011_pausesAreCounted() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto task = cooperator.cooperate(writeForEver(text, 'a'));
        task.pause();
        task.pause();
        task.resume();
        clock.advance(0s);
        QCOMPARE(text, std::string());
        task.resume();
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
    }
    void s011_oneResumeTooManyIsRefused() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto task = cooperator.cooperate(writeForEver(text, 'a'));
        QVERIFY_THROWS_EXCEPTION(NotPaused, task.resume());
        task.pause();
        task.resume();
        QVERIFY_THROWS_EXCEPTION(NotPaused, task.resume());
    }
    void s011_theEndIsToldToAllWhoAsk() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto task = cooperator.cooperate(write(text, 'a', 1));
        auto first = task.whenDone(), second = task.whenDone();
        clock.advance(0s);
        QVERIFY(!first.called());
        clock.advance(0s);
        QCOMPARE(outcome(first), std::string("fired"));
        QCOMPARE(outcome(second), std::string("fired"));
        QCOMPARE(endOf(task), std::string("fired"));
    }
    void s011_whoDoesNotWantToKnowAnyMoreIsLeftOut() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto task = cooperator.cooperate(write(text, 'a', 1));
        auto first = task.whenDone(), second = task.whenDone();
        first.cancel();
        QVERIFY(task.active());
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(outcome(first), std::string("bine::CancelledError"));
        QCOMPARE(outcome(second), std::string("fired"));
    }
    void s011_operationsOnOneThatIsDone() {
        ManualClock clock;
        Cooperator cooperator(clock);
        auto task = cooperator.cooperate([] { return false; });
        clock.advance(0s);
        QVERIFY(!task.active());
        QVERIFY_THROWS_EXCEPTION(TaskDone, task.pause());
        QVERIFY_THROWS_EXCEPTION(TaskDone, task.resume());
        QVERIFY_THROWS_EXCEPTION(TaskDone, task.stop());
    }
    void s011_operationsOnOneThatWasStopped() {
        ManualClock clock;
        Cooperator cooperator(clock);
        auto held = std::make_shared<int>(1);
        auto task = cooperator.cooperate([held] { return true; });
        auto done = task.whenDone();
        task.stop();
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::TaskStopped"));
        QVERIFY_THROWS_EXCEPTION(TaskStopped, task.pause());
        QVERIFY_THROWS_EXCEPTION(TaskStopped, task.resume());
        QVERIFY_THROWS_EXCEPTION(TaskStopped, task.stop());
        QVERIFY_THROWS_EXCEPTION(TaskFinished, task.stop());
        QCOMPARE(endOf(task), std::string("bine::TaskStopped"));
    }
    void s011_operationsOnOneThatFailed() {
        ManualClock clock;
        Cooperator cooperator(clock);
        auto task = cooperator.cooperate([]() -> bool { throw oops(); });
        auto done = task.whenDone();
        clock.advance(0s);
        QCOMPARE(outcome(done), std::string("std::runtime_error"));
        QVERIFY_THROWS_EXCEPTION(TaskFailed, task.pause());
        QVERIFY_THROWS_EXCEPTION(TaskFailed, task.resume());
        QVERIFY_THROWS_EXCEPTION(TaskFailed, task.stop());
        QCOMPARE(endOf(task), std::string("std::runtime_error"));
    }
    void s011_anExceptionOutOfACoroutineFailsTheTask() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto done = cooperator.coiterate([&]() -> Steps {
            const Mark mark(text, "frame");
            co_yield {};
            throw oops();
        });
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("frame"));
        QCOMPARE(outcome(done), std::string("std::runtime_error"));
    }
    void s011_aFailureNobodyAsksForIsReported() {
        ManualClock clock;
        Cooperator cooperator(clock);
        {
            auto task = cooperator.cooperate([]() -> bool { throw oops(); });
            clock.advance(0s);
            QVERIFY(log_.recorder().empty());  // somebody may still ask
        }
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void s011_stopInsideItsOwnStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        CooperativeTask task;
        task = cooperator.cooperate([&]() -> Steps {
            const Mark mark(text, "frame");
            task.stop();
            text += "rest ";
            co_yield {};
            text += "too far ";
        });
        clock.advance(0s);
        QCOMPARE(text, std::string("rest frame"));
        QCOMPARE(endOf(task), std::string("bine::TaskStopped"));
    }
    void s011_whatAStoppedStepStillThrowsIsReported() {
        ManualClock clock;
        Cooperator cooperator(clock);
        CooperativeTask task;
        task = cooperator.cooperate([&]() -> bool {
            task.stop();
            throw oops();
        });
        clock.advance(0s);
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
        QCOMPARE(endOf(task), std::string("bine::TaskStopped"));
    }
    void s011_whatAStoppedStepStillYieldsIsCancelled() {
        ManualClock clock;
        Cooperator cooperator(clock);
        int cancelled = 0;
        Resolver<> source([&] { ++cancelled; });
        CooperativeTask task;
        task = cooperator.cooperate([&]() -> std::optional<Deferred<>> {
            task.stop();
            return source.deferred();
        });
        clock.advance(0s);
        QCOMPARE(cancelled, 1);
    }
    void s011_pauseInsideItsOwnStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        CooperativeTask task;
        task = cooperator.cooperate([&] {
            text += 'a';
            task.pause();
            return true;
        });
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
        task.resume();
        clock.advance(0s);
        QCOMPARE(text, std::string("aa"));
    }
    void s011_resumeInsideItsOwnStepDoesNotEnterItAgain() {
        ManualClock clock;
        Cooperator cooperator(clock);
        int depth = 0, deepest = 0;
        CooperativeTask task;
        task = cooperator.cooperate([&] {
            deepest = std::max(deepest, ++depth);
            task.pause();
            task.resume();
            clock.advance(0s);
            --depth;
            return true;
        });
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(deepest, 1);
    }
    void s011_oneTaskMayStopAnother() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        CooperativeTask b;
        cooperator.cooperate([&] {
            text += 'a';
            if (b.active()) b.stop();
            return true;
        });
        b = cooperator.cooperate(writeForEver(text, 'b'));
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("aa"));
    }
    void s011_aYieldedDeferredPausesThatTask() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Resolver<int> source;
        cooperator.cooperate([&]() -> Steps {
            text += '1';
            co_yield source.deferred();
            text += '2';
        });
        cooperator.cooperate(writeForEver(text, 'b'));
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("1bb"));
        source.callback(5);
        QCOMPARE(text, std::string("1bb"));
        clock.advance(0s);
        QVERIFY2(text == "1bbb2" || text == "1bb2b", text.c_str());
    }
    void s011_oneThatHasFiredDoesNot() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto done = cooperator.coiterate([&]() -> Steps {
            for (int i = 0; i < 3; ++i) {
                text += 'a';
                co_yield bine::succeed();
            }
        });
        for (int i = 0; i < 4; ++i) clock.advance(0s);
        QCOMPARE(text, std::string("aaa"));
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void s011_aNamedDeferredCanBeYielded() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto done = cooperator.coiterate([&]() -> Steps {
            auto first = bine::deferLater(clock, 1s, [text = std::string("captured")] { return text; });
            co_yield first;
            auto second = bine::deferLater(clock, 1s);
            co_yield second;
            text += "done";
        });
        clock.advance(0s);
        clock.advance(2s);
        clock.advance(0s);
        QCOMPARE(text, std::string("done"));
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void s011_aYieldedDeferredThatFailsFailsTheTask() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Resolver<> source;
        auto done = cooperator.coiterate([&]() -> Steps {
            const Mark mark(text, "frame");
            co_yield source.deferred();
            text += "too far ";
        });
        clock.advance(0s);
        source.errback(oops());
        QCOMPARE(text, std::string("frame"));
        QCOMPARE(outcome(done), std::string("std::runtime_error"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s011_pauseAndAYieldedDeferredAreTwoThings() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Resolver<> source;
        auto task = cooperator.cooperate([&]() -> Steps {
            co_yield source.deferred();
            text += "on";
        });
        clock.advance(0s);
        QVERIFY_THROWS_EXCEPTION(NotPaused, task.resume());
        task.pause();
        source.callback();
        clock.advance(0s);
        QCOMPARE(text, std::string());
        task.resume();
        clock.advance(0s);
        QCOMPARE(text, std::string("on"));
    }
    void s011_stopCancelsWhatIsWaitedForAtItsSource() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Resolver<> source([&] { text += "source "; });
        auto task = cooperator.cooperate([&]() -> Steps {
            const Mark mark(text, "frame");
            co_yield source.deferred();
            text += "too far ";
        });
        clock.advance(0s);
        task.stop();
        QCOMPARE(text, std::string("source frame"));
        QCOMPARE(endOf(task), std::string("bine::TaskStopped"));
    }
    void s011_stopInsideWhatItWaitsFor() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Resolver<> source;
        CooperativeTask task;
        const auto work = [&](Deferred<> d, std::string* name) -> Deferred<> {
            co_await d;
            task.stop();
            text += *name;  // a local of the frame that yielded this
            co_await bine::deferLater(clock, 1s);
            text += "too far";
        };
        task = cooperator.cooperate([&]() -> Steps {
            std::string name = "a name that is long enough for the heap";
            const Mark mark(text, "frame ");
            co_yield work(source.deferred(), &name);
            text += "too far";
        });
        clock.advance(0s);
        source.callback();
        QCOMPARE(text, std::string("a name that is long enough for the heapframe "));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s011_cancellingTheDeferredOfCoiterateStopsTheTask() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto done = cooperator.coiterate(writeForEver(text, 'a'));
        clock.advance(0s);
        done.cancel();
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
        QCOMPARE(outcome(done), std::string("bine::TaskStopped"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void r268_aTaskStopsWithItsOwner() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto held = std::make_shared<int>(1);
        std::optional<Scope> scope(std::in_place);
        auto task = cooperator.cooperate([&, held] { return text += 'a', true; }).ownedBy(*scope);
        auto done = task.whenDone();
        clock.advance(0s);
        scope.reset();
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::TaskStopped"));
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
    }
    void r268_soDoesTheOneOfCoiterateAndTellsNobody() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        {
            Scope scope;
            cooperator.coiterate(writeForEver(text, 'a')).ownedBy(scope).addBoth([&](Result<>) { text += "told"; });
            clock.advance(0s);
        }
        clock.advance(0s);
        QCOMPARE(text, std::string("a"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void r268_theOwnerMayDieInsideAStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        auto scope = std::make_unique<Scope>();
        cooperator.cooperate([&]() -> Steps {
            const Mark mark(text, "frame");
            scope.reset();
            text += "rest ";
            co_yield {};
            text += "too far";
        }).ownedBy(*scope);
        clock.advance(0s);
        clock.advance(0s);
        QCOMPARE(text, std::string("rest frame"));
    }
    void r268_theEndOfAnotherThingOfTheOwnerDoesNotLetItTakeAStep() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Scope scope;
        cooperator.cooperate(writeForEver(text, 'a')).ownedBy(scope);
        Resolver<> younger([&] { clock.advance(1s); });
        auto waits = younger.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(text, std::string());
    }
    void r268_norWhatItWaitsFor() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string text;
        Scope scope;
        Resolver<> source;
        const auto work = [&](Deferred<> d) -> Deferred<> {
            co_await d;
            text += "resumed";
        };
        cooperator.cooperate([&]() -> Steps { co_yield work(source.deferred()); }).ownedBy(scope);
        clock.advance(0s);
        Resolver<> younger([&] { source.callback(); });
        auto waits = younger.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(text, std::string());
    }
    void anEmptyHandleSaysSo() {
        CooperativeTask task;
        QVERIFY(!task);
        QVERIFY(!task.active());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, task.pause());
    }
    void aHandleOutlivesTheCooperator() {
        ManualClock clock;
        CooperativeTask task;
        std::string text;
        {
            Cooperator cooperator(clock);
            task = cooperator.cooperate(writeForEver(text, 'a'));
        }
        QVERIFY(!task.active());
        QVERIFY_THROWS_EXCEPTION(SchedulerStopped, task.stop());
        QCOMPARE(endOf(task), std::string("bine::SchedulerStopped"));
    }
    void aStepFunctionMayReturnWhatToWaitFor() {
        ManualClock clock;
        Cooperator cooperator(clock);
        int steps = 0;
        auto done = cooperator.coiterate([&]() -> std::optional<Deferred<>> {
            if (++steps == 3) return std::nullopt;
            return bine::deferLater(clock, 1s);
        });
        clock.advance(0s);
        clock.advance(500ms);
        QCOMPARE(steps, 1);
        clock.advance(5s);
        clock.advance(0s);
        QVERIFY(steps == 3 || steps == 2);
        clock.advance(1s);
        clock.advance(0s);
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void stepsSpeakWithTheLogPrefixOfTheirTask() {
        ManualClock clock;
        Cooperator cooperator(clock);
        std::string prefixes;
        {
            const bine::LogScope scope(bine::LogContext("indexer"));
            cooperator.cooperate([&] {
                prefixes += bine::LogContext::current().text();
                return false;
            });
        }
        clock.advance(0s);
        QCOMPARE(prefixes, std::string("indexer"));
    }
    void stepsThatNobodyTakesRunNothing() {
        std::string text;
        { const auto steps = write(text, 'a', 3); }
        QCOMPARE(text, std::string());
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
