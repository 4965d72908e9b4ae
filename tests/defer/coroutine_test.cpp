// Coroutines that return Deferreds.

#include "defer/defer_testing.h"

#include <thread>

#include "bine/defer/owner.h"
#include "bine/reactors/manual_clock.h"

using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Scope;

namespace {

/// Says when it is destroyed.
struct Guard {
    explicit Guard(bool& gone) : gone(&gone) {}
    Guard(Guard&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
    ~Guard() {
        if (gone) *gone = true;
    }
    bool* gone;
};

template <class T>
Deferred<T> pass(Deferred<T> d) {
    co_return co_await d;
}

}  // namespace

class CoroutineTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d087_aCoroutineRunsAtOnceUntilItsFirstIncompleteAwait() {
        Pair<int> p;
        std::string order;
        auto work = [&](Deferred<int> d) -> Deferred<void> {
            order += "a";
            co_await bine::succeed(1);
            order += "b";
            co_await d;
            order += "c";
        };
        auto d = work(std::move(p.deferred));
        QCOMPARE(order, std::string("ab"));
        p.resolver.callback(1);
        QCOMPARE(order, std::string("abc"));
        QVERIFY(d.called());
    }

    void d088_awaitingFiredOnesNeitherSuspendsNorGrowsTheStack() {
        auto work = []() -> Deferred<int> {
            int sum = 0;
            for (int i = 0; i < 100'000; ++i) sum += co_await bine::succeed(1);
            co_return sum;
        };
        int seen = 0;
        auto d = work();
        QVERIFY(d.called());
        d.addCallback([&](int sum) { return seen = sum; });
        QCOMPARE(seen, 100'000);
    }
    void d088_awaitingFinishedCoroutinesDoesNotSuspend() {
        auto leaf = [](int i) -> Deferred<int> { co_return i % 2; };
        auto work = [&]() -> Deferred<int> {
            int sum = 0;
            for (int i = 0; i < 100'000; ++i) {
                auto d = leaf(i);
                sum += co_await d;
            }
            co_return sum;
        };
        int seen = 0;
        work().addCallback([&](int sum) { seen = sum; });
        QCOMPARE(seen, 50'000);
    }

    void d089_aFailureIsThrownAtTheAwait() {
        Pair<int> p;
        std::string seen;
        auto work = [&](Deferred<int> d) -> Deferred<void> {
            try {
                co_await d;
            } catch (const std::runtime_error& e) {
                seen = e.what();
            }
        };
        auto d = work(std::move(p.deferred));
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops"));
        QVERIFY(d.called());
    }
    void d089_theOriginalExceptionIsThrown() {
        const auto original = std::make_exception_ptr(oops());
        bool same = false;
        auto work = [&](Deferred<int> d) -> Deferred<void> {
            try {
                co_await d;
            } catch (...) {
                same = std::current_exception() == original;
            }
        };
        work(bine::fail<int>(Failure(original)));
        QVERIFY(same);
    }

    void d090_awaitingOneThatWaitsGivesTheEventualValue() {
        Pair<int> outer, inner;
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred); });
        outer.resolver.callback(1);
        auto d = pass(std::move(outer.deferred));
        QVERIFY(!d.called());
        inner.resolver.callback(2);
        int seen = 0;
        d.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 2);
    }
    void d090_awaitingAPausedOneWaits() {
        Pair<int> p;
        p.deferred.pause();
        p.resolver.callback(3);
        auto ref = p.deferred.ref();
        auto d = pass(std::move(p.deferred));
        QVERIFY(!d.called());
        ref.unpause();
        QVERIFY(d.called());
        int seen = 0;
        d.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 3);
    }

    void d091_returnFires() {
        int seen = 0;
        auto work = []() -> Deferred<int> { co_return 5; };
        work().addCallback([&](int value) { seen = value; });
        QCOMPARE(seen, 5);
    }
    void d091_fallingOffTheEndGivesNothing() {
        bool seen = false;
        auto work = [](Deferred<int> d) -> Deferred<void> { co_await d; };
        work(bine::succeed(1)).addCallback([&] { seen = true; });
        QVERIFY(seen);
    }
    void d091_anEscapingExceptionFails() {
        std::string seen;
        auto work = [](Deferred<int> d) -> Deferred<int> {
            co_await d;
            throw oops("escaped");
        };
        Pair<int> p;
        auto d = work(std::move(p.deferred)).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("escaped"));
    }
    void d091_callbacksOfACoroutineRunWhenItEnds() {
        Pair<int> p;
        int seen = 0;
        auto d = pass(std::move(p.deferred)).addCallback([](int value) { return value + 1; }).addCallback([&](int value) { seen = value; });
        p.resolver.callback(1);
        QCOMPARE(seen, 2);
    }

    // A compiler may let all awaits of an expression suspend before it asks the first for its result.
    void d087_whatWasTakenByAnAwaitCannotBeHandedOn() {
        Pair<std::string> p, target;
        const auto work = [](Deferred<std::string>& d) -> Deferred<> { co_await d; };
        work(p.deferred);
        p.resolver.callback("a text that is too long for the buffer inside a string");
        QVERIFY_THROWS_EXCEPTION(std::logic_error, std::move(p.deferred).chainDeferred(std::move(target.resolver)));
        std::string why;
        bine::succeed(1).addCallback([&](int) { return std::move(p.deferred); }).addErrback([&](const Failure& failure) {
            why = failure.typeName();
            return std::string();
        });
        QCOMPARE(why, std::string("std::logic_error"));
        target.deferred.addErrback([](const Failure&) { return std::string(); });
    }
    void d097_twoAwaitsInOneExpression_data() {
        QTest::addColumn<bool>("leftFirst");
        QTest::newRow("left first") << true;
        QTest::newRow("right first") << false;
    }
    void d097_twoAwaitsInOneExpression() {
        QFETCH(bool, leftFirst);
        Pair<int> left, right;
        const auto work = [](Deferred<int> a, Deferred<int> b) -> Deferred<int> { co_return 100 * co_await a + co_await std::move(b); };
        int got = 0;
        auto d = work(std::move(left.deferred), std::move(right.deferred));
        d.addCallback([&](int value) { return got = value; });
        if (leftFirst) left.resolver.callback(1);
        right.resolver.callback(2);
        if (!leftFirst) left.resolver.callback(1);
        QCOMPARE(got, 102);
    }
    void d097_twoAwaitsInOneExpressionOneOfWhichFails() {
        for (const bool leftFails : {true, false}) {
            Pair<std::string> left, right, last;
            const auto work = [](Deferred<std::string> a, Deferred<std::string> b, Deferred<std::string> c) -> Deferred<std::string> {
                std::string text;
                try {
                    text = co_await a + co_await b;
                } catch (const std::runtime_error& error) {
                    text = error.what();
                }
                co_return text + co_await c;
            };
            std::string got;
            work(std::move(left.deferred), std::move(right.deferred), std::move(last.deferred)).addCallback([&](std::string text) { got = text; });
            leftFails ? left.resolver.errback(oops()) : left.resolver.callback("left ");
            if (!right.resolver.called()) leftFails ? right.resolver.callback("right ") : right.resolver.errback(oops());
            last.resolver.callback(" then");
            QCOMPARE(got, std::string("oops then"));
        }
    }
    void d093_anOwnerDiesBetweenTwoAwaitsOfOneExpression() {
        Pair<std::shared_ptr<int>> left, right;
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        const auto work = [](Deferred<std::shared_ptr<int>> a, Deferred<std::shared_ptr<int>> b) -> Deferred<int> { co_return *co_await a + *co_await b; };
        {
            Scope scope;
            auto d = work(std::move(left.deferred), std::move(right.deferred)).ownedBy(scope);
            left.resolver.callback(std::move(held));
            QVERIFY(!alive.expired());
        }
        QVERIFY(alive.expired());
        QVERIFY(right.resolver.called());
    }
    void d093_cancellingTheOuterCancelsWhatIsAwaited() {
        int canceller = 0;
        Resolver<int> resolver([&] { ++canceller; });
        bool thrown = false;
        auto work = [&](Deferred<int> d) -> Deferred<int> {
            try {
                co_return co_await d;
            } catch (const CancelledError&) {
                thrown = true;
                throw;
            }
        };
        auto d = work(resolver.deferred());
        bool cancelled = false;
        d.addErrback([&](Failure failure) {
            cancelled = failure.check<CancelledError>() != nullptr;
            return 0;
        });
        d.cancel();
        QCOMPARE(canceller, 1);
        QVERIFY(thrown);
        QVERIFY(cancelled);
    }

    void d094_aCoroutineThatCatchesItGoesOnAndASecondCancelHitsTheNextAwait() {
        Pair<int> first, second;
        int caught = 0;
        auto work = [&](Deferred<int> a, Deferred<int> b) -> Deferred<int> {
            try {
                co_await a;
            } catch (const CancelledError&) {
                ++caught;
            }
            try {
                co_await b;
            } catch (const CancelledError&) {
                ++caught;
            }
            co_return caught;
        };
        auto d = work(std::move(first.deferred), std::move(second.deferred));
        d.cancel();
        QCOMPARE(caught, 1);
        QVERIFY(!d.called());
        QVERIFY(!second.resolver.called());
        d.cancel();
        QCOMPARE(caught, 2);
        QVERIFY(d.called());
    }
    void d094_aCancelFromInsideHitsTheNextIncompleteAwait() {
        Pair<int> first, second;
        bine::DeferredRef self;
        std::string seen;
        auto work = [&](Deferred<int> a, Deferred<int> b) -> Deferred<void> {
            co_await a;
            self.cancel();
            seen += "on ";
            co_await bine::succeed(1);
            try {
                co_await b;
            } catch (const CancelledError&) {
                seen += "cancelled";
            }
        };
        auto d = work(std::move(first.deferred), std::move(second.deferred));
        self = d.ref();
        first.resolver.callback(1);
        QCOMPARE(seen, std::string("on cancelled"));
        QVERIFY(d.called());
    }

    void d095_aTranslatedErrorReachesTheOuter() {
        Pair<int> p;
        auto work = [](Deferred<int> d) -> Deferred<int> {
            try {
                co_return co_await d;
            } catch (const CancelledError&) {
                throw oops("translated");
            }
        };
        std::string seen;
        auto d = work(std::move(p.deferred));
        d.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        d.cancel();
        QCOMPARE(seen, std::string("translated"));
    }
    void d095_aReturnedValueMakesItSucceed() {
        Pair<int> p;
        auto work = [](Deferred<int> d) -> Deferred<int> {
            try {
                co_return co_await d;
            } catch (const CancelledError&) {
                co_return 7;
            }
        };
        int seen = 0;
        auto d = work(std::move(p.deferred));
        d.addCallback([&](int value) { return seen = value; });
        d.cancel();
        QCOMPARE(seen, 7);
    }

    void d096_theOuterWaitsForACancellationThatTakesTime() {
        Pair<int> operation, cleaning;
        auto inner = [](Deferred<int> d, Deferred<int> clean) -> Deferred<int> {
            bool cancelled = false;
            try {
                co_return co_await d;
            } catch (const CancelledError&) {
                cancelled = true;
            }
            co_await clean;
            if (cancelled) throw CancelledError("cleaned up");
            co_return 0;
        };
        auto d = pass(inner(std::move(operation.deferred), std::move(cleaning.deferred)));
        std::string seen;
        d.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        d.cancel();
        QVERIFY(!d.called());
        QCOMPARE(seen, std::string());
        cleaning.resolver.callback(1);
        QCOMPARE(seen, std::string("cleaned up"));
    }

    void d097_cancellationGoesThroughStackedCoroutinesAndCallbacks() {
        Pair<int> first, second;
        std::string seen;
        auto leaf = [](Deferred<int> a, Deferred<int> b) -> Deferred<int> {
            co_await a;
            co_return co_await b;
        };
        auto middle = [&](Deferred<int> d) -> Deferred<int> {
            try {
                co_return co_await d;
            } catch (const CancelledError&) {
                seen += "middle ";
                throw;
            }
        };
        Pair<int> start;
        auto d = std::move(start.deferred)
                     .addCallback([&](int) { return middle(leaf(std::move(first.deferred), std::move(second.deferred))); })
                     .addErrback([&](Failure failure) {
                         seen += failure.typeName();
                         return 0;
                     });
        start.resolver.callback(1);
        first.resolver.callback(1);
        d.cancel();
        QVERIFY(second.resolver.called());
        QCOMPARE(seen, std::string("middle bine::CancelledError"));
    }
    void d097_valuesAndFailuresGoThroughThem() {
        Pair<int> good, bad;
        int value = 0;
        std::string error;
        auto d = pass(pass(pass(std::move(good.deferred)))).addCallback([&](int v) { value = v; });
        auto e = pass(pass(pass(std::move(bad.deferred)))).addErrback([&](Failure failure) {
            error = failure.getErrorMessage();
            return 0;
        });
        good.resolver.callback(4);
        bad.resolver.errback(oops());
        QCOMPARE(value, 4);
        QCOMPARE(error, std::string("oops"));
    }

    void d098_theLogPrefixIsInForceAtEveryResume() {
        Pair<int> first, second;
        std::vector<std::string> prefixes;
        auto work = [&](Deferred<int> a, Deferred<int> b) -> Deferred<void> {
            prefixes.push_back(bine::LogContext::current().text());
            co_await a;
            prefixes.push_back(bine::LogContext::current().text());
            co_await b;
            prefixes.push_back(bine::LogContext::current().text());
        };
        auto d = bine::succeed();
        {
            const bine::LogScope scope(bine::LogContext("mine"));
            d = work(std::move(first.deferred), std::move(second.deferred));
        }
        first.resolver.callback(1);
        {
            const bine::LogScope scope(bine::LogContext("somebody else's"));
            second.resolver.callback(1);
            QCOMPARE(bine::LogContext::current().text(), std::string("somebody else's"));
        }
        QCOMPARE(prefixes, (std::vector<std::string>{"mine", "mine", "mine"}));
        QCOMPARE(bine::LogContext::current().text(), std::string());
    }
    void d098_theOwnerIsInForceAfterEveryResume() {
        Pair<int> first, second;
        int steps = 0;
        auto work = [&](Deferred<int> a, Deferred<int> b) -> Deferred<void> {
            co_await a;
            ++steps;
            co_await b;
            ++steps;
        };
        auto scope = std::make_unique<Scope>();
        auto d = work(std::move(first.deferred), std::move(second.deferred)).ownedBy(*scope);
        first.resolver.callback(1);
        QCOMPARE(steps, 1);
        scope.reset();
        QVERIFY(second.resolver.called());
        second.resolver.callback(1);
        QCOMPARE(steps, 1);
    }

    void d099_localsAndArgumentsDieAtTheEnd() {
        bool local = false, argument = false;
        bool duringLocal = true, duringArgument = true;
        Pair<int> p;
        auto work = [&](Deferred<int> d, Guard held) -> Deferred<int> {
            const Guard guard(local);
            static_cast<void>(held);
            co_return co_await d;
        };
        auto d = work(std::move(p.deferred), Guard(argument));
        d.addCallback([&](int value) {
            duringLocal = local;
            duringArgument = argument;
            return value;
        });
        QVERIFY(!local && !argument);
        p.resolver.callback(1);
        QVERIFY(duringLocal);
        QVERIFY(duringArgument);
        QVERIFY(d.called());
    }

    void d100_theTraceOfNestedCoroutinesShowsEveryFrame() {
        std::uint_least32_t leafLine = 0, middleLine = 0, topLine = 0;
        Pair<int> p;
        auto leaf = [&](Deferred<int> d) -> Deferred<int> {
            leafLine = std::source_location::current().line() + 1;
            co_return co_await d;
        };
        auto middle = [&](Deferred<int> d) -> Deferred<int> {
            middleLine = std::source_location::current().line() + 1;
            const int value = co_await d;
            co_return value;
        };
        auto top = [&](Deferred<int> d) -> Deferred<int> {
            topLine = std::source_location::current().line() + 1;
            co_return co_await d;
        };
        std::string trace;
        auto d = top(middle(leaf(std::move(p.deferred)))).addErrback([&](Failure failure) {
            trace = failure.getTraceback();
            return 0;
        });
        p.resolver.errback(oops());
        for (const auto line : {leafLine, middleLine, topLine}) {
            const std::string place = "awaited at coroutine_test.cpp:" + std::to_string(line);
            QVERIFY2(trace.find("coroutine_test.cpp:" + std::to_string(line)) != std::string::npos, (place + " is not in " + trace).c_str());
        }
        QVERIFY2(trace.find("deferred.h") == std::string::npos && trace.find("core.cpp") == std::string::npos, trace.c_str());
    }
    void d100_awaitingAFailedOneShowsOriginAndAwait() {
        const auto origin = std::source_location::current().line() + 1;
        auto failed = bine::fail<int>(oops());
        std::uint_least32_t await = 0;
        auto work = [&](Deferred<int> d) -> Deferred<int> {
            await = std::source_location::current().line() + 1;
            co_return co_await d;
        };
        std::string trace;
        auto d = work(std::move(failed)).addErrback([&](Failure failure) {
            trace = failure.getTraceback();
            return 0;
        });
        QVERIFY2(trace.find("coroutine_test.cpp:" + std::to_string(origin)) != std::string::npos, trace.c_str());
        QVERIFY2(trace.find("coroutine_test.cpp:" + std::to_string(await)) != std::string::npos, trace.c_str());
    }
    void d100_anErrbackThatLetsItThroughKeepsTheTrace() {
        const auto origin = std::source_location::current().line() + 1;
        auto d = bine::fail<int>(oops());
        std::string trace;
        d.addErrback([](Failure failure) -> int { throw failure.trap<std::logic_error>(); }).addErrback([&](Failure failure) {
            trace = failure.getTraceback();
            return 0;
        });
        QVERIFY2(trace.find("coroutine_test.cpp:" + std::to_string(origin)) != std::string::npos, trace.c_str());
    }

    void d101_droppingTheHandleDetachesTheCoroutine() {
        Pair<int> p;
        int seen = 0;
        auto work = [&](Deferred<int> d) -> Deferred<void> { seen = co_await d; };
        work(std::move(p.deferred));
        p.resolver.callback(3);
        QCOMPARE(seen, 3);
    }
    void d101_theFailureOfADetachedCoroutineIsReported() {
        Pair<int> p;
        pass(std::move(p.deferred));
        p.resolver.errback(oops());
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void d101_anOwnedCoroutineIsUnwoundWhenItsOwnerDies() {
        bool unwound = false, caught = false, outer = false;
        Pair<int> p;
        auto work = [&](Deferred<int> d) -> Deferred<int> {
            const Guard guard(unwound);
            try {
                co_return co_await d;
            } catch (...) {
                caught = true;
                throw;
            }
        };
        {
            Scope scope;
            auto d = work(std::move(p.deferred)).ownedBy(scope).addBoth([&](bine::Result<int>) { outer = true; });
        }
        QVERIFY(unwound);
        QVERIFY(!caught);
        QVERIFY(!outer);
        QVERIFY(p.resolver.called());
    }

    void d102_aCoroutineResumedInANestedLoopResumesThereAtOnce() {
        bine::ManualClock clock;
        Pair<int> outer, inner;
        std::string order;
        std::thread::id thread;
        auto work = [&](Deferred<int> d) -> Deferred<void> {
            co_await d;
            order += "resumed ";
            thread = std::this_thread::get_id();
        };
        auto w = work(std::move(inner.deferred));
        clock.callLater(std::chrono::seconds(1), [&] { inner.resolver.callback(1); });
        outer.deferred.addCallback([&](int value) {
            order += "<";
            clock.advance(std::chrono::seconds(2));  // a loop inside a callback
            order += ">";
            return value;
        });
        outer.resolver.callback(1);
        QCOMPARE(order, std::string("<resumed >"));
        QVERIFY(thread == std::this_thread::get_id());
    }

    void d017_twoThatWaitForEachOtherAreDiagnosed() {
        Pair<int> a, b;
        auto ref = b.deferred.ref();
        bool seen = false;
        b.deferred.addCallback([&](int) { return std::move(a.deferred); }).addErrback([&](Failure failure) {
            seen = failure.check<std::logic_error>() != nullptr;
            return 0;
        });
        a.deferred.addCallback([&](int) { return std::move(b.deferred); });
        a.resolver.callback(1);
        b.resolver.callback(1);
        QVERIFY(seen);
        ref.cancel();  // hangs nowhere
    }
    void d017_aCoroutineThatAwaitsItselfIsTold() {
        Pair<int> p;
        Deferred<void> self = bine::succeed();
        bool told = false;
        auto work = [&](Deferred<int> d) -> Deferred<void> {
            co_await d;
            try {
                co_await self;
            } catch (const std::logic_error&) {
                told = true;
            }
        };
        self = work(std::move(p.deferred));
        p.resolver.callback(1);
        QVERIFY(told);
    }

    void awaitingAHandleThatWasMovedAwayThrows() {
        bool thrown = false;
        auto d = bine::succeed(1);
        auto e = std::move(d);
        auto work = [&](Deferred<int> gone) -> Deferred<void> {
            try {
                co_await gone;
            } catch (const std::logic_error&) {
                thrown = true;
            }
        };
        work(std::move(d));
        QVERIFY(thrown);
    }
    void awaitingWhatDiedWithItsOwnerThrowsCancelledError() {
        Resolver<int> resolver;
        auto d = resolver.deferred();
        {
            Scope scope;
            d.ownedBy(scope);
        }
        bool cancelled = false;
        auto work = [&](Deferred<int> gone) -> Deferred<void> {
            try {
                co_await gone;
            } catch (const CancelledError&) {
                cancelled = true;
            }
        };
        work(std::move(d));
        QVERIFY(cancelled);
    }
};

QTEST_GUILESS_MAIN(CoroutineTest)
#include "coroutine_test.moc"
