// Hard cases of who outlives whom: owners, frames, captures, handles and references that die inside each other.

#include "defer/defer_testing.h"

#include "bine/defer/maybe_deferred.h"
#include "bine/defer/owner.h"

using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Result;
using bine::Scope;

namespace {

/// Writes its name when it is destroyed.
class Mark {
public:
    Mark(std::string& order, const char* name) : order_(&order), name_(name) {}
    Mark(Mark&& other) noexcept : order_(std::exchange(other.order_, nullptr)), name_(other.name_) {}
    ~Mark() {
        if (order_) *order_ += name_;
    }

private:
    std::string* order_;
    const char* name_;
};

/// A coroutine that writes its name when its frame goes, and before that whether it was resumed, with a value or with a failure.
Deferred<int> frame(Deferred<int> d, std::string& order, const char* name) {
    const Mark mark(order, name);
    int value = 0;
    try {
        value = co_await std::move(d);
    } catch (const std::exception&) {
        order += "told ";
        throw;
    }
    order += "resumed ";
    co_return value;
}
/// The same of one that somebody else has the handle of.
template <class T>
Deferred<> frameByReference(Deferred<T>& d, std::string& order, const char* name) {
    const Mark mark(order, name);
    try {
        co_await d;
        order += "resumed ";
    } catch (const std::exception&) {
        order += "told ";
    }
}

/// Whether a line of the trace names this line of this file.
bool saysPlace(const std::string& trace, const std::string& what, std::uint_least32_t line) {
    const auto start = trace.find("\n  " + what + " ");
    const auto rest = start == std::string::npos ? std::string() : trace.substr(start + 1);
    return rest.substr(0, rest.find('\n')).find("lifetime_test.cpp:" + std::to_string(line) + " ") != std::string::npos;
}

const char* const longText = "a text that is too long for the buffer inside a string";

}  // namespace

class LifetimeTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    // --- Several things of one owner.

    void r268_twoFramesOfOneOwnerUnwindInnermostFirstAndUntold() {
        Pair<int> p;
        std::string order;
        {
            Scope scope;
            auto inner = frame(std::move(p.deferred), order, "inner ").ownedBy(scope);
            auto outer = frame(std::move(inner), order, "outer").ownedBy(scope);
        }
        QCOMPARE(order, std::string("inner outer"));
    }
    void r268_aFrameThatAwaitsByReferenceIsNotToldOfWhatDiesWithIt() {
        Pair<int> p;
        std::string order;
        {
            Scope scope;
            auto inner = frame(std::move(p.deferred), order, "inner ").ownedBy(scope);
            auto outer = frameByReference(inner, order, "outer").ownedBy(scope);
            scope.cancel();
        }
        QCOMPARE(order, std::string("inner outer"));
    }
    void r268_norIfTheAwaitedOneWasBoundLast() {
        Pair<int> p;
        std::string order;
        {
            Scope scope;
            auto inner = frame(std::move(p.deferred), order, "inner ");
            auto outer = frameByReference(inner, order, "outer").ownedBy(scope);
            inner.ownedBy(scope);
            scope.cancel();
        }
        QCOMPARE(order, std::string("inner outer"));
    }
    void r268_aScopeMayOwnAgainAfterCancel() {
        Scope scope;
        Pair<int> first, second;
        int calls = 0;
        first.deferred.ownedBy(scope);
        scope.cancel();
        second.deferred.ownedBy(scope).addBoth([&](Result<int> result) { return ++calls, result; });
        scope.cancel();
        QVERIFY(second.resolver.called());
        QCOMPARE(calls, 0);
    }

    void r268_theFrameOfALambdaGoesBeforeTheLambda() {
        Pair<int> p;
        std::string seen;
        {
            Scope scope;
            const auto seeAtTheEnd = [&seen](const std::string& text) { return std::shared_ptr<void>(nullptr, [&seen, &text](void*) { seen = text; }); };
            bine::maybeDeferred([text = std::string(longText), &p, &seeAtTheEnd]() -> Deferred<int> {
                const auto atTheEnd = seeAtTheEnd(text);  // a capture, which the lambda has
                co_return co_await std::move(p.deferred);
            }).ownedBy(scope);
        }
        QCOMPARE(seen, std::string(longText));
    }

    // --- What is not owned, and waits for what is.

    void r268_theFrameIsGoneBeforeAnUnownedWaiterIsTold() {
        Pair<int> p;
        std::string order;
        Deferred<int> outer = bine::succeed(1);
        {
            Scope scope;
            auto inner = frame(std::move(p.deferred), order, "inner ").ownedBy(scope);
            outer.addCallback([inner = std::move(inner)](int) mutable { return std::move(inner); });
            outer.addErrback([&](const Failure& failure) {
                order += failure.check<CancelledError>() ? "cancelled" : "something else";
                return 0;
            });
        }
        QCOMPARE(order, std::string("inner cancelled"));
    }
    void r268_returningWhatDiedGivesCancelledError() {
        Pair<int> p;
        {
            Scope scope;
            p.deferred.ownedBy(scope);
        }
        bool cancelled = false;
        bine::succeed(1).addCallback([&](int) { return std::move(p.deferred); }).addErrback([&](const Failure& failure) {
            cancelled = failure.check<CancelledError>() != nullptr;
            return 0;
        });
        QVERIFY(cancelled);
    }

    // --- What is owned, and awaits a Deferred that it was not given.

    void r268_whatADyingCoroutineHasAsAVariableIsCancelledBeforeItsFrameGoes() {
        std::string order;
        Resolver<int> source([&] { order += "source "; });
        int calls = 0;
        const auto work = [&](Deferred<int> d) -> Deferred<> {
            const Mark mark(order, "frame");
            auto mine = std::move(d);
            mine.addBoth([&](Result<int> result) { return ++calls, result; });
            co_await mine;
        };
        {
            Scope scope;
            work(source.deferred()).ownedBy(scope);
        }
        QCOMPARE(order, std::string("source frame"));
        QCOMPARE(calls, 0);
    }
    void r268_whatElseOfTheOwnerDiesFirstSetsItNotGoing() {
        Pair<int> p;
        int calls = 0;
        const auto work = [&](Deferred<int> d) -> Deferred<> {
            d.addBoth([&](Result<int> result) { return ++calls, result; });
            co_await d;
        };
        Scope scope;
        work(std::move(p.deferred)).ownedBy(scope);
        Resolver<int> other([&] { p.resolver.callback(1); });
        auto d = other.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(calls, 0);
    }
    void r268_whatSomebodyElseHasGoesOnAndKeepsItsResult() {
        std::string order;
        Resolver<int> source([&] { order += "source "; });
        auto d = source.deferred();
        {
            Scope scope;
            frameByReference(d, order, "frame ").ownedBy(scope);
        }
        QCOMPARE(order, std::string("frame "));
        source.callback(7);
        int got = 0;
        d.addCallback([&](int value) { return got = value; });
        QCOMPARE(got, 7);
    }
    void r268_othersThatWaitForTheSameAreNotConcerned() {
        std::string order;
        Resolver<> source([&] { order += "source "; });
        auto ready = source.deferred();
        Scope stays;
        {
            Scope scope;
            frameByReference(ready, order, "first ").ownedBy(scope);
            frameByReference(ready, order, "second ").ownedBy(stays);
            frameByReference(ready, order, "third ").ownedBy(scope);
        }
        QCOMPARE(order, std::string("third first "));
        source.callback();
        QCOMPARE(order, std::string("third first resumed second "));
    }
    void r268_aFailureThatNobodyHeardStaysWithWhoeverHasIt() {
        std::string order;
        Pair<int> p;
        {
            Scope scope;
            frameByReference(p.deferred, order, "frame ").ownedBy(scope);
        }
        p.resolver.errback(oops());
        bool failed = false;
        p.deferred.addErrback([&](const Failure&) {
            failed = true;
            return 0;
        });
        QVERIFY(failed);
    }
    void d024_awaitingNothingTakesNothing() {
        std::string order;
        Pair<void> p;
        frameByReference(p.deferred, order, "frame ");
        int got = 0;
        auto number = std::move(p.deferred).addCallback([] { return 7; });
        number.addCallback([&](int value) { return got = value; });
        p.resolver.callback();
        QCOMPARE(order, std::string("resumed frame "));
        QCOMPARE(got, 7);
    }
    void d024_whatWasTakenWhereItStoodCanStillBeOwnedAndPaused() {
        const auto work = [](Scope& scope) -> Deferred<int> {
            auto d = bine::succeed(7);
            const int value = co_await d;
            d.ownedBy(scope).pause();
            d.unpause();
            bool refused = false;
            try {
                d.addCallback([](int taken) { return taken; });
            } catch (const std::logic_error&) {
                refused = true;
            }
            co_return refused ? value : 0;
        };
        Scope scope;
        int got = 0;
        work(scope).addCallback([&](int value) { got = value; });
        QCOMPARE(got, 7);
    }

    // --- The owner dies while its own things run.

    void r268_aDyingCoroutineGoesPastAwaitsThatNeedNotWait() {
        std::string order;
        Pair<int> first;
        Resolver<int> second([&] { order += "source "; });
        auto scope = std::make_unique<Scope>();
        const auto work = [&](Deferred<int> a, Deferred<int> b) -> Deferred<> {
            const Mark mark(order, "frame");
            co_await std::move(a);
            scope.reset();
            co_await bine::succeed();
            order += "past ";
            co_await std::move(b);
            order += "too far ";
        };
        work(std::move(first.deferred), second.deferred()).ownedBy(*scope);
        first.resolver.callback(1);
        QCOMPARE(order, std::string("past source frame"));
    }
    void r268_aRunningFrameGoesBeforeThatOfItsWaiter() {
        std::string order;
        Pair<int> first, second;
        auto scope = std::make_unique<Scope>();
        const auto inner = [&](Deferred<int> a, Deferred<int> b) -> Deferred<int> {
            const Mark mark(order, "inner ");
            co_await std::move(a);
            scope.reset();
            order += "running ";
            const int value = co_await std::move(b);
            order += "too far ";
            co_return value;
        };
        frame(inner(std::move(first.deferred), std::move(second.deferred)), order, "outer").ownedBy(*scope);
        first.resolver.callback(1);
        QCOMPARE(order, std::string("running inner outer"));
    }
    void r268_theOwnerMayDieInTheCanceller() {
        auto scope = std::make_unique<Scope>();
        int calls = 0;
        Resolver<int> resolver([&] { scope.reset(); });
        auto d = resolver.deferred();
        d.ownedBy(*scope).addBoth([&](Result<int> result) { return ++calls, result; });
        d.cancel();
        QVERIFY(!scope);
        QCOMPARE(calls, 0);
    }
    void r268_theOwnerMayDieWithACapture() {
        struct Killer {
            explicit Killer(std::unique_ptr<Scope>& scope) : scope(&scope) {}
            Killer(Killer&& other) noexcept : scope(std::exchange(other.scope, nullptr)) {}
            ~Killer() {
                if (scope) scope->reset();
            }
            std::unique_ptr<Scope>* scope;
        };
        auto scope = std::make_unique<Scope>();
        int calls = 0;
        Pair<int> p;
        p.deferred.ownedBy(*scope).addCallback([killer = Killer(scope)](int value) { return value; });
        p.deferred.addBoth([&](Result<int> result) { return ++calls, result; });
        p.resolver.callback(1);
        QVERIFY(!scope);
        QCOMPARE(calls, 0);
    }
    void r268_anObjectMayDieInACallbackOfTheHandleThatItHolds() {
        struct Window {
            Deferred<> work = bine::succeed();
            Scope scope;
        };
        auto window = std::make_unique<Window>();
        Pair<int> p;
        int calls = 0;
        window->work = std::move(p.deferred).addCallback([&] { window.reset(); }).addCallback([&] { ++calls; }).ownedBy(window->scope);
        p.resolver.callback(1);
        QVERIFY(!window);
        QCOMPARE(calls, 0);
    }

    void r268_whatFiresWhileItsOwnerDiesIsNotCancelledAfterwards() {
        std::string order;
        Scope scope;
        Resolver<int> first([&] { order += "first "; });
        auto d = first.deferred().ownedBy(scope);
        Resolver<int> second([&] {
            order += "second ";
            first.callback(1);
        });
        auto e = second.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(order, std::string("second "));
    }
    void r268_aCaptureThatIsRefusedMayLetGoOfTheHandle() {
        Scope scope;
        Pair<int> p;
        auto handle = std::make_unique<Deferred<int>>(std::move(p.deferred));
        handle->ownedBy(scope);
        scope.cancel();
        p.resolver = Resolver<int>();
        handle->addCallback([letsGo = std::shared_ptr<void>(nullptr, [&](void*) { handle.reset(); })](int value) { return value; });
        QVERIFY(!handle);
    }

    // --- Captures, parameters, references.

    void r268_aCoroutineThatHoldsTheResolverOfWhatItAwaitsEndsWithItsOwner() {
        std::string order;
        const auto work = [&]() -> Deferred<int> {
            const Mark mark(order, "frame");
            Resolver<int> resolver;
            co_return co_await resolver.deferred();
        };
        {
            Scope scope;
            work().ownedBy(scope);
            QCOMPARE(order, std::string());
        }
        QCOMPARE(order, std::string("frame"));
    }
    void d022_aCoroutineMayUseItsCapturesUntilItEnds() {
        Pair<int> p;
        std::string seen;
        auto held = std::make_shared<Deferred<int>>(std::move(p.deferred));
        bine::succeed(1).addCallback([&seen, text = std::string(longText), held](int) -> Deferred<> {
            const int value = co_await *held;
            seen = text + std::to_string(value);
        });
        QCOMPARE(held.use_count(), 2);
        p.resolver.callback(7);
        QCOMPARE(seen, longText + std::string("7"));
        QCOMPARE(held.use_count(), 1);
    }
    void d022_aCoroutineMayUseAReferenceToTheValueUntilItEnds() {
        Pair<std::string> p;
        Pair<int> waited;
        std::string seen;
        p.deferred.addCallback([&](const std::string& text) -> Deferred<std::string> {
            const int value = co_await waited.deferred;
            co_return seen = text + std::to_string(value);
        });
        p.resolver.callback(std::string(longText));
        QCOMPARE(seen, std::string());
        waited.resolver.callback(7);
        QCOMPARE(seen, longText + std::string("7"));
    }
    void d099_theParametersOfACoroutineThatNeverWaitsDieBeforeItReturns() {
        std::string order;
        const auto work = [&](Mark) -> Deferred<int> {
            order += "body ";
            co_return 1;
        };
        auto d = work(Mark(order, "parameter "));
        order += "returned";
        QCOMPARE(order, std::string("body parameter returned"));
        QVERIFY(d.called());
    }
    void aReferenceKeepsNoCaptureAlive() {
        std::string order;
        bine::DeferredRef ref;
        {
            Pair<int> p;
            ref = p.deferred.ref();
            p.deferred.addCallback([mark = Mark(order, "capture")](int value) { return value; }).addErrback([&](const Failure&) {
                order += "abandoned ";
                return 0;
            });
            QVERIFY(ref);
        }
        QVERIFY(order.find("capture") != std::string::npos);
        QVERIFY(!ref);
        ref.cancel();
        ref.unpause();
        QCOMPARE(ref.describe(), std::string("nothing"));
    }

    // --- Who is told, and of what.

    void d001_anAwaitingCoroutineHasItsPlaceAmongTheCallbacks() {
        Resolver<> resolver;
        auto d = resolver.deferred();
        std::string order;
        d.addCallback([&] { order += "before "; });
        frameByReference(d, order, "frame ");
        d.addCallback([&] { order += "after"; });
        resolver.callback();
        QCOMPARE(order, std::string("before resumed frame after"));
    }
    void d100_aFailureThatTrapLetThroughKeepsItsPlacesAtAnAwait() {
        Pair<int> p;
        std::uint_least32_t awaited = 0;
        const auto work = [&](Deferred<int> d) -> Deferred<int> {
            awaited = std::source_location::current().line() + 1;
            co_return co_await std::move(d);
        };
        p.deferred.addErrback([](const Failure& failure) {
            failure.trap<std::bad_alloc>();
            return 0;
        });
        std::string trace;
        work(std::move(p.deferred)).addErrback([&](const Failure& failure) {
            trace = failure.getTraceback();
            return 0;
        });
        const auto fired = std::source_location::current().line() + 1;
        p.resolver.errback(oops());
        QVERIFY2(saysPlace(trace, "fired at", fired), trace.c_str());
        QVERIFY2(saysPlace(trace, "awaited at", awaited), trace.c_str());
    }
};

QTEST_GUILESS_MAIN(LifetimeTest)
#include "lifetime_test.moc"
