// Cancelling.

#include "bine/reactors/manual_clock.h"
#include "defer/defer_testing.h"

using bine::CancelledError;
using bine::Deferred;
using bine::DeferredRef;
using bine::Failure;
using bine::Resolver;

/// Counts CancelledErrors that come to the end of a chain.
static auto countCancelled(int& count) {
    return [&count](Failure failure) {
        failure.trap<CancelledError>();
        ++count;
        return -1;
    };
}

class DeferredCancelTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d036_cancelWithoutCancellerFailsAtOnce() {
        Pair<int> p;
        int cancelled = 0;
        p.deferred.addErrback(countCancelled(cancelled));
        p.deferred.cancel();
        QCOMPARE(cancelled, 1);
        QVERIFY(p.deferred.called());
        QVERIFY(p.resolver.called());
    }

    void d037_oneLaterCallbackIsSwallowed() {
        Pair<int> p;
        int cancelled = 0;
        p.deferred.addErrback(countCancelled(cancelled));
        p.deferred.cancel();
        p.resolver.callback(1);
        QCOMPARE(cancelled, 1);
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, -1);
    }
    void d037_oneLaterErrbackIsSwallowed() {
        Pair<int> p;
        int cancelled = 0;
        p.deferred.addErrback(countCancelled(cancelled));
        p.deferred.cancel();
        p.resolver.errback(oops());
        QCOMPARE(cancelled, 1);
    }
    void d037_theSecondLaterFiringIsAnError() {
        Pair<int> p;
        int cancelled = 0;
        p.deferred.addErrback(countCancelled(cancelled));
        p.deferred.cancel();
        p.resolver.callback(1);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.callback(2));
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.errback(oops()));
    }
    void d037_severalCancelsSwallowOneFiringOnly() {
        Pair<int> p;
        int cancelled = 0;
        p.deferred.addErrback(countCancelled(cancelled));
        p.deferred.cancel();
        p.deferred.cancel();
        p.resolver.callback(1);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.callback(2));
        QCOMPARE(cancelled, 1);
    }

    void d038_aCancellerThatDoesNotFireGivesCancelledError() {
        int calls = 0;
        Resolver<int> resolver([&] { ++calls; });
        auto d = resolver.deferred();
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        QCOMPARE(calls, 1);
        QCOMPARE(cancelled, 1);
    }
    void d038_firingAfterTheCancellerIsAnError() {
        Resolver<int> resolver([] {});
        auto d = resolver.deferred();
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, resolver.callback(1));
    }
    // The natural way to stop a timer destroys its callable, and with it the Resolver.
    void d038_aResolverThatDiesInTheCancellerGivesCancelledError() {
        bine::ManualClock clock;
        bine::DelayedCall call;
        Resolver<int> resolver([&] { call.cancel(); });
        auto d = resolver.deferred();
        call = clock.callLater(std::chrono::seconds(1), [resolver = std::move(resolver)]() mutable { resolver.callback(1); });
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        QCOMPARE(cancelled, 1);
    }

    void d039_aCancellerMayFireAValue() {
        Resolver<int> resolver([](Resolver<int>& self) { self.callback(5); });
        auto d = resolver.deferred();
        int seen = 0;
        d.addCallback([&](int value) { return seen = value; });
        d.cancel();
        QCOMPARE(seen, 5);
    }
    void d040_aCancellerMayFireItsOwnError() {
        Resolver<int> resolver([](Resolver<int>& self) { self.errback(oops("my own")); });
        auto d = resolver.deferred();
        std::string seen;
        d.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        d.cancel();
        QCOMPARE(seen, std::string("my own"));
    }
    void d041_theCancellerRunsOnce() {
        int calls = 0;
        Resolver<int> resolver([&] { ++calls; });
        auto d = resolver.deferred();
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        d.cancel();
        d.cancel();
        QCOMPARE(calls, 1);
        QCOMPARE(cancelled, 1);
    }
    void d041_theCancellerRunsOnceThoughItCancels() {
        int calls = 0;
        DeferredRef ref;
        Resolver<int> resolver([&] {
            ++calls;
            ref.cancel();
        });
        auto d = resolver.deferred();
        ref = d.ref();
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        QCOMPARE(calls, 1);
        QCOMPARE(cancelled, 1);
    }

    void d042_cancellingAFiredOneDoesNothing() {
        int calls = 0;
        Resolver<int> resolver([&] { ++calls; });
        auto d = resolver.deferred();
        resolver.callback(3);
        d.cancel();
        int seen = 0;
        d.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 3);
        QCOMPARE(calls, 0);
        auto fired = bine::succeed(4);
        fired.cancel();
        fired.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 4);
    }
    void d042_cancellingAFiredPausedOneDoesNothing() {
        Pair<int> p;
        p.deferred.pause();
        p.resolver.callback(3);
        p.deferred.cancel();
        p.deferred.unpause();
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 3);
    }

    void d043_cancellingAWaitingOneCancelsTheInner() {
        int calls = 0;
        Resolver<int> resolver([&] { ++calls; });
        auto inner = resolver.deferred();
        Pair<int> outer;
        int cancelled = 0;
        outer.deferred.addCallback([&](int) { return std::move(inner); }).addErrback(countCancelled(cancelled));
        outer.resolver.callback(1);
        outer.deferred.cancel();
        QCOMPARE(calls, 1);
        QCOMPARE(cancelled, 1);
    }
    void d043_theInnerMayAnswerWithAValueInstead() {
        Pair<int> inner, outer;
        inner.deferred.addErrback([](Failure) { return 8; });
        int seen = 0;
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); }).addCallback([&](int value) { return seen = value; });
        outer.resolver.callback(1);
        outer.deferred.cancel();
        QCOMPARE(seen, 8);
    }
    void d043_theInnermostIsCancelled() {
        Pair<int> a, b, c;
        int cancelled = 0;
        b.deferred.addCallback([&](int) { return std::move(c.deferred); });
        a.deferred.addCallback([&](int) { return std::move(b.deferred); }).addErrback(countCancelled(cancelled));
        a.resolver.callback(1);
        b.resolver.callback(1);
        QVERIFY(!c.resolver.called());
        a.deferred.cancel();
        QVERIFY(c.resolver.called());
        QCOMPARE(cancelled, 1);
    }

    void d044_theCancellerIsDroppedWhenItFires() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        Resolver<int> resolver([held = std::move(held)] {});
        auto d = resolver.deferred();
        bool during = true;
        d.addCallback([&](int value) {
            during = !alive.expired();
            return value;
        });
        QVERIFY(!alive.expired());
        resolver.callback(1);
        QVERIFY(!during);
        QVERIFY(alive.expired());
    }
    void d044_theCancellerIsDroppedThoughAnotherIsWaitedForThen() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        Pair<int> inner;
        Resolver<int> resolver([held = std::move(held)] {});
        auto d = resolver.deferred();
        d.addCallback([&](int) { return std::move(inner.deferred); });
        resolver.callback(1);
        QVERIFY(alive.expired());
        inner.resolver.callback(1);
    }
    void d044_theCancellerIsDroppedWhenItIsCancelled() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        Resolver<int> resolver([held = std::move(held)] {});
        auto d = resolver.deferred();
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        QVERIFY(alive.expired());
    }

    void d045_anExceptionOfTheCancellerIsLoggedAndTheErrorDelivered() {
        Resolver<int> resolver([] { throw oops("canceller"); });
        auto d = resolver.deferred();
        int cancelled = 0;
        d.addErrback(countCancelled(cancelled));
        d.cancel();
        QCOMPARE(cancelled, 1);
        const auto events = log_.recorder().flushErrors<std::runtime_error>();
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY(events[0].message.find("canceller") != std::string::npos);
    }

    void d046_cancellingRunsNobodyElsesCallbacks() {
        Pair<int> p, other;
        int others = 0;
        int cancelled = 0;
        other.deferred.addBoth([&](bine::Result<int> result) { return ++others, result; });
        p.deferred.addErrback(countCancelled(cancelled));
        p.deferred.cancel();
        QCOMPARE(cancelled, 1);
        QCOMPARE(others, 0);
        other.resolver.callback(1);
        QCOMPARE(others, 1);
    }
    void d046_anUnhandledCancellationIsReportedAsAnyFailure() {
        {
            Pair<int> p;
            p.deferred.cancel();
        }
        QCOMPARE(log_.recorder().flushErrors<CancelledError>().size(), std::size_t(1));
    }
    void droppingTheHandleCancelsNothing() {
        int calls = 0;
        int seen = 0;
        Resolver<int> resolver([&] { ++calls; });
        { auto d = resolver.deferred().addCallback([&](int value) { seen = value; }); }
        QCOMPARE(calls, 0);
        resolver.callback(2);
        QCOMPARE(seen, 2);
    }
    void aReferenceCancels() {
        Pair<int> p;
        int cancelled = 0;
        p.deferred.addErrback(countCancelled(cancelled));
        DeferredRef ref = p.deferred.ref();
        ref.cancel();
        QCOMPARE(cancelled, 1);
    }
    void theHandleMayDieWhileItIsCancelled() {
        Resolver<int> resolver;
        auto d = std::make_unique<Deferred<int>>(resolver.deferred());
        int cancelled = 0;
        d->addErrback([&](Failure) {
            d.reset();
            return ++cancelled;
        });
        d->cancel();
        QCOMPARE(cancelled, 1);
    }
};

QTEST_GUILESS_MAIN(DeferredCancelTest)
#include "deferred_cancel_test.moc"
