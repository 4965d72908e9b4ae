// DeferredSemaphore: as a lock, but several at a time.

#include "defer/defer_testing.h"

#include <optional>
#include <random>

#include "bine/defer/deferred_semaphore.h"
#include "bine/defer/owner.h"
#include "defer/small_stack.h"

using bine::AbandonedError;
using bine::CancelledError;
using bine::Deferred;
using bine::DeferredSemaphore;
using bine::Failure;
using bine::LockGuard;
using bine::NotAcquiredError;
using bine::Resolver;
using bine::Scope;

namespace {

Deferred<> enter(DeferredSemaphore& semaphore, std::string& order, char name) {
    return semaphore.acquire().addCallback([&order, name](DeferredSemaphore*) { order += name; });
}

}  // namespace

class DeferredSemaphoreTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d084_itNeedsOneTokenAtLeast() { QVERIFY_THROWS_EXCEPTION(std::invalid_argument, DeferredSemaphore(0)); }
    void d084_tokensAndLimitAreShown() {
        DeferredSemaphore semaphore(3);
        QCOMPARE(semaphore.limit(), std::size_t(3));
        QCOMPARE(semaphore.tokens(), std::size_t(3));
        DeferredSemaphore* given = nullptr;
        semaphore.acquire().addCallback([&](DeferredSemaphore* same) { given = same; });
        QCOMPARE(given, &semaphore);
        QCOMPARE(semaphore.tokens(), std::size_t(2));
        semaphore.release();
        QCOMPARE(semaphore.tokens(), std::size_t(3));
        QCOMPARE(semaphore.limit(), std::size_t(3));
    }
    void d084_itServesInOrder() {
        DeferredSemaphore semaphore(2);
        std::string order;
        for (char name : {'a', 'b', 'c', 'd', 'e'}) enter(semaphore, order, name);
        QCOMPARE(order, std::string("ab"));
        QCOMPARE(semaphore.tokens(), std::size_t(0));
        QCOMPARE(semaphore.waiting(), std::size_t(3));
        semaphore.release();
        QCOMPARE(order, std::string("abc"));
        QCOMPARE(semaphore.tokens(), std::size_t(0));
        semaphore.release();
        semaphore.release();
        QCOMPARE(order, std::string("abcde"));
        semaphore.release();
        semaphore.release();
        QCOMPARE(semaphore.tokens(), std::size_t(2));
    }
    void d084_moreReleasesThanAcquiresAreRefused() {
        DeferredSemaphore semaphore(2);
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, semaphore.release());
        auto a = semaphore.acquire();
        semaphore.release();
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, semaphore.release());
        QCOMPARE(semaphore.tokens(), std::size_t(2));
    }
    void d084_cancellingOneThatWaitsTakesItOutOfTheLine() {
        DeferredSemaphore semaphore(1);
        std::string order;
        auto a = enter(semaphore, order, 'a');
        bool cancelled = false;
        auto b = enter(semaphore, order, 'b').addErrback([&](Failure failure) { cancelled = failure.check<CancelledError>(); });
        auto c = enter(semaphore, order, 'c');
        b.cancel();
        QVERIFY(cancelled);
        a.cancel();
        semaphore.release();
        QCOMPARE(order, std::string("ac"));
        semaphore.release();
        QCOMPARE(semaphore.tokens(), std::size_t(1));
    }
    void d081_runHoldsATokenUntilTheDeferredIsDone() {
        DeferredSemaphore semaphore(2);
        std::vector<Resolver<int>> answers(3);
        std::vector<Deferred<int>> results;
        int running = 0, most = 0;
        for (auto& answer : answers)
            results.push_back(semaphore.run([&] {
                most = std::max(most, ++running);
                return answer.deferred().addBoth([&](bine::Result<int> result) { return --running, result; });
            }));
        QCOMPARE(running, 2);
        answers[1].callback(1);
        QCOMPARE(running, 2);
        answers[0].errback(oops());
        QCOMPARE(semaphore.tokens(), std::size_t(1));
        answers[2].callback(2);
        QCOMPARE(semaphore.tokens(), std::size_t(2));
        QCOMPARE(most, 2);
        results[0].addErrback([](Failure) { return 0; });
    }
    void d083_theScopedFormReleasesAnyway() {
        DeferredSemaphore semaphore(2);
        Resolver<> first, second;
        const auto work = [](DeferredSemaphore* semaphore, Deferred<> d) -> Deferred<> {
            auto guard = co_await semaphore->scoped();
            co_await d;
        };
        Scope scope;
        auto a = work(&semaphore, first.deferred());
        work(&semaphore, second.deferred()).ownedBy(scope);
        QCOMPARE(semaphore.tokens(), std::size_t(0));
        first.errback(oops());
        QCOMPARE(semaphore.tokens(), std::size_t(1));
        scope.cancel();
        QCOMPARE(semaphore.tokens(), std::size_t(2));
        a.addErrback([](Failure) {});
    }
    void whatIsBeingHandedOnIsNotFree() {
        DeferredSemaphore semaphore(2);
        std::string order;
        auto a = enter(semaphore, order, 'a'), b = enter(semaphore, order, 'b');
        std::size_t seen = 9;
        semaphore.acquire().addCallback([&](DeferredSemaphore* same) { seen = same->tokens(); });
        auto d = enter(semaphore, order, 'd');
        semaphore.release();
        QCOMPARE(seen, std::size_t(0));
        semaphore.release();
        QCOMPARE(order, std::string("abd"));
    }
    void itsEndAbandonsAllWhoWait() {
        std::optional<DeferredSemaphore> semaphore(std::in_place, 1);
        LockGuard guard;
        semaphore->scoped().addCallback([&](LockGuard given) { guard = std::move(given); });
        int abandoned = 0;
        for (int i = 0; i < 3; ++i)
            semaphore->acquire().addErrback([&](Failure failure) -> DeferredSemaphore* {
                if (failure.check<AbandonedError>()) ++abandoned;
                return nullptr;
            });
        semaphore.reset();
        QCOMPARE(abandoned, 3);
    }
    void aHundredThousandWaitersNeedNoStack() {
        int served = 0;
        onSmallStack([&] {
            DeferredSemaphore semaphore(3);
            std::vector<LockGuard> guards;
            for (int i = 0; i < 3; ++i) semaphore.scoped().addCallback([&](LockGuard guard) { guards.push_back(std::move(guard)); });
            for (int i = 0; i < 100'000; ++i) semaphore.run([&] { ++served; });
            guards.clear();
            QCOMPARE(semaphore.tokens(), std::size_t(3));
        });
        QCOMPARE(served, 100'000);
    }

    // Holders and waiters that do anything at any time: no token is lost or made.
    void d084_randomUseLosesNoToken() {
        for (unsigned seed = 1; seed <= 50; ++seed) {
            std::mt19937 random(seed);
            const std::size_t limit = 1 + seed % 3;
            DeferredSemaphore semaphore(limit);
            std::size_t held = 0, most = 0;
            int depth = 0;
            std::vector<LockGuard> guards;
            std::vector<Deferred<>> waiting;
            std::vector<Resolver<>> working;
            std::unique_ptr<Scope> scope = std::make_unique<Scope>();
            std::function<void()> step = [&] {
                if (depth > 6) return;
                ++depth;
                const auto kind = random() % 8;
                if (kind < 2) {
                    auto d = semaphore.scoped().addCallback([&](LockGuard guard) {
                        most = std::max(most, ++held);
                        guards.push_back(std::move(guard));
                        step();
                    });
                    if (random() % 2) d.ownedBy(*scope);
                    waiting.push_back(std::move(d).addErrback([](Failure) {}));
                } else if (kind == 2) {
                    auto d = semaphore.run([&] {
                        most = std::max(most, ++held);
                        working.emplace_back();
                        auto works = working.back().deferred();
                        step();
                        return works;
                    });
                    d.addBoth([&](bine::Result<>) { step(); });
                    if (random() % 2) d.ownedBy(*scope);
                    waiting.push_back(std::move(d));
                } else if (kind == 3 && !guards.empty()) {
                    LockGuard last = std::move(guards.back());
                    guards.pop_back();
                    --held;
                    last.release();
                } else if (kind == 4 && !waiting.empty()) {
                    Deferred<> one = std::move(waiting[random() % waiting.size()]);
                    one.cancel();
                } else if (kind == 5 && !working.empty()) {
                    Resolver<> one = std::move(working.back());
                    working.pop_back();
                    if (!one.called()) one.callback();
                } else if (kind == 6 && random() % 8 == 0) {
                    const auto dying = std::exchange(scope, std::make_unique<Scope>());
                } else if (kind == 7) {
                    semaphore.scoped();
                }
                --depth;
            };
            for (int i = 0; i < 1000; ++i) step();
            depth = 100;
            scope.reset();
            while (!working.empty() || !guards.empty()) {
                if (!guards.empty()) {
                    const LockGuard last = std::move(guards.back());
                    guards.pop_back();
                } else {
                    Resolver<> one = std::move(working.back());
                    working.pop_back();
                    if (!one.called()) one.callback();
                }
            }
            QVERIFY2(semaphore.tokens() == limit && semaphore.waiting() == 0, ("seed " + std::to_string(seed)).c_str());
        }
    }
};

QTEST_GUILESS_MAIN(DeferredSemaphoreTest)
#include "deferred_semaphore_test.moc"
