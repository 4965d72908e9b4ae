// CooperativeTask: pausing, stopping, waiting, and how it ends.

#include "defer/cooperator_testing.h"

#include <cstdint>
#include <optional>

#include "bine/defer/defer_later.h"

using namespace std::chrono_literals;
using bine::CancelledError;
using bine::CooperativeTask;
using bine::Cooperator;
using bine::Deferred;
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

class CooperativeTaskTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

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
        task.stop();
        bine::CooperativeTask().stop();
        QCOMPARE(endOf(task), std::string("fired"));
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
        QVERIFY_THROWS_EXCEPTION(TaskFinished, task.resume());
        task.stop();
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
        task.stop();
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
        task.stop();
        QVERIFY_THROWS_EXCEPTION(SchedulerStopped, task.resume());
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
};

QTEST_GUILESS_MAIN(CooperativeTaskTest)
#include "cooperative_task_test.moc"
