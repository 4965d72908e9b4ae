// LoopingCall: in step with its start, and one call at a time.

#include "defer/looping_call_testing.h"

#include <memory>
#include <optional>
#include <random>

#include "bine/defer/defer_later.h"
#include "bine/defer/looping_call.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Failure;
using bine::Duration;
using bine::LoopingCall;
using bine::ManualClock;
using bine::Resolver;
using bine::Result;

class LoopingCallTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void s001_startReturnsADeferredThatWaitsForTheEnd() {
        ManualClock clock;
        LoopingCall loop(clock, [] {});
        auto done = loop.start(1s);
        clock.advance(10s);
        QVERIFY(!done.called());
        loop.stop();
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void s001_aNegativeIntervalIsRefused() {
        ManualClock clock;
        int calls = 0;
        LoopingCall loop(clock, [&] { ++calls; });
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, loop.start(-1ns));
        QVERIFY(!loop.running());
        QCOMPARE(calls, 0);
    }
    void s001_startingOneThatRunsIsRefused() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        auto done = loop.start(2s);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, loop.start(1s));
        clock.advance(4s);
        QCOMPARE(times.take(), std::string("0 2000 4000 "));
        loop.stop();
    }
    void s001_itCanBeStartedAgainAfterItsEnd() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        QVERIFY(!loop.running());
        QVERIFY(loop.interval() == 0s);
        loop.start(1s);
        QVERIFY(loop.running());
        clock.advance(1500ms);
        loop.stop();
        QVERIFY(!loop.running());
        loop.start(2s);
        QVERIFY(loop.interval() == 2s);
        clock.advance(2s);
        QCOMPARE(times.take(), std::string("0 1000 1500 3500 "));
        loop.stop();
        QVERIFY(clock.getDelayedCalls().empty());
    }

    void s002_theFirstCallComesBeforeStartReturns() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        loop.start(1s);
        QCOMPARE(times.take(), std::string("0 "));
        loop.stop();
    }
    void s002_orOneIntervalLater() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        loop.start(1s, LoopingCall::FirstCall::later);
        QCOMPARE(times.take(), std::string());
        clock.advance(999ms);
        QCOMPARE(times.take(), std::string());
        clock.advance(1ms);
        QCOMPARE(times.take(), std::string("1000 "));
        loop.stop();
    }
    void s002_whatACallNeedsDoesNotAddUp() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, [&] {
            times();
            clock.advance(300ms);
        });
        loop.start(1s);
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 1000 2000 3000 4000 5000 "));
        loop.stop();
    }
    void s002_missedCallsAreLeftOut() {
        ManualClock clock;
        Times times(clock);
        Duration needs = 3500ms;
        LoopingCall loop(clock, [&] {
            times();
            clock.advance(std::exchange(needs, 0ms));
        });
        loop.start(1s);
        clock.advance(2s);
        QCOMPARE(times.take(), std::string("0 4000 5000 "));
        loop.stop();
    }
    void s002_aTickThatTheCallItselfOutlastsIsMissed() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, [&] {
            times();
            clock.advance(1s);
        });
        loop.start(1s);
        clock.advance(3s);
        QCOMPARE(times.take(), std::string("0 2000 4000 "));
        loop.stop();
    }

    void s003_theNextCallWaitsForTheDeferred() {
        ManualClock clock;
        Times times(clock);
        std::optional<Resolver<int>> answer;
        LoopingCall loop(clock, [&] {
            times();
            answer.emplace();
            return answer->deferred();
        });
        loop.start(1s);
        clock.advance(2500ms);
        QCOMPARE(times.take(), std::string("0 "));
        answer->callback(7);
        QCOMPARE(times.take(), std::string());
        clock.advance(500ms);
        QCOMPARE(times.take(), std::string("3000 "));
        answer->callback(7);
        loop.stop();
    }
    void s003_aCoroutineIsWaitedFor() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, [&clock, &times, name = std::string("a capture that its frame refers to")]() -> Deferred<std::string> {
            times();
            co_await bine::deferLater(clock, 1200ms);
            co_return name;
        });
        loop.start(1s);
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 2000 4000 "));
        loop.stop();
        clock.advance(5s);
    }
    void s003_aFailureEndsTheLoopWhichIsNotRunningByThen() {
        ManualClock clock;
        int calls = 0;
        LoopingCall loop(clock, [&] {
            if (++calls == 3) throw oops();
        });
        bool running = true;
        std::string text;
        auto done = loop.start(1s).addErrback([&](Failure failure) {
            running = loop.running();
            text = failure.getErrorMessage();
        });
        clock.advance(10s);
        QCOMPARE(calls, 3);
        QVERIFY(!running);
        QCOMPARE(text, std::string("oops"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s003_soDoesAFailureInTheFirstCall() {
        ManualClock clock;
        LoopingCall loop(clock, [] { throw oops(); });
        auto done = loop.start(1s);
        QVERIFY(!loop.running());
        QCOMPARE(outcome(done), std::string("std::runtime_error"));
    }
    void s003_soDoesAFailureThatIsReturned_data() {
        QTest::addColumn<int>("kind");
        QTest::newRow("Failure") << 0;
        QTest::newRow("Result") << 1;
        QTest::newRow("Deferred") << 2;
    }
    void s003_soDoesAFailureThatIsReturned() {
        QFETCH(int, kind);
        ManualClock clock;
        std::optional<LoopingCall> loop;
        if (kind == 0)
            loop.emplace(clock, [] { return Failure(oops()); });
        else if (kind == 1)
            loop.emplace(clock, [] { return Result<int>(oops()); });
        else
            loop.emplace(clock, [] { return bine::fail<int>(oops()); });
        auto done = loop->start(1s);
        QVERIFY(!loop->running());
        QCOMPARE(outcome(done), std::string("std::runtime_error"));
    }
    void s003_aFailureNobodyTakesIsReported() {
        ManualClock clock;
        LoopingCall loop(clock, [] { throw oops(); });
        loop.start(1s);
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void valuesThatAreReturnedMeanNothing() {
        ManualClock clock;
        int calls = 0;
        LoopingCall loop(clock, [&] { return std::make_unique<int>(++calls); });
        loop.start(1s);
        clock.advance(2s);
        QCOMPARE(calls, 3);
        loop.stop();
    }
    void argumentsArePassed() {
        ManualClock clock;
        int sum = 0;
        LoopingCall loop(clock, [](int& sum, const std::unique_ptr<int>& by) { sum += *by; }, std::ref(sum), std::make_unique<int>(3));
        loop.start(1s);
        clock.advance(2s);
        QCOMPARE(sum, 9);
        loop.stop();
    }

    void s004_stopDropsTheNextCall() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        auto done = loop.start(1s);
        clock.advance(1500ms);
        loop.stop();
        QVERIFY(done.called());
        QVERIFY(clock.getDelayedCalls().empty());
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 1000 "));
    }
    void s004_fromInsideTheFunctionItFiresWhenThatIsDone() {
        ManualClock clock;
        bool doneInside = true;
        std::optional<Deferred<>> done;
        int calls = 0;
        LoopingCall loop(clock, [&] {
            if (++calls < 2) return;
            loop.stop();
            doneInside = done->called();
            QVERIFY(!loop.running());
        });
        done.emplace(loop.start(1s));
        clock.advance(1s);
        QVERIFY(!doneInside);
        QCOMPARE(outcome(*done), std::string("fired"));
        clock.advance(5s);
        QCOMPARE(calls, 2);
    }
    void s004_whileItsDeferredWaitsItFiresWhenThatHasFired() {
        ManualClock clock;
        Resolver<> answer;
        LoopingCall loop(clock, [&] { return answer.deferred(); });
        auto done = loop.start(1s);
        loop.stop();
        QVERIFY(!loop.running());
        QVERIFY(!done.called());
        answer.callback();
        QCOMPARE(outcome(done), std::string("fired"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s004_aFailureOfTheCallInWhichItWasStoppedIsNotLost() {
        ManualClock clock;
        LoopingCall loop(clock, [&] {
            loop.stop();
            throw oops();
        });
        auto done = loop.start(1s);
        QCOMPARE(outcome(done), std::string("std::runtime_error"));
    }
    void s004_stoppingOneThatDoesNotRunDoesNothing() {
        ManualClock clock;
        LoopingCall loop(clock, [] {});
        loop.stop();
        auto done = loop.start(1s);
        loop.stop();
        loop.stop();
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void theFunctionIsNotStartedAgainBeforeItsCallHasEnded() {
        ManualClock clock;
        Resolver<> answer;
        bool refused = false;
        LoopingCall loop(clock, [&] {
            loop.stop();
            try {
                loop.start(1s);
            } catch (const std::logic_error&) {
                refused = true;
            }
            return answer.deferred();
        });
        auto done = loop.start(1s);
        QVERIFY(refused);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, loop.start(1s));
        answer.callback();
        QCOMPARE(outcome(done), std::string("fired"));
    }
    void itCanBeStartedAgainByWhatItsEndFires() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        loop.start(1s).addCallback([&] { loop.start(3s, LoopingCall::FirstCall::later); });
        loop.stop();
        QVERIFY(loop.running());
        clock.advance(6s);
        QCOMPARE(times.take(), std::string("0 3000 6000 "));
        loop.stop();
    }

    void s005_resetCountsTheIntervalFromNow() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        loop.start(1s);
        clock.advance(700ms);
        loop.reset();
        clock.advance(999ms);
        QCOMPARE(times.take(), std::string("0 "));
        clock.advance(1001ms);
        QCOMPARE(times.take(), std::string("1700 2700 "));
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
        loop.stop();
    }
    void s005_alsoFromInsideTheFunction() {
        ManualClock clock;
        Times times(clock);
        bool resets = false;
        LoopingCall loop(clock, [&] {
            times();
            clock.advance(300ms);
            if (resets) loop.reset();
        });
        loop.start(1s);
        resets = true;
        clock.advance(2s);
        QCOMPARE(times.take(), std::string("0 1000 2300 "));
        loop.stop();
    }
    void s005_andWhileItsDeferredWaits() {
        ManualClock clock;
        Times times(clock);
        std::optional<Resolver<>> answer;
        LoopingCall loop(clock, [&] {
            times();
            answer.emplace();
            return answer->deferred();
        });
        loop.start(1s);
        clock.advance(250ms);
        loop.reset();
        clock.advance(250ms);
        answer->callback();
        clock.advance(750ms);
        QCOMPARE(times.take(), std::string("0 1250 "));
        answer->callback();
        loop.stop();
    }
    void s005_resetOfOneThatDoesNotRunIsRefused() {
        ManualClock clock;
        LoopingCall loop(clock, [] {});
        QVERIFY_THROWS_EXCEPTION(std::logic_error, loop.reset());
    }

    void s006_withIntervalZeroItRunsOncePerTurn() {
        ManualClock clock;
        int calls = 0;
        LoopingCall loop(clock, [&] { ++calls; });
        loop.start(0s);
        QCOMPARE(calls, 1);
        clock.advance(0s);
        QCOMPARE(calls, 2);
        clock.advance(0s);
        QCOMPARE(calls, 3);
        loop.reset();
        clock.advance(0s);
        QCOMPARE(calls, 4);
        loop.stop();
        clock.advance(0s);
        QCOMPARE(calls, 4);
    }
    void s006_timersAndThreadsAreServedBesideIt() {
        bine::EpollReactor reactor;
        int calls = 0;
        LoopingCall loop(reactor, [&] { ++calls; });
        loop.start(0s);
        std::string seen;
        reactor.callLater(1ms, [&] {
            seen += "timer ";
            reactor.callFromThread([&] {
                seen += "thread";
                reactor.stop();
            });
        });
        reactor.run();
        QCOMPARE(seen, std::string("timer thread"));
        QVERIFY(calls > 2);
        loop.stop();
    }
    void s006_countingCallsReportOneEachTime() {
        ManualClock clock;
        std::string counts;
        auto loop = LoopingCall::withCount(clock, [&](LoopingCall::Count count) { counts += std::to_string(count) + " "; });
        loop.start(0s);
        clock.advance(0s);
        clock.advance(5s);
        clock.advance(0s);
        QVERIFY2(counts == "1 1 1 1 ", counts.c_str());
        loop.stop();
    }

    void s007_theCountSaysHowManyIntervalsHavePassed() {
        ManualClock clock;
        std::string counts;
        Duration needs = 3500ms;
        auto loop = LoopingCall::withCount(clock, [&](LoopingCall::Count count) {
            counts += std::to_string(count) + " ";
            clock.advance(std::exchange(needs, 0ms));
        });
        loop.start(1s);
        clock.advance(2s);
        QCOMPARE(counts, std::string("1 4 1 "));
        loop.stop();
    }
    void s007_laterItBeginsWithTheFirstInterval() {
        ManualClock clock;
        std::string counts;
        auto loop = LoopingCall::withCount(clock, [&](int count) { counts += std::to_string(count) + " "; });
        loop.start(1s, LoopingCall::FirstCall::later);
        clock.advance(2s);
        QCOMPARE(counts, std::string("1 1 "));
        loop.stop();
    }
    void s007_aDeferredThatTakesLongIsCounted() {
        ManualClock clock;
        std::string counts;
        auto loop = LoopingCall::withCount(clock, [&](int count) -> Deferred<> {
            counts += std::to_string(count) + " ";
            co_await bine::deferLater(clock, 2500ms);
        });
        loop.start(1s);
        clock.advance(9s);
        QCOMPARE(counts, std::string("1 3 3 3 "));
        loop.stop();
    }
    void s007_afterResetItCountsFromThere() {
        ManualClock clock;
        std::string counts;
        auto loop = LoopingCall::withCount(clock, [&](int count) { counts += std::to_string(count) + " "; });
        loop.start(1s);
        clock.advance(1500ms);
        loop.reset();
        clock.advance(2s);
        QCOMPARE(counts, std::string("1 1 1 1 "));
        loop.stop();
    }
    // 0.1 s has no binary fraction; sums of it drift away from the multiples.
    void s007_theSumIsExactHoweverTheClockMoves() {
        std::mt19937 random(5);
        for (const auto interval : {bine::Delay(100ms), bine::Delay(std::chrono::duration<double>(0.1)), bine::Delay(7ns), bine::Delay(1s)}) {
            ManualClock clock;
            const auto start = clock.now();
            LoopingCall::Count sum = 0;
            bool positive = true, moves = true;
            auto loop = LoopingCall::withCount(clock, [&](LoopingCall::Count count) {
                sum += count;
                positive = positive && count > 0;
                if (moves && random() % 8 == 0) clock.advance(interval.value() * 23 / 10);
            });
            loop.start(interval);
            for (int i = 0; i < 1000; ++i) clock.advance(interval.value() * (random() % 40) / 13);
            moves = false;
            clock.advance(interval.value() - (clock.now() - start) % interval.value());
            QVERIFY(positive);
            QCOMPARE(sum, (clock.now() - start) / interval.value() + 1);  // the first came at once
            loop.stop();
        }
    }
    void s007_tenThousandTenthsAreAThousandSeconds() {
        ManualClock clock;
        LoopingCall::Count sum = 0;
        auto loop = LoopingCall::withCount(clock, [&](LoopingCall::Count count) { sum += count; });
        loop.start(100ms, LoopingCall::FirstCall::later);
        for (int second = 0; second < 1000; ++second) clock.advance(1s);
        QCOMPARE(sum, LoopingCall::Count(10000));
        loop.stop();
    }
};

QTEST_GUILESS_MAIN(LoopingCallTest)
#include "looping_call_test.moc"
