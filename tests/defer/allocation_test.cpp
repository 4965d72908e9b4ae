// What a Deferred costs: counted allocations.

#include "defer/defer_testing.h"

#include <cstdlib>
#include <new>
#include <thread>

#include "bine/defer/pool.h"

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

class AllocationTest : public QObject {
    Q_OBJECT

private slots:
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
};

QTEST_GUILESS_MAIN(AllocationTest)
#include "allocation_test.moc"
