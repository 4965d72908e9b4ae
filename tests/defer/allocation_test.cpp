// What a Deferred costs: counted allocations.

#include "defer/defer_testing.h"

#include <cstdlib>
#include <new>
#include <thread>

#include "bine/defer/cooperator.h"
#include "bine/defer/deferred_list.h"
#include "bine/defer/deferred_lock.h"
#include "bine/defer/deferred_queue.h"
#include "bine/defer/gather_results.h"
#include "bine/defer/looping_call.h"
#include "bine/defer/maybe_deferred.h"
#include "bine/defer/owner.h"
#include "bine/defer/pool.h"
#include "bine/defer/race.h"
#include "bine/reactors/manual_clock.h"

static thread_local long allocations = 0;

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using bine::Deferred;
using bine::Resolver;

/// How many allocations `work` makes in a thread whose free lists are empty.
template <class F>
static long countedIn(F work) {
    long count = 0;
    std::thread([&] {
        const long before = allocations;
        work();
        count = allocations - before;
    }).join();
    return count;
}

/// How many allocations `work` makes where everything that it needs is there.
template <class F>
static long countedHere(F work) {
    const long before = allocations;
    work();
    return allocations - before;
}

/// A free list of blocks with enough in it.
static void fillFreeList() {
    std::vector<Resolver<int>> resolvers(100);
}

class AllocationTest : public QObject {
    Q_OBJECT

    /// What a list of so many costs, its members not counted.
    template <class Make>
    static long costOfList(std::size_t members, Make make) {
        fillFreeList();
        std::vector<Resolver<int>> resolvers(members);
        std::vector<Deferred<int>> deferreds;
        for (auto& resolver : resolvers) deferreds.push_back(resolver.deferred());
        long count = 0;
        {
            const long before = allocations;
            auto list = make(std::move(deferreds));
            count = allocations - before;
            for (auto& resolver : resolvers) resolver.callback(1);
        }
        return count;
    }

private slots:
    // A heap of calls keeps what is cancelled for a while, but not for ever.
    void cancelledCallsAreGivenBackThoughAnEarlierOneWaits() {
        bine::ManualClock clock;
        auto waits = clock.callLater(std::chrono::hours(1), [] {});
        std::vector<bine::DelayedCall> live;
        for (int i = 0; i < 100; ++i) live.push_back(clock.callLater(std::chrono::hours(2), [] {}));
        const auto churn = [&] {
            for (int i = 0; i < 1000; ++i) {
                const auto place = static_cast<std::size_t>(i % 100);
                live[place].cancel();
                live[place] = clock.callLater(std::chrono::hours(2), [] {});
            }
        };
        churn();
        const long allocated = countedHere([&] {
            for (int i = 0; i < 20; ++i) churn();
        });
#ifdef BINE_SANITIZED
        QCOMPARE(allocated, 20'000l);
#else
        QCOMPARE(allocated, 0l);
#endif
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(101));
    }

    void initTestCase() {
#ifdef BINE_SANITIZED
        QSKIP("under sanitizers every block is an allocation of its own");
#endif
    }
    void theCounterCounts() {
        std::unique_ptr<int> kept;
        QCOMPARE(countedIn([&] { kept = std::make_unique<int>(1); }), 1L);
    }

    void aFiredHandleWithCallbacksAllocatesNothing() {
        int seen = 0;
        QCOMPARE(countedIn([&] {
                     bine::succeed(1).addCallback([](int value) { return value + 1; }).addCallback([&](int value) { seen = value; });
                 }),
                 0L);
        QCOMPARE(seen, 2);
    }
    void aPendingChainOfSixLambdasAllocatesOnce() {
        long seen = 0;
        const long count = countedIn([&] {
            Resolver<long> resolver;
            long one = 1;
            auto d = resolver.deferred()
                         .addCallback([&seen, &one](long value) { return seen = value + one; })
                         .addCallback([&seen, &one](long value) { return seen = value + one; })
                         .addCallback([&seen, &one](long value) { return seen = value + one; })
                         .addCallback([&seen, &one](long value) { return seen = value + one; })
                         .addCallback([&seen, &one](long value) { return seen = value + one; })
                         .addCallback([&seen, &one](long value) { return seen = value + one; });
            resolver.callback(0);
        });
        QCOMPARE(seen, 6L);
        QCOMPARE(count, 1L);
    }
    void blocksAreUsedAgain() {
        const long count = countedIn([] {
            for (int i = 0; i < 100; ++i) {
                Resolver<int> resolver;
                auto d = resolver.deferred().addCallback([](int value) { return value; });
                resolver.callback(i);
            }
        });
        QCOMPARE(count, 1L);
    }
    void aCoroutineAllocatesOnce() {
        const auto work = [](int value) -> Deferred<int> { co_return value; };
        QCOMPARE(countedIn([&] { auto d = work(1); }), 1L);
        QCOMPARE(countedIn([&] {
                     for (int i = 0; i < 100; ++i) auto d = work(i);
                 }),
                 1L);
    }
    void awaitingAFiredOneAllocatesNothing() {
        long inside = -1;
        const auto work = [&]() -> Deferred<int> {
            const long before = allocations;
            const int value = co_await bine::succeed(1);
            inside = allocations - before;
            co_return value;
        };
        countedIn([&] { auto d = work(); });
        QCOMPARE(inside, 0L);
    }
    void awaitingAPendingOneAllocatesNothing() {
        long inside = -1;
        const auto work = [&](Deferred<int> d) -> Deferred<int> {
            const long before = allocations;
            const int value = co_await d;
            inside = allocations - before;
            co_return value;
        };
        countedIn([&] {
            Resolver<int> resolver;
            auto d = work(resolver.deferred());
            resolver.callback(1);
        });
        QCOMPARE(inside, 0L);
    }

    // --- What is built on it, beside the blocks of Deferreds, which come from a free list.

    void bindingToAnOwnerAllocatesNothing() {
        fillFreeList();
        Resolver<int> resolver;
        auto d = resolver.deferred();
        bine::Scope scope;
        QCOMPARE(countedHere([&] { d.ownedBy(scope); }), 0L);
        resolver.callback(1);
    }
    void maybeDeferredOfAPlainFunctionAllocatesNothing() {
        QCOMPARE(countedHere([] { bine::maybeDeferred([](int value) { return value; }, 1); }), 0L);
    }
    void aListAllocatesAsOftenHoweverManyMembersItHas() {
        const auto list = [](std::vector<Deferred<int>>&& members) { return bine::deferredList(std::move(members)); };
        const auto values = [](std::vector<Deferred<int>>&& members) { return bine::gatherResults(std::move(members)); };
        const auto race = [](std::vector<Deferred<int>>&& members) { return bine::race(std::move(members)); };
        costOfList(2, list);  // what only the first one makes
        QCOMPARE(costOfList(2, list), costOfList(50, list));
        QVERIFY(costOfList(50, list) <= 4);
        QCOMPARE(costOfList(2, values), costOfList(50, values));
        QVERIFY(costOfList(50, values) <= 5);
        QCOMPARE(costOfList(2, race), costOfList(50, race));
        QVERIFY(costOfList(50, race) <= 4);
    }
    void aFreeLockAllocatesNothing() {
        bine::DeferredLock lock;
        QCOMPARE(countedHere([&] {
                     auto d = lock.acquire();
                     lock.release();
                 }),
                 0L);
    }
    void waitingForALockAllocatesANode() {
        fillFreeList();
        bine::DeferredLock lock;
        auto first = lock.acquire();
        std::optional<Deferred<>> second;
        QCOMPARE(countedHere([&] { second = lock.acquire().addCallback([](bine::DeferredLock*) {}); }), 1L);
        lock.release();
    }
    void anItemThatIsThereAllocatesNothing() {
        bine::DeferredQueue<int> queue;
        queue.put(1);
        QCOMPARE(countedHere([&] { queue.get().addCallback([](int) {}); }), 0L);
    }
    void aLoopingCallAllocatesNothing() {
        using namespace std::chrono_literals;
        fillFreeList();
        bine::ManualClock clock;
        int calls = 0;
        bine::LoopingCall loop(clock, [&] { ++calls; });
        loop.start(1s).addErrback([](const bine::Failure&) {});
        clock.advance(1s);
        const int before = calls;
        QCOMPARE(countedHere([&] { clock.advance(1s); }), 0L);
        QCOMPARE(calls, before + 1);
        loop.stop();
    }
    void aStepOfATaskAllocatesNothing() {
        using namespace std::chrono_literals;
        fillFreeList();
        bine::ManualClock clock;
        bine::Cooperator cooperator(clock);
        long steps = 0;
        auto task = cooperator.cooperate([&] { return ++steps, true; });
        clock.advance(0s);
        const long before = steps;
        const long count = countedHere([&] { clock.advance(0s); });
        QVERIFY(steps > before);
        QVERIFY2(count <= 1, std::to_string(count).c_str());  // the timer of the turn
        task.stop();
    }
};

QTEST_GUILESS_MAIN(AllocationTest)
#include "allocation_test.moc"
