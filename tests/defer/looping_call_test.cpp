// LoopingCall: in step with its start, one call at a time, and gone when it is gone.

#include "defer/defer_testing.h"

#include <memory>
#include <optional>
#include <random>

#include "bine/defer/defer_later.h"
#include "bine/defer/looping_call.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::AbandonedError;
using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::LoopingCall;
using bine::ManualClock;
using bine::Resolver;
using bine::Result;
using bine::Scope;

namespace {

/// Writes down at which times it is called.
class Times {
public:
    explicit Times(ManualClock& clock) : clock_(clock), start_(clock.now()) {}
    void operator()() { text_ += std::to_string((clock_.now() - start_) / 1ms) + " "; }
    std::string take() { return std::exchange(text_, {}); }

private:
    ManualClock& clock_;
    bine::TimePoint start_;
    std::string text_;
};

/// What became of a Deferred, as a word.
std::string outcome(Deferred<>& deferred) {
    const auto word = std::make_shared<std::string>("nothing yet");
    deferred.addBoth([word](Result<> result) { *word = result.isValue() ? "fired" : result.failure().typeName(); });
    return *word;
}

}  // namespace

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

    void cancellingWhatStartReturnedStopsTheLoop() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        auto done = loop.start(1s);
        done.cancel();
        QVERIFY(!loop.running());
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
        loop.start(1s);
        clock.advance(1s);
        QCOMPARE(times.take(), std::string("0 0 1000 "));
        loop.stop();
    }
    void cancellingItWhileADeferredWaitsCancelsThatAtItsSource() {
        ManualClock clock;
        int cancelled = 0, resumed = 0;
        std::optional<Resolver<>> answer;
        LoopingCall loop(clock, [&]() -> Deferred<> {
            answer.emplace([&] { ++cancelled; });
            auto waits = answer->deferred();
            try {
                co_await waits;
            } catch (...) {
                ++resumed;
                throw;
            }
            ++resumed;
        });
        auto done = loop.start(1s);
        done.cancel();
        QCOMPARE(cancelled, 1);
        QCOMPARE(resumed, 0);
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
        auto again = loop.start(1s);
        QCOMPARE(outcome(again), std::string("nothing yet"));
    }
    void cancellingItInsideTheFunctionStopsTheLoop() {
        ManualClock clock;
        std::optional<Deferred<>> done;
        int calls = 0;
        LoopingCall loop(clock, [&] {
            if (++calls < 2) return;
            done->cancel();
            QVERIFY_THROWS_EXCEPTION(std::logic_error, loop.start(1s));
        });
        done.emplace(loop.start(1s));
        clock.advance(5s);
        QCOMPARE(calls, 2);
        QVERIFY(!loop.running());
        QCOMPARE(outcome(*done), std::string("bine::CancelledError"));
        loop.start(1s);
        loop.stop();
        QCOMPARE(calls, 3);
    }
    void whatStartReturnedMayBelongToAnOwner() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        {
            Scope scope;
            loop.start(1s).ownedBy(scope);
        }
        QVERIFY(!loop.running());
        clock.advance(3s);
        QCOMPARE(times.take(), std::string("0 "));
    }

    void itsDestructorEndsIt() {
        ManualClock clock;
        auto held = std::make_shared<int>(1);
        std::optional<LoopingCall> loop(std::in_place, clock, [held] {});
        auto done = loop->start(1s);
        loop.reset();
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void itsDestructorCancelsWhatTheCallWaitsFor() {
        ManualClock clock;
        int cancelled = 0;
        std::string order;
        struct Mark {
            explicit Mark(std::string& order) : order(order) {}
            ~Mark() { order += "frame "; }
            std::string& order;
        };
        {
            std::optional<Resolver<>> answer;
            LoopingCall loop(clock, [&, held = std::make_shared<int>(1)]() -> Deferred<> {
                const Mark mark(order);
                answer.emplace([&] { ++cancelled; });
                auto waits = answer->deferred();
                co_await waits;
                order += "resumed " + std::to_string(*held);
            });
            loop.start(1s);
        }
        QCOMPARE(cancelled, 1);
        QCOMPARE(order, std::string("frame "));
    }
    void itMayBeDestroyedInsideItsFunction() {
        ManualClock clock;
        int calls = 0;
        auto held = std::make_shared<int>(5);
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&, held] {
            ++calls;
            if (calls < 2) return;
            loop.reset();
            calls += *held;  // the captures are still there
        });
        auto done = loop->start(1s);
        clock.advance(5s);
        QCOMPARE(calls, 7);
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedInsideItsFirstCall() {
        ManualClock clock;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&] { loop.reset(); });
        auto done = loop->start(1s);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedInsideItsFunctionThatThrows() {
        ManualClock clock;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&] {
            loop.reset();
            throw oops();
        });
        auto done = loop->start(1s);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void itMayBeDestroyedInsideItsCoroutine() {
        ManualClock clock;
        std::string seen;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&, name = std::string("captured, and long enough for the heap")]() -> Deferred<> {
            co_await bine::deferLater(clock, 10ms);
            loop.reset();
            seen += name.substr(0, 8);
            co_await bine::deferLater(clock, 10ms);
            seen += " too far";
        });
        auto done = loop->start(1s);
        clock.advance(5s);
        QCOMPARE(seen, std::string("captured"));
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedInTheFirstStretchOfItsCoroutine() {
        ManualClock clock;
        std::string seen;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&, name = std::string("captured, and long enough for the heap")]() -> Deferred<> {
            loop.reset();
            seen += name.substr(0, 8);
            co_await bine::deferLater(clock, 10ms);
            seen += " too far";
        });
        auto done = loop->start(1s);
        clock.advance(5s);
        QCOMPARE(seen, std::string("captured"));
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedByWhatItsEndFires() {
        ManualClock clock;
        auto loop = std::make_unique<LoopingCall>(clock, [] {});
        loop->start(1s).addCallback([&] { loop.reset(); });
        loop->stop();
        QVERIFY(!loop);
    }
    void itMayBeDestroyedByWhatItsFailureFires() {
        ManualClock clock;
        std::unique_ptr<LoopingCall> loop;
        int calls = 0;
        loop = std::make_unique<LoopingCall>(clock, [&] {
            if (++calls == 2) throw oops();
        });
        loop->start(1s).addErrback([&](Failure) { loop.reset(); });
        clock.advance(5s);
        QVERIFY(!loop);
        QCOMPARE(calls, 2);
    }
    void itMayOutliveItsClock() {
        auto clock = std::make_unique<ManualClock>();
        LoopingCall loop(*clock, [] {});
        auto done = loop.start(1s);
        clock.reset();
        loop.stop();
        QCOMPARE(outcome(done), std::string("fired"));
    }

    void r268_itEndsWithItsOwner() {
        ManualClock clock;
        Times times(clock);
        auto held = std::make_shared<int>(1);
        LoopingCall loop(clock, [&, held] { times(); });
        std::optional<Scope> scope(std::in_place);
        loop.ownedBy(*scope);
        auto done = loop.start(1s);
        clock.advance(1s);
        scope.reset();
        QVERIFY(!loop.running());
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        auto again = loop.start(1s);
        QCOMPARE(outcome(again), std::string("bine::CancelledError"));
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 1000 "));
    }
    void r268_theFirstOfSeveralOwnersToDieEndsIt() {
        ManualClock clock;
        Times times(clock);
        Scope later;
        std::optional<Scope> first(std::in_place);
        auto loop = LoopingCall(clock, std::ref(times)).ownedBy(later).ownedBy(*first);
        loop.start(1s);
        first.reset();
        QVERIFY(later.empty());
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 "));
    }
    void r268_theOwnerMayDieInsideTheFunction() {
        ManualClock clock;
        int calls = 0;
        auto scope = std::make_unique<Scope>();
        auto held = std::make_shared<int>(5);
        LoopingCall loop(clock, [&, held] {
            scope.reset();
            calls += *held;
        });
        loop.ownedBy(*scope);
        auto done = loop.start(1s);
        clock.advance(5s);
        QCOMPARE(calls, 5);
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void r268_theEndOfAnotherThingOfTheOwnerDoesNotSetItGoing() {
        ManualClock clock;
        int calls = 0;
        Scope scope;
        LoopingCall loop(clock, [&] { ++calls; });
        loop.ownedBy(scope);
        loop.start(1s);
        Resolver<> younger([&] { clock.advance(10s); });
        auto waits = younger.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(calls, 1);
    }
    void r268_norDoesItSetWhatTheFunctionReturnedGoing() {
        ManualClock clock;
        std::string seen;
        Scope scope;
        Resolver<> answer;
        LoopingCall loop(clock, [&]() -> Deferred<> {
            auto waits = answer.deferred();
            co_await std::move(waits);
            seen += "resumed ";
        });
        loop.ownedBy(scope);
        auto done = loop.start(1s);
        Resolver<> younger([&] {
            if (!answer.called()) answer.callback();
        });
        auto waits = younger.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(seen, std::string());
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void r268_anOwnerMayDieBeforeTheStart() {
        ManualClock clock;
        int calls = 0;
        LoopingCall loop(clock, [&] { ++calls; });
        {
            Scope scope;
            loop.ownedBy(scope);
        }
        auto done = loop.start(1s);
        clock.advance(5s);
        QCOMPARE(calls, 0);
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
    }
    void anOwnerThatIsGoneLeavesNoTrace() {
        ManualClock clock;
        Scope scope;
        {
            LoopingCall loop(clock, [] {});
            loop.ownedBy(scope);
            QVERIFY(!scope.empty());
        }
        QVERIFY(scope.empty());
    }

    void itCanBeMoved() {
        ManualClock clock;
        Times times(clock);
        LoopingCall a(clock, std::ref(times));
        a.start(1s);
        LoopingCall b = std::move(a);
        QVERIFY(b.running());
        QVERIFY(!a.running());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, a.start(1s));
        a.stop();
        clock.advance(1s);
        QCOMPARE(times.take(), std::string("0 1000 "));
        LoopingCall c(clock, [] {});
        auto done = c.start(1s);
        c = std::move(b);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        clock.advance(1s);
        QCOMPARE(times.take(), std::string("2000 "));
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
    }
    void whatTheFunctionReturnedMayDieWithAnOwnerOfItsOwn() {
        ManualClock clock;
        Scope scope;
        Resolver<> answer;
        LoopingCall loop(clock, [&] { return answer.deferred().ownedBy(scope); });
        auto done = loop.start(1s);
        scope.cancel();
        QVERIFY(!loop.running());
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
    }

private:
    using Duration = bine::Duration;
};

QTEST_GUILESS_MAIN(LoopingCallTest)
#include "looping_call_test.moc"
