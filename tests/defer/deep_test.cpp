// Very long chains on a very small stack.

#include "defer/defer_testing.h"
#include "defer/small_stack.h"

#include <fstream>

#include "bine/defer/owner.h"
#include "bine/defer/pool.h"

using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Scope;

namespace {

constexpr int links = 1'000'000;
constexpr int failingLinks = links / 5;  // a failure costs more than a value

/// The outermost of `links` Deferreds that wait for each other, the innermost for `source`; built from the inside.
Deferred<int> fromTheInside(Deferred<int> source) {
    for (int i = 0; i < links; ++i) {
        Resolver<int> resolver;
        auto outer = resolver.deferred();
        outer.addCallback([inner = std::make_unique<Deferred<int>>(std::move(source))](int) { return std::move(*inner); });
        outer.addCallback([](int value) { return value + 1; });
        resolver.callback(0);
        source = std::move(outer);
    }
    return source;
}

/// The same from the outside: every link waits for one that is not fired yet. `resolvers` are those of the links, the outermost first.
Deferred<int> fromTheOutside(std::vector<Resolver<int>>& resolvers) {
    resolvers.resize(links);
    Deferred<int> next = resolvers.back().deferred();
    for (int i = links - 2; i >= 0; --i) {
        auto outer = resolvers[static_cast<std::size_t>(i)].deferred();
        outer.addCallback([inner = std::make_unique<Deferred<int>>(std::move(next))](int) { return std::move(*inner); });
        outer.addCallback([](int value) { return value + 1; });
        next = std::move(outer);
    }
    return next;
}

/// The outermost of `links` paused Deferreds, each held by a callback of the one outside of it, and `held` by the innermost.
Deferred<int> nested(std::shared_ptr<int> held) {
    Deferred<int> d = bine::succeed(1);
    d.pause();
    d.addCallback([held = std::move(held)](int value) { return value; });
    for (int i = 0; i < links; ++i) {
        Deferred<int> outer = bine::succeed(1);
        outer.pause();
        outer.addCallback([inner = std::make_unique<Deferred<int>>(std::move(d))](int) { return std::move(*inner); });
        d = std::move(outer);
    }
    return d;
}

Deferred<int> awaiting(Deferred<int> inner) {
    const int value = co_await inner;
    co_return value + 1;
}
Deferred<int> coroutines(Deferred<int> source, int count = links) {
    for (int i = 0; i < count; ++i) source = awaiting(std::move(source));
    return source;
}

/// What comes out at the end: a value, or -1 for a CancelledError, -2 for an AbandonedError.
auto keep(int& seen) {
    return [&seen](bine::Result<int> result) {
        if (result.isValue()) return seen = result.value();
        if (result.failure().check<bine::CancelledError>()) return seen = -1;
        return seen = result.failure().check<bine::AbandonedError>() ? -2 : -3;
    };
}

long residentKilobytes() {
    std::ifstream status("/proc/self/statm");
    long all = 0, resident = 0;
    status >> all >> resident;
    return resident * 4;
}

}  // namespace

class DeepTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d030_aChainBuiltFromTheInsideFires() {
        int seen = 0;
        onSmallStack([&] {
            Pair<int> source;
            auto d = fromTheInside(std::move(source.deferred)).addBoth(keep(seen));
            source.resolver.callback(5);
        });
        QCOMPARE(seen, links + 5);
    }
    void d030_aChainBuiltFromTheOutsideFires() {
        int seen = 0;
        onSmallStack([&] {
            std::vector<Resolver<int>> resolvers;
            auto d = fromTheOutside(resolvers).addBoth(keep(seen));
            for (auto& resolver : resolvers) resolver.callback(5);
        });
        QCOMPARE(seen, links - 1 + 5);
    }
    void d030_aChainFiredFromTheInsideFires() {
        int seen = 0;
        onSmallStack([&] {
            std::vector<Resolver<int>> resolvers;
            auto d = fromTheOutside(resolvers).addBoth(keep(seen));
            for (auto i = resolvers.rbegin(); i != resolvers.rend(); ++i) i->callback(5);
        });
        QCOMPARE(seen, links - 1 + 5);
    }
    void d030_aLongChainIsCancelled() {
        int seen = 0;
        onSmallStack([&] {
            Pair<int> source;
            auto d = fromTheInside(std::move(source.deferred)).addBoth(keep(seen));
            d.cancel();
        });
        QCOMPARE(seen, -1);
    }
    void d030_aLongChainIsAbandoned() {
        int seen = 0;
        onSmallStack([&] {
            auto source = std::make_unique<Resolver<int>>();
            auto d = fromTheInside(source->deferred()).addBoth(keep(seen));
            source.reset();
        });
        QCOMPARE(seen, -2);
    }
    void d030_aLongChainEndsWithItsOwner() {
        int seen = 0;
        bool called = false;
        onSmallStack([&] {
            Pair<int> source;
            Scope scope;
            auto d = fromTheInside(std::move(source.deferred)).ownedBy(scope).addBoth(keep(seen));
            scope.cancel();
            called = source.resolver.called();
        });
        QCOMPARE(seen, 0);
        QVERIFY(called);
    }
    void d030_aLongUnfiredChainIsDestroyed() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        onSmallStack([&] { const auto d = nested(std::move(held)); });
        QVERIFY(alive.expired());
    }
    void d030_aLongUnfiredChainEndsWithItsOwner() {
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> alive = held;
        bool gone = false;
        onSmallStack([&] {
            Scope scope;
            auto d = nested(std::move(held)).ownedBy(scope);
            scope.cancel();
            gone = alive.expired();
        });
        QVERIFY(gone);
    }
    void d030_aLongRowOfResolversHeldByCallbacksIsAbandoned() {
        int seen = 0;
        onSmallStack([&] {
            Resolver<int> resolver;
            auto last = resolver.deferred().addBoth(keep(seen));
            for (int i = 0; i < failingLinks; ++i) {
                Resolver<int> holder;
                holder.deferred().addErrback([](const Failure&) { return 0; }).addCallback([held = std::move(resolver)](int value) { return value; });
                resolver = std::move(holder);
            }
            const Resolver<int> dying = std::move(resolver);
        });
        QCOMPARE(seen, -2);
    }
    void d030_aLongRowOfResolversThatDieInsideCallbacksIsAbandoned() {
        int seen = 0;
        onSmallStack([&] {
            Resolver<int> resolver;
            auto last = resolver.deferred().addBoth(keep(seen));
            for (int i = 0; i < failingLinks; ++i) {
                Resolver<int> holder;
                holder.deferred().addErrback([held = std::move(resolver)](const Failure&) mutable {
                    const Resolver<int> dying = std::move(held);
                    return 0;
                });
                resolver = std::move(holder);
            }
            const Resolver<int> dying = std::move(resolver);
        });
        QCOMPARE(seen, -2);
    }
    void d031_aLongRowOfForwardersFires() {
        int seen = 0;
        onSmallStack([&] {
            Resolver<int> target;
            auto last = target.deferred().addBoth(keep(seen));
            for (int i = 0; i < links; ++i) {
                Resolver<int> before;
                before.deferred().chainDeferred(std::move(target));
                target = std::move(before);
            }
            target.callback(3);
        });
        QCOMPARE(seen, 3);
    }
    void d031_aLongRowOfForwardersIsAbandoned() {
        int seen = 0;
        onSmallStack([&] {
            Resolver<int> target;
            auto last = target.deferred().addBoth(keep(seen));
            for (int i = 0; i < links; ++i) {
                Resolver<int> before;
                before.deferred().chainDeferred(std::move(target));
                target = std::move(before);
            }
            const Resolver<int> dying = std::move(target);
        });
        QCOMPARE(seen, -2);
    }
    void d088_manyNestedCoroutinesFire() {
        int seen = 0;
        onSmallStack([&] {
            Pair<int> source;
            auto d = coroutines(std::move(source.deferred)).addBoth(keep(seen));
            source.resolver.callback(1);
        });
        QCOMPARE(seen, links + 1);
    }
    void d093_manyNestedCoroutinesAreCancelled() {
        int seen = 0;
        onSmallStack([&] {
            Pair<int> source;
            auto d = coroutines(std::move(source.deferred), failingLinks).addBoth(keep(seen));
            d.cancel();
        });
        QCOMPARE(seen, -1);
    }
    void d093_manyNestedCoroutinesEndWithTheirOwner() {
        int seen = 0;
        bool called = false;
        onSmallStack([&] {
            Pair<int> source;
            Scope scope;
            auto d = coroutines(std::move(source.deferred)).ownedBy(scope).addBoth(keep(seen));
            scope.cancel();
            called = source.resolver.called();
        });
        QCOMPARE(seen, 0);
        QVERIFY(called);
    }
    void d015_aCallbackThatAddsTheNextForEverTakesNoMemory() {
        int rounds = 0;
        long before = 0, after = 0;
        onSmallStack([&] {
            Pair<int> p;
            std::function<void()> more = [&] {
                p.deferred.addCallback([&](int value) {
                    if (++rounds < links) more();
                    if (rounds == links / 2) before = residentKilobytes();
                    return value;
                });
            };
            more();
            p.resolver.callback(1);
            after = residentKilobytes();
        });
        QCOMPARE(rounds, links);
#ifndef BINE_SANITIZED
        QVERIFY2(after - before < 1024, std::to_string(after - before).c_str());
#endif
    }
    void d030_aLoopWrittenAsReturnAgainTakesNoMemory() {
        int rounds = 0;
        bool done = false;
        long before = 0, after = 0;
        onSmallStack([&] {
            Resolver<int> current;
            std::function<Deferred<int>()> again = [&]() -> Deferred<int> {
                Resolver<int> next;
                auto d = next.deferred();
                current = std::move(next);
                return std::move(d).addCallback([&](int) -> Deferred<int> { return ++rounds == links ? bine::succeed(7) : again(); });
            };
            auto d = again().addCallback([&](int) { done = true; });
            const auto turn = [&] {
                auto firing = std::move(current);
                firing.callback(1);
            };
            while (rounds < links / 2) turn();
            before = residentKilobytes();
            while (!done) turn();
            after = residentKilobytes();
        });
        QCOMPARE(rounds, links);
#ifndef BINE_SANITIZED
        QVERIFY2(after - before < 1024, std::to_string(after - before).c_str());
#endif
    }
};

QTEST_GUILESS_MAIN(DeepTest)
#include "deep_test.moc"
