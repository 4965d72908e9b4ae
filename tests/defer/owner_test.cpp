// Owners of Deferreds and coroutines: nothing of what they own outlives them.

#include "defer/defer_testing.h"  // before <random>: moc stumbles over the other order

#include <random>

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

    void r268_randomDeletionsInsideCallbacks();
};

namespace {

/// A population of scopes, resolvers, handles, references and coroutines that do things to each other at random, also from inside each other's callbacks
/// and destructors. Sanitizers look on; what is counted at the end is that everything was released and nothing ran whose owner was dead.
class World {
public:
    explicit World(unsigned seed) : random_(seed) {}
    ~World() { end(); }

    void step() {
        if (depth_ > 8) return;
        ++depth_;
        const auto i = at();
        if (!deferreds_[i] && !resolvers_[i]) renew(i);
        switch (random_() % 16) {
        case 0: renew(i); break;
        case 1: reset(scopes_[i]); break;
        case 2: reset(resolvers_[i]); break;
        case 3: reset(deferreds_[i]); break;
        case 4: fire(i); break;
        case 5: failIt(i); break;
        case 6: cancel(i); break;
        case 7: own(i); break;
        case 8: addPlain(i); break;
        case 9: addReturning(i); break;
        case 10: await(i); break;
        case 11: forward(i); break;
        case 12: pause(i); break;
        case 13: unpause(); break;
        case 14: refs_[i].cancel(); break;
        case 15: refs_[i] = deferreds_[i] ? deferreds_[i]->ref() : DeferredRef(); break;
        }
        --depth_;
    }
    void end() {
        while (!paused_.empty()) unpause();  // what is paused for ever keeps what waits for it
        depth_ = 100;  // from here on nothing more is begun
        for (int round = 0; round < 3; ++round)
            for (int i = 0; i < count; ++i) {
                reset(scopes_[i]);
                reset(resolvers_[i]);
                reset(deferreds_[i]);
                refs_[i] = DeferredRef();
            }
    }
    int alive() const { return *alive_; }
    int ran() const { return ran_; }
    int wrong() const { return wrong_; }

private:
    static constexpr int count = 12;

    /// Captured everywhere: counted, and now and then its end does something.
    struct Token {
        explicit Token(World& world) : world(&world) { ++*world.alive_; }
        Token(Token&& other) noexcept : world(std::exchange(other.world, nullptr)) {}
        ~Token() {
            if (!world) return;
            --*world->alive_;
            if (world->random_() % 8 == 0) world->step();
        }
        World* world;
    };
    struct OwnedScope : Scope {
        std::shared_ptr<bool> dead = std::make_shared<bool>(false);
        ~OwnedScope() { *dead = true; }
    };

    int at() { return static_cast<int>(random_() % count); }
    template <class X>
    static void reset(std::unique_ptr<X>& x) {
        const auto dying = std::move(x);
    }
    void acts() {
        ++ran_;
        if (random_() % 2) step();
        if (random_() % 4 == 0) throwNow();
    }
    static void throwNow() { throw oops(); }

    void renew(int i) {
        auto resolver = random_() % 2 ? std::make_unique<Resolver<int>>() : std::make_unique<Resolver<int>>([token = Token(*this), this](Resolver<int>& self) {
            if (random_() % 2) step();
            if (random_() % 4 == 0 && !self.called()) self.callback(1);
        });
        auto deferred = std::make_unique<Deferred<int>>(resolver->deferred());
        std::swap(resolvers_[i], resolver);
        std::swap(deferreds_[i], deferred);
        if (!scopes_[i]) scopes_[i] = std::make_unique<OwnedScope>();
    }
    void fire(int i) {
        if (!resolvers_[i] || resolvers_[i]->called()) return;
        resolvers_[i]->callback(1);
    }
    void failIt(int i) {
        if (!resolvers_[i] || resolvers_[i]->called()) return;
        resolvers_[i]->errback(oops());
    }
    void cancel(int i) {
        if (deferreds_[i]) deferreds_[i]->cancel();
    }
    void own(int i) {
        const int s = at();
        if (!deferreds_[i] || !scopes_[s]) return;
        auto d = std::move(*deferreds_[i]).ownedBy(*scopes_[s]).addBoth([this, dead = scopes_[s]->dead](bine::Result<int> result) {
            if (*dead) ++wrong_;
            acts();
            return result;
        });
        put(i, std::move(d));
    }
    void put(int i, Deferred<int> d) {
        auto fresh = std::make_unique<Deferred<int>>(std::move(d));
        std::swap(deferreds_[i], fresh);
    }
    std::unique_ptr<Deferred<int>> take(int i) { return std::move(deferreds_[i]); }
    void addPlain(int i) {
        auto d = take(i);
        if (!d) return;
        put(i, std::move(*d).addCallbacks(
                   [token = Token(*this), this](int value) {
                       acts();
                       return value;
                   },
                   [token = Token(*this), this](Failure failure) {
                       acts();
                       return failure;
                   }));
    }
    void addReturning(int i) {
        auto d = take(i);
        const int j = at();
        if (!d) return;
        put(i, std::move(*d).addBoth([token = Token(*this), this, j](bine::Result<int>) {
            acts();
            auto inner = take(j);
            return inner ? std::move(*inner) : bine::succeed(2);
        }));
    }
    Deferred<int> coroutine(Deferred<int> d, Token) {
        const Token local(*this);
        for (int k = 0; k < 2; ++k) {
            int value = 0;
            try {
                value = co_await d;
                acts();
            } catch (const std::exception&) {
            }
            auto next = take(at());
            if (!next) co_return value;
            d = std::move(*next);
        }
        co_return co_await d;
    }
    void await(int i) {
        auto d = take(i);
        if (!d) return;
        auto running = coroutine(std::move(*d), Token(*this));
        if (auto& scope = scopes_[at()]; scope && random_() % 2) running.ownedBy(*scope);
        put(i, std::move(running));
    }
    // The target is nobody else's: a chain that forwards to what it waits for would keep itself alive for ever.
    void forward(int i) {
        auto d = take(i);
        if (!d) return;
        Resolver<int> target;
        target.deferred().addBoth([token = Token(*this), this](bine::Result<int>) { acts(); });
        put(i, std::move(*d).chainDeferred(std::move(target)).addCallback([] { return 3; }));
    }
    void unpause() {
        if (paused_.empty()) return;
        auto ref = std::move(paused_.back());
        paused_.pop_back();
        ref.unpause();
    }
    void pause(int i) {
        if (!deferreds_[i]) return;
        paused_.push_back(deferreds_[i]->ref());
        deferreds_[i]->pause();
    }

    std::mt19937 random_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    int depth_ = 0;
    int ran_ = 0;
    int wrong_ = 0;
    std::unique_ptr<OwnedScope> scopes_[count];
    std::unique_ptr<Resolver<int>> resolvers_[count];
    std::unique_ptr<Deferred<int>> deferreds_[count];
    DeferredRef refs_[count];
    std::vector<DeferredRef> paused_;
};

}  // namespace

void OwnerTest::r268_randomDeletionsInsideCallbacks() {
    int ran = 0;
    const int seeds = qEnvironmentVariableIsSet("BINE_TEST_SEEDS") ? qEnvironmentVariableIntValue("BINE_TEST_SEEDS") : 40;
    for (int seed = 1; seed <= seeds; ++seed) {
        World world(static_cast<unsigned>(seed));
        for (int i = 0; i < 500; ++i) world.step();
        QVERIFY2(world.wrong() == 0, ("something ran after its owner's death; seed " + std::to_string(seed)).c_str());
        ran += world.ran();
        log_.recorder().flush();
    }
    log_.recorder().flush();
    QVERIFY(ran > 1000);
}

QTEST_GUILESS_MAIN(OwnerTest)
#include "owner_test.moc"
