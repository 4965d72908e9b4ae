// retry(): attempts, pauses, and what ends them.

#include "defer/defer_testing.h"

#include "bine/defer/owner.h"
#include "bine/defer/retry.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::CancelledError;
using bine::Deferred;
using bine::Duration;
using bine::Failure;
using bine::ManualClock;
using bine::Resolver;
using bine::RetryPolicy;
using bine::Scope;

class RetryTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    static RetryPolicy steady() { return RetryPolicy().initial(1s).factor(1).jitter(0); }

private slots:
    void cleanup() { log_.check(); }

    void aSuccessAtOnceNeedsNoTimer() {
        ManualClock clock;
        int got = 0;
        bine::retry(clock, steady(), [] { return bine::succeed(7); }).addCallback([&](int value) { got = value; });
        QCOMPARE(got, 7);
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void triedAgainUntilItSucceeds() {
        ManualClock clock;
        int attempts = 0, got = 0;
        bine::retry(clock, steady(), [&]() -> Deferred<int> {
            if (++attempts < 3) return bine::fail<int>(oops());
            return bine::succeed(attempts);
        }).addCallback([&](int value) { got = value; });
        QCOMPARE(attempts, 1);
        clock.advance(999ms);
        QCOMPARE(attempts, 1);
        clock.advance(1ms);
        QCOMPARE(attempts, 2);
        clock.advance(1s);
        QCOMPARE(got, 3);
    }
    void whatThrowsHasFailed() {
        ManualClock clock;
        int attempts = 0;
        bool done = false;
        bine::retry(clock, steady(), [&]() -> Deferred<> {
            if (++attempts == 1) throw oops();
            return bine::succeed();
        }).addCallback([&] { done = true; });
        clock.advance(1s);
        QVERIFY(done);
    }
    void enoughIsEnough() {
        ManualClock clock;
        int attempts = 0;
        std::string why;
        bine::retry(clock, steady().attempts(3), [&] { return bine::fail<int>(oops(("attempt " + std::to_string(++attempts)).c_str())); })
            .addErrback([&](const Failure& failure) {
                why = failure.getErrorMessage();
                return 0;
            });
        clock.advance(1min);
        clock.advance(1min);
        QCOMPARE(attempts, 3);
        QCOMPARE(why, std::string("attempt 3"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void onlyAfterCertainFailures() {
        ManualClock clock;
        int attempts = 0;
        bool failed = false;
        bine::retry(clock, steady().when([](const Failure& failure) { return failure.check<std::logic_error>() != nullptr; }), [&] {
            return ++attempts == 1 ? bine::fail<int>(std::logic_error("again")) : bine::fail<int>(oops());
        }).addErrback([&](const Failure& failure) {
            failed = failure.check<std::runtime_error>() != nullptr;
            return 0;
        });
        clock.advance(1s);
        QCOMPARE(attempts, 2);
        QVERIFY(failed);
    }
    void pausesGrowUpToTheLongest() {
        const RetryPolicy policy = RetryPolicy().initial(1s).factor(2).maximum(5s).jitter(0);
        QCOMPARE(policy.pauseAfter(1), Duration(1s));
        QCOMPARE(policy.pauseAfter(2), Duration(2s));
        QCOMPARE(policy.pauseAfter(3), Duration(4s));
        QCOMPARE(policy.pauseAfter(4), Duration(5s));
        QCOMPARE(policy.pauseAfter(~std::uint64_t{0}), Duration(5s));
    }
    void pausesAreJittered() {
        const RetryPolicy policy = RetryPolicy().initial(10s).maximum(1h).factor(1).jitter(0.5);
        Duration least = Duration::max(), most{};
        for (int i = 0; i < 1000; ++i) {
            const Duration pause = policy.pauseAfter(1);
            QVERIFY(pause >= Duration(5s) && pause <= Duration(15s));
            least = std::min(least, pause);
            most = std::max(most, pause);
        }
        QVERIFY(most - least > Duration(5s));
    }
    void nonsenseIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, RetryPolicy().initial(-1s));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, RetryPolicy().maximum(-1s));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, RetryPolicy().factor(0.5));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, RetryPolicy().factor(std::nan("")));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, RetryPolicy().jitter(2));
    }
    void cancelledDuringAnAttempt() {
        ManualClock clock;
        int stopped = 0;
        bool cancelled = false;
        Resolver<int> resolver([&] { ++stopped; });
        auto d = bine::retry(clock, steady(), [&] { return resolver.deferred(); });
        d.addErrback([&](const Failure& failure) {
            cancelled = failure.check<CancelledError>() != nullptr;
            return 0;
        });
        d.cancel();
        QCOMPARE(stopped, 1);
        QVERIFY(cancelled);
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void cancelledDuringAPause() {
        ManualClock clock;
        int attempts = 0;
        bool cancelled = false;
        auto d = bine::retry(clock, steady(), [&] { return ++attempts, bine::fail<int>(oops()); });
        d.addErrback([&](const Failure& failure) {
            cancelled = failure.check<CancelledError>() != nullptr;
            return 0;
        });
        d.cancel();
        QVERIFY(cancelled);
        QVERIFY(clock.getDelayedCalls().empty());
        clock.advance(1min);
        QCOMPARE(attempts, 1);
    }
    void r268_itEndsWithItsOwner() {
        ManualClock clock;
        const auto held = std::make_shared<int>(1);
        int attempts = 0;
        {
            Scope scope;
            bine::retry(clock, steady(), [&attempts, held] { return ++attempts, bine::fail<int>(oops()); }).ownedBy(scope);
            QCOMPARE(held.use_count(), 2L);
        }
        QCOMPARE(held.use_count(), 1L);
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(attempts, 1);
    }
    void manyAttemptsNeedNoStack() {
        ManualClock clock;
        int attempts = 0, got = 0;
        bine::retry(clock, RetryPolicy().initial(0s).factor(1).jitter(0), [&]() -> Deferred<int> {
            if (++attempts < 100'000) return bine::fail<int>(oops());
            return bine::succeed(1);
        }).addCallback([&](int value) { got = value; });
        while (got == 0) clock.advance(0s);
        QCOMPARE(attempts, 100'000);
    }
};

QTEST_GUILESS_MAIN(RetryTest)
#include "retry_test.moc"
