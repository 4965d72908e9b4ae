// Deferreds that wait for Deferreds, and pausing.

#include "defer/defer_testing.h"

using bine::Deferred;
using bine::DeferredRef;
using bine::Failure;
using bine::Resolver;
using bine::Result;

static bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class DeferredChainingTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d022_aReturnedUnfiredDeferredIsWaitedFor() {
        Pair<int> outer;
        Pair<std::string> inner;
        std::string seen;
        auto d = std::move(outer.deferred).addCallback([&](int) { return std::move(inner.deferred); }).addCallback([&](std::string value) {
            seen = std::move(value);
        });
        outer.resolver.callback(1);
        QCOMPARE(seen, std::string());
        inner.resolver.callback("inner");
        QCOMPARE(seen, std::string("inner"));
    }
    void d022_itsFailureComesThrough() {
        Pair<int> outer;
        Pair<int> inner;
        std::string seen;
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); }).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        outer.resolver.callback(1);
        inner.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops"));
    }
    void d022_callbacksAddedWhileWaitingRunAfterwards() {
        Pair<int> outer;
        Pair<int> inner;
        int seen = 0;
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); });
        outer.resolver.callback(1);
        outer.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 0);
        inner.resolver.callback(8);
        QCOMPARE(seen, 8);
    }
    void d022_theCallableLivesUntilWhatItReturnedHasFired() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        Pair<int> outer;
        Pair<int> inner;
        outer.deferred.addCallback([held = std::move(held), &inner](int) { return std::move(inner.deferred); });
        outer.resolver.callback(1);
        QVERIFY(!alive.expired());
        inner.resolver.callback(1);
        QVERIFY(alive.expired());
    }

    void d023_aReturnedFiredDeferredIsTakenAtOnce() {
        Pair<int> outer;
        Pair<int> inner;
        inner.resolver.callback(6);
        int seen = 0;
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); }).addCallback([&](int value) { return seen = value; });
        outer.resolver.callback(1);
        QCOMPARE(seen, 6);
    }
    void d023_aReturnedSucceededHandleIsTakenAtOnce() {
        int seen = 0;
        bine::succeed(1).addCallback([](int) { return bine::succeed(2.5); }).addCallback([&](double value) { seen = static_cast<int>(value * 2); });
        QCOMPARE(seen, 5);
    }
    void d023_aReturnedFailedHandleIsTakenAtOnce() {
        std::string seen;
        bine::succeed(1).addCallback([](int) { return bine::fail<int>(oops()); }).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        QCOMPARE(seen, std::string("oops"));
    }

    void d024_whatWasTakenLeavesNothing() {
        Pair<int> outer;
        Pair<int> inner;
        inner.resolver.callback(6);
        const DeferredRef ref = inner.deferred.ref();
        QVERIFY(contains(ref.describe(), "a value"));
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); });
        outer.resolver.callback(1);
        QCOMPARE(ref.describe(), std::string("fired with nothing"));
    }
    void d024_aTakenFailureIsReportedOnlyAtTheOuterOne() {
        {
            Pair<int> outer;
            {
                Pair<int> inner;
                inner.resolver.errback(oops());
                outer.deferred.addCallback([&](int) { return std::move(inner.deferred); });
                outer.resolver.callback(1);
            }
            QVERIFY(log_.recorder().empty());
        }
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }

    void d025_errbacksMayReturnDeferreds() {
        Pair<int> outer;
        Pair<int> inner;
        int seen = 0;
        outer.deferred.addErrback([&](Failure) { return std::move(inner.deferred); }).addCallback([&](int value) { return seen = value; });
        outer.resolver.errback(oops());
        QCOMPARE(seen, 0);
        inner.resolver.callback(4);
        QCOMPARE(seen, 4);
    }
    void d025_theErrbackOfAddCallbacksMayReturnADeferred() {
        Pair<int> outer;
        Pair<int> inner;
        int seen = 0;
        outer.deferred.addCallbacks([](int value) { return value; }, [&](Failure) { return std::move(inner.deferred); }).addCallback([&](int value) {
            return seen = value;
        });
        outer.resolver.errback(oops());
        inner.resolver.callback(4);
        QCOMPARE(seen, 4);
    }
    void d025_addBothMayReturnADeferred() {
        Pair<int> outer;
        Pair<std::string> inner;
        std::string seen;
        auto d = std::move(outer.deferred).addBoth([&](Result<int>) { return std::move(inner.deferred); }).addCallback([&](std::string value) {
            seen = std::move(value);
        });
        outer.resolver.errback(oops());
        inner.resolver.callback("both");
        QCOMPARE(seen, std::string("both"));
    }

    void d026_waitingIsTransitive() {
        Pair<int> a, b, c;
        int seen = 0;
        b.deferred.addCallback([&](int) { return std::move(c.deferred); });
        a.deferred.addCallback([&](int) { return std::move(b.deferred); }).addCallback([&](int value) { return seen = value; });
        a.resolver.callback(1);
        b.resolver.callback(2);
        QCOMPARE(seen, 0);
        c.resolver.callback(3);
        QCOMPARE(seen, 3);
    }

    void d027_callbacksOfTheMiddleRunBeforeTheOuterGetsTheValue() {
        Pair<int> a, b, c;
        std::string order;
        b.deferred.addCallback([&](int) { return std::move(c.deferred); }).addCallback([&](int value) {
            order += "middle ";
            return value + 1;
        });
        a.deferred.addCallback([&](int) { return std::move(b.deferred); }).addCallback([&](int value) {
            order += "outer " + std::to_string(value);
            return value;
        });
        a.resolver.callback(1);
        b.resolver.callback(2);
        c.resolver.callback(3);
        QCOMPARE(order, std::string("middle outer 4"));
    }

    // The handle went into the outer chain, so nothing can be added; a reference shows what is left when the outer goes on.
    void d028_theInnerIsLeftWithNothingWhenTheOuterGoesOn() {
        Pair<int> outer, inner;
        const DeferredRef ref = inner.deferred.ref();
        std::string before, during;
        inner.deferred.addCallback([&](int value) { return value; });
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); }).addCallback([&](int value) {
            during = ref.describe();
            return value;
        });
        outer.resolver.callback(1);
        before = ref.describe();
        inner.resolver.callback(2);
        QCOMPARE(before, std::string("not fired yet"));
        QCOMPARE(during, std::string("fired with nothing"));
        QCOMPARE(ref.describe(), std::string("fired with nothing"));
    }

    void d029_aPausedInnerBlocksTheOuter() {
        Pair<int> outer, inner;
        int seen = 0;
        inner.deferred.pause();
        inner.resolver.callback(5);
        DeferredRef ref = inner.deferred.ref();
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); }).addCallback([&](int value) { return seen = value; });
        outer.resolver.callback(1);
        QCOMPARE(seen, 0);
        ref.unpause();
        QCOMPARE(seen, 5);
    }

    // Length and stack are at their limits in deep_test.
    void d030_theStackIsFlatWhenReturnedDeferredsFire() {
        constexpr int count = 1000;
        std::vector<Resolver<int>> resolvers(count);
        std::vector<std::uintptr_t> depths;
        Deferred<int> next = resolvers.back().deferred();
        for (int i = count - 2; i >= 0; --i) {
            Deferred<int> outer = resolvers[i].deferred();
            outer.addCallback([held = std::make_shared<Deferred<int>>(std::move(next))](int) { return std::move(*held); });
            outer.addCallback([&](int value) {
                depths.push_back(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
                return value + 1;
            });
            next = std::move(outer);
        }
        for (int i = 0; i < count; ++i) resolvers[i].callback(0);
        int seen = 0;
        next.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, count - 1);
        QCOMPARE(depths.size(), std::size_t(count - 1));
        QVERIFY(std::all_of(depths.begin(), depths.end(), [&](std::uintptr_t depth) { return depth == depths[0]; }));
    }

    void d031_chainDeferredForwardsTheValue() {
        Pair<int> one, two;
        int seen = 0;
        two.deferred.addCallback([&](int value) { return seen = value; });
        auto rest = std::move(one.deferred).chainDeferred(std::move(two.resolver));
        one.resolver.callback(7);
        QCOMPARE(seen, 7);
    }
    void d031_chainDeferredForwardsTheFailure() {
        Pair<int> one, two;
        std::string seen;
        two.deferred.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        auto rest = std::move(one.deferred).chainDeferred(std::move(two.resolver));
        one.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops"));
    }
    void d031_whatIsLeftCarriesNothingAndRunsAfterTheTarget() {
        Pair<int> one, two;
        std::string order;
        two.deferred.addCallback([&](int value) {
            order += "two ";
            return value;
        });
        auto rest = std::move(one.deferred).chainDeferred(std::move(two.resolver)).addCallback([&] { order += "rest"; });
        one.resolver.errback(oops());
        QCOMPARE(order, std::string("rest"));
        two.deferred.addErrback([](Failure) { return 0; });
        Pair<int> three, four;
        order.clear();
        four.deferred.addCallback([&](int value) {
            order += "four ";
            return value;
        });
        auto after = std::move(three.deferred).chainDeferred(std::move(four.resolver)).addCallback([&] { order += "rest"; });
        three.resolver.callback(1);
        QCOMPARE(order, std::string("four rest"));
    }
    void d031_cancellingTheTargetDoesNotAffectTheFirst() {
        Pair<int> one, two;
        two.deferred.addErrback([](Failure failure) {
            failure.trap<bine::CancelledError>();
            return -1;
        });
        int seen = 0;
        int rest = 0;
        one.deferred.addCallback([&](int value) { return seen = value; });
        auto left = std::move(one.deferred).chainDeferred(std::move(two.resolver)).addCallback([&] { ++rest; });
        two.deferred.cancel();
        QVERIFY(!left.called());
        one.resolver.callback(3);
        QCOMPARE(seen, 3);
        QCOMPARE(rest, 1);
    }
    void d031_aTargetFiredAlreadyGivesTheRestAnError() {
        Pair<int> one;
        Resolver<int> two;
        auto d = two.deferred();
        two.callback(1);
        bool seen = false;
        std::string way;
        auto rest = std::move(one.deferred).chainDeferred(std::move(two)).addErrback([&](Failure failure) {
            seen = failure.check<bine::AlreadyCalledError>() != nullptr;
            way = failure.getTraceback();
        });
        Resolver<> outer;
        auto last = outer.deferred().addCallback([&] { return std::move(rest); });
        outer.callback();
        const auto fired = std::source_location::current().line() + 1;
        one.resolver.callback(1);
        QVERIFY(seen);
        // What the error says is the target's; the way it came begins where the source was fired.
        QVERIFY2(way.find("fired at") != std::string::npos && way.find("deferred_chaining_test.cpp:" + std::to_string(fired)) != std::string::npos, way.c_str());
    }

    void d032_describeTellsWhatAnUnfiredOneIs() {
        Pair<int> p;
        QCOMPARE(p.deferred.describe(), std::string("not fired yet"));
    }
    void d032_describeTellsTheResult() {
        Pair<int> p;
        p.resolver.callback(1);
        QCOMPARE(p.deferred.describe(), std::string("fired with a value"));
        QCOMPARE(bine::succeed(1).describe(), std::string("fired with a value"));
        Pair<int> q;
        q.resolver.errback(oops("bad luck"));
        QVERIFY(contains(q.deferred.describe(), "bad luck"));
        q.deferred.addErrback([](Failure) { return 0; });
    }
    void d032_describeTellsWhatIsWaitedForAndForgetsItAfterwards() {
        Pair<int> outer;
        Resolver<int> resolver;
        const auto line = std::source_location::current().line() + 1;
        auto inner = resolver.deferred();
        outer.deferred.addCallback([&](int) { return std::move(inner); });
        outer.resolver.callback(1);
        QVERIFY(contains(outer.deferred.describe(), "waiting on"));
        QVERIFY(contains(outer.deferred.describe(), "deferred_chaining_test.cpp:" + std::to_string(line)));
        resolver.callback(1);
        QCOMPARE(outer.deferred.describe(), std::string("fired with a value"));
    }

    void d033_pauseCounts() {
        Pair<int> p;
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        p.deferred.pause();
        p.deferred.pause();
        p.resolver.callback(1);
        p.deferred.unpause();
        QCOMPARE(seen, 0);
        p.deferred.unpause();
        QCOMPARE(seen, 1);
    }
    void d033_callbacksAddedWhilePausedWait() {
        auto d = bine::succeed(1);
        d.pause();
        int seen = 0;
        d.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 0);
        d.unpause();
        QCOMPARE(seen, 1);
    }
    void d033_pauseInsideACallbackHoldsTheNext() {
        Pair<int> p;
        std::string order;
        p.deferred.addCallback([&](int value) {
            p.deferred.pause();
            order += "first ";
            return value;
        });
        p.deferred.addCallback([&](int value) {
            order += "second";
            return value;
        });
        p.resolver.callback(1);
        QCOMPARE(order, std::string("first "));
        p.deferred.unpause();
        QCOMPARE(order, std::string("first second"));
    }
    void d033_aHoldPausesAsLongAsItLives() {
        int calls = 0;
        Pair<int> p;
        p.deferred.addCallback([&](int value) { return ++calls, value; });
        {
            bine::Hold first = p.deferred.hold();
            {
                const bine::Hold moved = std::move(first);
                const bine::Hold second = p.deferred.hold();
                p.resolver.callback(1);
            }
            QCOMPARE(calls, 1);
            first.release();  // it has nothing any more
        }
        QCOMPARE(calls, 1);
    }
    void d033_aHoldMayOutliveTheDeferred() {
        auto p = std::make_unique<Pair<int>>();
        const bine::Hold hold = p->deferred.hold();
        p->resolver.callback(1);
        p.reset();
    }
    void d034_unpauseBeforeAnyResultDoesNothing() {
        Pair<int> p;
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        p.deferred.pause();
        p.deferred.unpause();
        QCOMPARE(p.deferred.describe(), std::string("not fired yet"));
        QCOMPARE(seen, 0);
        p.resolver.callback(1);
        QCOMPARE(seen, 1);
    }
    void d034_unpauseWithoutPauseDoesNotCount() {
        Pair<int> p;
        int seen = 0;
        p.deferred.unpause();
        p.deferred.pause();
        p.resolver.callback(1);
        p.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 0);
        p.deferred.unpause();
        QCOMPARE(seen, 1);
    }
    void d035_firingWhilePausedKeepsTheValue() {
        Pair<int> p;
        p.deferred.pause();
        p.resolver.callback(9);
        QVERIFY(p.deferred.called());
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 0);
        p.deferred.unpause();
        QCOMPARE(seen, 9);
    }
    void d035_firingWhilePausedKeepsTheFailure() {
        Pair<int> p;
        p.deferred.pause();
        p.resolver.errback(oops());
        std::string seen;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        QCOMPARE(seen, std::string());
        p.deferred.unpause();
        QCOMPARE(seen, std::string("oops"));
    }

    void aReferenceKeepsNoResultAlive() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        DeferredRef ref;
        {
            Pair<std::shared_ptr<int>> p;
            ref = p.deferred.ref();
            p.resolver.callback(std::move(held));
            QVERIFY(!alive.expired());
        }
        QVERIFY(alive.expired());
    }
};

QTEST_GUILESS_MAIN(DeferredChainingTest)
#include "deferred_chaining_test.moc"
