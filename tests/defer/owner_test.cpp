// Owners of Deferreds and coroutines: nothing of what they own outlives them.

#include "defer/defer_testing.h"

#include "bine/defer/owner.h"
#include "bine/reactors/manual_clock.h"

using bine::CancelledError;
using bine::Deferred;
using bine::DeferredRef;
using bine::Failure;
using bine::Resolver;
using bine::Scope;

class OwnerTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void r268_nothingOfAnOwnedChainRunsAfterItsOwnersDeath() {
        Pair<int> p;
        int calls = 0;
        {
            Scope scope;
            p.deferred.ownedBy(scope).addBoth([&](bine::Result<int> result) { return ++calls, result; });
        }
        p.resolver.callback(1);
        p.deferred.addBoth([&](bine::Result<int> result) { return ++calls, result; });
        QCOMPARE(calls, 0);
    }
    void aNullOwnerIsRefused() {
        Pair<int> p;
        Scope* const nobody = nullptr;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, p.deferred.ownedBy(nobody));
        QVERIFY(!p.deferred.called());
        p.resolver.callback(1);
    }
    void r268_capturesAreReleasedWithTheOwner() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        Pair<int> p;
        {
            Scope scope;
            p.deferred.addCallback([held = std::move(held)](int value) { return value; });
            p.deferred.ownedBy(scope);
            QVERIFY(!alive.expired());
        }
        QVERIFY(alive.expired());
    }
    void r268_theOperationIsCancelledAtItsSource() {
        int canceller = 0, calls = 0;
        Resolver<int> resolver([&] { ++canceller; });
        auto d = resolver.deferred();
        d.addBoth([&](bine::Result<int> result) { return ++calls, result; });
        {
            Scope scope;
            d.ownedBy(scope);
        }
        QCOMPARE(canceller, 1);
        QCOMPARE(calls, 0);
        QVERIFY(resolver.called());
    }
    void r268_theInnermostOperationIsCancelledAndTheInnerChainsDoNotRun() {
        int canceller = 0, calls = 0;
        Resolver<int> source([&] { ++canceller; });
        auto inner = source.deferred();
        inner.addBoth([&](bine::Result<int> result) { return ++calls, result; });
        Pair<int> outer;
        {
            Scope scope;
            outer.deferred.ownedBy(scope).addCallback([&](int) { return std::move(inner); }).addBoth([&](bine::Result<int> result) { return ++calls, result; });
            outer.resolver.callback(1);
        }
        QCOMPARE(canceller, 1);
        QCOMPARE(calls, 0);
    }
    void r268_anUnownedOuterGetsCancelledError() {
        Pair<int> inner, outer;
        bool cancelled = false;
        Scope scope;
        outer.deferred.addCallback([&](int) { return std::move(inner.deferred).ownedBy(scope); }).addErrback([&](Failure failure) {
            cancelled = failure.check<CancelledError>() != nullptr;
            return 0;
        });
        outer.resolver.callback(1);
        scope.cancel();
        QVERIFY(cancelled);
    }
    void r268_anUnownedCoroutineGetsCancelledErrorAtItsAwait() {
        Pair<int> p;
        Scope scope;
        bool cancelled = false;
        auto work = [&](Deferred<int> d) -> Deferred<void> {
            try {
                co_await d;
            } catch (const CancelledError&) {
                cancelled = true;
            }
        };
        auto d = work(std::move(p.deferred).ownedBy(scope));
        scope.cancel();
        QVERIFY(cancelled);
        QVERIFY(d.called());
    }
    void r268_whatIsBoundToADyingOwnerEndsAtOnce() {
        Pair<int> first, second;
        int calls = 0;
        auto scope = std::make_unique<Scope>();
        Scope* const address = scope.get();
        struct Binder {
            Binder(Deferred<int>& d, Scope* scope) : d(&d), scope(scope) {}
            Binder(Binder&& other) noexcept : d(std::exchange(other.d, nullptr)), scope(other.scope) {}
            ~Binder() {
                if (d) d->ownedBy(*scope);
            }
            int operator()(int value) { return value; }
            Deferred<int>* d;
            Scope* scope;
        };
        second.deferred.addBoth([&](bine::Result<int> result) { return ++calls, result; });
        first.deferred.addCallback(Binder(second.deferred, address)).ownedBy(*scope);
        scope.reset();
        QVERIFY(second.resolver.called());
        QCOMPARE(calls, 0);
    }
    void r268_framesUnwindInnermostFirstAndTheOperationBeforeTheOwnedFrame() {
        std::string order;
        struct Mark {
            Mark(std::string& order, const char* name) : order(order), name(name) {}
            ~Mark() { order += name; }
            std::string& order;
            const char* name;
        };
        Resolver<int> source([&] { order += "source "; });
        auto frame = [&](Deferred<int> d, const char* name) -> Deferred<int> {
            const Mark mark(order, name);
            co_return co_await d;
        };
        {
            Scope scope;
            auto d = frame(frame(frame(source.deferred(), "leaf "), "middle "), "owned ").ownedBy(scope);
        }
        QCOMPARE(order, std::string("leaf middle source owned "));
    }
    void r268_aRunningCoroutineEndsAtItsNextAwait() {
        Pair<int> first, second;
        auto scope = std::make_unique<Scope>();
        std::string seen;
        auto work = [&](Deferred<int> a, Deferred<int> b) -> Deferred<void> {
            co_await a;
            scope.reset();
            seen += "rest ";
            co_await b;
            seen += "too far";
        };
        auto d = work(std::move(first.deferred), std::move(second.deferred)).ownedBy(*scope);
        first.resolver.callback(1);
        QCOMPARE(seen, std::string("rest "));
        QVERIFY(second.resolver.called());
    }
    void r268_theOwnerMayDieInACallbackOfWhatItOwns() {
        Pair<int> p;
        auto scope = std::make_unique<Scope>();
        std::string seen;
        p.deferred.ownedBy(*scope).addCallback([&](int value) {
            scope.reset();
            seen += "first";
            return value;
        });
        p.deferred.addBoth([&](bine::Result<int> result) {
            seen += " second";
            return result;
        });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("first"));
    }
    void r268_whatSuchACallbackReturnsEndsToo() {
        Pair<int> p;
        int canceller = 0, calls = 0;
        Resolver<int> source([&] { ++canceller; });
        auto inner = source.deferred();
        inner.addBoth([&](bine::Result<int> result) { return ++calls, result; });
        auto scope = std::make_unique<Scope>();
        p.deferred.ownedBy(*scope).addCallback([&](int) {
            scope.reset();
            return std::move(inner);
        });
        p.resolver.callback(1);
        QCOMPARE(canceller, 1);
        QCOMPARE(calls, 0);
    }
    void r268_theOwnerMayDieInTheTargetOfAForwarder() {
        Pair<int> one, two, three;
        auto scope = std::make_unique<Scope>();
        std::string seen;
        three.deferred.addCallback([&](int value) {
            scope.reset();
            seen += "three ";
            return value;
        });
        auto second = std::move(two.deferred).chainDeferred(std::move(three.resolver)).ownedBy(*scope).addBoth([&](bine::Result<void>) { seen += "second "; });
        auto first = std::move(one.deferred).chainDeferred(std::move(two.resolver)).addBoth([&](bine::Result<void>) { seen += "first"; });
        one.resolver.callback(1);
        QCOMPARE(seen, std::string("three first"));
    }
    void r268_aFailureOfWhatDiedIsNotReported() {
        Pair<int> p;
        {
            Scope scope;
            p.deferred.ownedBy(scope).addCallback([](int) -> int { throw oops(); });
        }
        p.resolver.errback(oops());
        QVERIFY(log_.recorder().empty());
    }
    void r268_theFirstOfSeveralOwnersToDieEndsIt() {
        Pair<int> p;
        int calls = 0;
        auto a = std::make_unique<Scope>();
        auto b = std::make_unique<Scope>();
        p.deferred.ownedBy(*a).ownedBy(*b).addBoth([&](bine::Result<int> result) { return ++calls, result; });
        b.reset();
        QVERIFY(a->empty());
        p.resolver.callback(1);
        a.reset();
        QCOMPARE(calls, 0);
    }
    void r268_oneWhoseHandleIsGoneAndThatHasEndedIsOwnedNoMore() {
        Scope scope;
        Pair<int> p;
        p.deferred.ownedBy(scope);
        QVERIFY(!scope.empty());
        p.resolver.callback(1);
        p.deferred = bine::succeed(1);
        p.resolver = Resolver<int>();
        QVERIFY(scope.empty());
    }
    void r268_anAwaitedEndCannotSetAnotherGoing() {
        // Both belong to the scope; the end of the younger would complete what the older awaits.
        Scope scope;
        int calls = 0;
        auto resolver = std::make_shared<Resolver<int>>();
        auto older = resolver->deferred();
        older.ownedBy(scope).addBoth([&](bine::Result<int> result) { return ++calls, result; });
        Resolver<int> source([&] { resolver->callback(1); });
        auto younger = source.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(calls, 0);
    }

    void r267_callbacksInsideACallbackRunAtOnce() {
        Pair<int> outer, inner;
        std::string order;
        inner.deferred.addCallback([&](int value) {
            order += "inner";
            return value;
        });
        outer.deferred.addCallback([&](int value) {
            order += "<";
            inner.resolver.callback(1);
            order += ">";
            inner.deferred.addCallback([&](int v) {
                order += "late";
                return v;
            });
            return value;
        });
        outer.resolver.callback(1);
        QCOMPARE(order, std::string("<inner>late"));
    }
    void r267_aNestedLoopFreezesNoOtherDeferred() {
        bine::ManualClock clock;
        Pair<int> dialog, waiting, waitedFor, forwarded, target;
        std::string order;
        waiting.deferred.addCallback([&](int) { return std::move(waitedFor.deferred); }).addCallback([&](int value) {
            order += "waiting ";
            return value;
        });
        target.deferred.addCallback([&](int value) {
            order += "target ";
            return value;
        });
        auto rest = std::move(forwarded.deferred).chainDeferred(std::move(target.resolver)).addCallback([&] { order += "rest "; });
        clock.callLater(std::chrono::seconds(1), [&] {
            waiting.resolver.callback(1);
            waitedFor.resolver.callback(1);
            forwarded.resolver.callback(1);
        });
        dialog.deferred.addCallback([&](int value) {
            order += "<";
            clock.advance(std::chrono::seconds(2));
            order += ">";
            return value;
        });
        dialog.resolver.callback(1);
        QCOMPARE(order, std::string("<waiting target rest >"));
    }
    void r267_aLoopInsideADestructorFreezesNothingEither() {
        // A dying chain abandons another, whose errback opens a loop; what dies in there is really gone in there.
        bool released = false, inside = false;
        Pair<int> abandoned;
        abandoned.deferred.addErrback([&](Failure) {
            {
                Pair<int> p;
                struct Says {
                    explicit Says(bool& b) : b(&b) {}
                    Says(Says&& other) noexcept : b(std::exchange(other.b, nullptr)) {}
                    ~Says() {
                        if (b) *b = true;
                    }
                    bool* b;
                };
                p.deferred.addCallback([says = Says(released)](int value) { return value; });
                p.deferred.pause();
                p.resolver.callback(1);
            }
            inside = released;
            return 0;
        });
        {
            Pair<int> dying;
            dying.deferred.addCallback([r = std::move(abandoned.resolver)](int value) { return value; });
            dying.deferred.pause();
            dying.resolver.callback(1);
        }
        QVERIFY(inside);
    }
};

QTEST_GUILESS_MAIN(OwnerTest)
#include "owner_test.moc"
