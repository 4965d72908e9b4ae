// addTimeout(): a deadline for what has been added to a Deferred so far.

#include "defer/defer_testing.h"

#include "bine/defer/gather_results.h"
#include "bine/defer/owner.h"
#include "bine/defer/race.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::CancelledError;
using bine::Deferred;
using bine::Duration;
using bine::Failure;
using bine::ManualClock;
using bine::Resolver;
using bine::Result;
using bine::Scope;
using bine::TimeoutError;

class TimeoutTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    /// What a result is, in a word.
    static std::string word(const Result<int>& result) {
        if (!result.isFailure()) return std::to_string(*result);
        if (const auto* timeout = result.failure().check<TimeoutError>()) return "TimeoutError " + std::string(timeout->what());
        if (result.failure().check<CancelledError>()) return "CancelledError";
        return result.failure().getErrorMessage();
    }
    static auto tell(std::string& said) {
        return [&said](Result<int> result) {
            said += word(result);
            return 0;
        };
    }

private slots:
    void cleanup() { log_.check(); }

    void d053_theTimeIsOver() {
        ManualClock clock;
        int cancelled = 0;
        std::string said;
        Resolver<int> resolver([&] { ++cancelled; });
        resolver.deferred().addTimeout(5s, clock).addBoth(tell(said));
        clock.advance(4999ms);
        QCOMPARE(said, std::string());
        clock.advance(1ms);
        QCOMPARE(cancelled, 1);
        QCOMPARE(said, std::string("TimeoutError timed out after 5 s"));
    }
    void d053_theTimeOfAListIsOver() {
        ManualClock clock;
        Pair<int> p, q, r, s;
        std::string said;
        const auto tell = [&](const Failure& failure) { said += failure.check<TimeoutError>() ? "TimeoutError " : "something else "; };
        auto values = bine::gatherResults(std::move(p.deferred), std::move(q.deferred));
        auto nested = bine::gatherResults(std::move(values), std::move(r.deferred)).addTimeout(5s, clock).addCallback([](auto&&) {}).addErrback(tell);
        std::vector<Deferred<int>> racers;
        racers.push_back(std::move(s.deferred));
        auto race = bine::race(std::move(racers)).addTimeout(5s, clock).addCallback([](auto&&) {}).addErrback(tell);
        clock.advance(5s);
        QCOMPARE(said, std::string("TimeoutError TimeoutError "));
    }
    void d053_itReturnsTheDeferred() {
        ManualClock clock;
        Pair<int> p;
        QCOMPARE(&p.deferred.addTimeout(1s, clock), &p.deferred);
        p.resolver.callback(1);
    }
    void d053_aNegativeTimeIsRefused() {
        ManualClock clock;
        Pair<int> p;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, p.deferred.addTimeout(-1s, clock));
        std::string said;
        p.deferred.addBoth(tell(said));
        p.resolver.callback(1);
        QCOMPARE(said, std::string("1"));
    }

    void d054_whatIsAddedLaterHasNoDeadline() {
        ManualClock clock;
        Pair<int> first, second;
        std::string said;
        first.deferred.addTimeout(1s, clock).addCallback([&](int) { return std::move(second.deferred); }).addBoth(tell(said));
        first.resolver.callback(1);
        clock.advance(1min);
        QCOMPARE(said, std::string());
        second.resolver.callback(2);
        QCOMPARE(said, std::string("2"));
    }
    void d054_whatWasAddedBeforeHas() {
        ManualClock clock;
        Pair<int> first, second;
        std::string said;
        first.deferred.addCallback([&](int) { return std::move(second.deferred); }).addTimeout(1s, clock).addBoth(tell(said));
        first.resolver.callback(1);
        clock.advance(1s);
        QCOMPARE(said, std::string("TimeoutError timed out after 1 s"));
        QVERIFY(second.resolver.called());
    }

    void d055_aResultEndsTheTimer_data() {
        QTest::addColumn<bool>("fails");
        QTest::newRow("value") << false;
        QTest::newRow("failure") << true;
    }
    void d055_aResultEndsTheTimer() {
        QFETCH(bool, fails);
        ManualClock clock;
        Pair<int> p;
        std::string said;
        p.deferred.addTimeout(1s, clock).addBoth(tell(said));
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
        fails ? p.resolver.errback(oops()) : p.resolver.callback(1);
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(said, std::string(fails ? "oops" : "1"));
    }
    void d055_oneThatHasFiredNeedsNoTimer() {
        ManualClock clock;
        std::string said;
        bine::succeed(1).addTimeout(1s, clock).addBoth(tell(said));
        bine::fail<int>(oops()).addTimeout(1s, clock).addBoth(tell(said));
        Pair<int> p;
        p.resolver.callback(2);
        p.deferred.addTimeout(1s, clock).addBoth(tell(said));
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(said, std::string("1oops2"));
    }
    void d055_theOwnersDeathEndsTheTimer() {
        ManualClock clock;
        Pair<int> p;
        {
            Scope scope;
            p.deferred.addTimeout(1s, clock).ownedBy(scope);
        }
        QVERIFY(clock.getDelayedCalls().empty());
    }

    void d056_anotherFailurePasses() {
        ManualClock clock;
        std::string said;
        Resolver<int> resolver([](Resolver<int>& self) { self.errback(oops("stopped")); });
        resolver.deferred().addTimeout(1s, clock).addBoth(tell(said));
        clock.advance(1s);
        QCOMPARE(said, std::string("stopped"));
    }

    void d057_itsOwnWordsWhenTheTimeIsOver() {
        ManualClock clock;
        Pair<int> p;
        std::string said;
        Duration timeout{};
        bool wasCancelled = false;
        p.deferred
            .addTimeout(3s, clock,
                        [&](Result<int> result, Duration after) {
                            wasCancelled = result.isFailure() && result.failure().check<CancelledError>();
                            timeout = after;
                            return 42;
                        })
            .addBoth(tell(said));
        clock.advance(3s);
        QVERIFY(wasCancelled);
        QCOMPARE(timeout, Duration(3s));
        QCOMPARE(said, std::string("42"));
    }
    void d057_itsWordsMayBeAFailure() {
        ManualClock clock;
        Pair<int> p;
        std::string said;
        p.deferred.addTimeout(3s, clock, [](Result<int>, Duration) -> Result<int> { throw oops("too slow"); }).addBoth(tell(said));
        clock.advance(3s);
        QCOMPARE(said, std::string("too slow"));
    }
    void d057_itIsNotAskedIfSomebodyElseCancels() {
        ManualClock clock;
        Pair<int> p;
        std::string said;
        p.deferred.addTimeout(3s, clock, [&](Result<int>, Duration) { return said += "asked", 0; }).addBoth(tell(said));
        p.deferred.cancel();
        QCOMPARE(said, std::string("CancelledError"));
    }
    void d058_aCancelInTimeStaysOne() {
        ManualClock clock;
        Pair<int> p;
        std::string said;
        p.deferred.addTimeout(3s, clock).addBoth(tell(said));
        p.deferred.cancel();
        QCOMPARE(said, std::string("CancelledError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d059_anEarlierErrbackMaySwallowIt() {
        ManualClock clock;
        Pair<int> p;
        std::string said;
        p.deferred.addErrback([](const Failure& failure) {
            failure.trap<CancelledError>();
            return 7;
        });
        p.deferred.addTimeout(3s, clock).addBoth(tell(said));
        clock.advance(3s);
        QCOMPARE(said, std::string("7"));
    }
    void d060_aCancellerThatFiresAValueMakesItSucceed() {
        ManualClock clock;
        std::string said;
        Resolver<int> resolver([](Resolver<int>& self) { self.callback(8); });
        resolver.deferred().addTimeout(3s, clock).addBoth(tell(said));
        clock.advance(3s);
        QCOMPARE(said, std::string("8"));
    }

    void d053_aCoroutineMayAwaitIt() {
        ManualClock clock;
        Pair<int> p;
        const auto work = [](Deferred<int> d, ManualClock& clock) -> Deferred<int> { co_return co_await std::move(d).addTimeout(1s, clock); };
        std::string said;
        work(std::move(p.deferred), clock).addBoth(tell(said));
        clock.advance(1s);
        QCOMPARE(said, std::string("TimeoutError timed out after 1 s"));
    }
    void d055_theClockMayGoFirst() {
        auto clock = std::make_unique<ManualClock>();
        Pair<int> p;
        std::string said;
        p.deferred.addTimeout(1s, *clock).addBoth(tell(said));
        clock.reset();
        p.deferred.cancel();
        QCOMPARE(said, std::string("CancelledError"));
    }
    void d053_theResolverMayDieOfTheTimeout() {
        ManualClock clock;
        std::string said;
        std::unique_ptr<Resolver<int>> resolver;
        resolver = std::make_unique<Resolver<int>>([&] { resolver.reset(); });
        auto d = resolver->deferred();
        d.addTimeout(1s, clock).addBoth(tell(said));
        clock.advance(1s);
        QCOMPARE(said, std::string("TimeoutError timed out after 1 s"));
    }
};

QTEST_GUILESS_MAIN(TimeoutTest)
#include "timeout_test.moc"
