// DeferredLock: who has it, who is next, and that nobody keeps it by dying.

#include "defer/defer_testing.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "bine/defer/deferred_lock.h"
#include "bine/defer/owner.h"
#include "defer/small_stack.h"

using bine::AbandonedError;
using bine::CancelledError;
using bine::Deferred;
using bine::DeferredLock;
using bine::Failure;
using bine::LockGuard;
using bine::NotAcquiredError;
using bine::Resolver;
using bine::Result;
using bine::Scope;

namespace {

/// Takes the lock by hand, and writes its name when it has it.
Deferred<DeferredLock*> enter(DeferredLock& lock, std::string& order, char name) {
    return lock.acquire().addCallback([&order, name](DeferredLock* same) {
        order += name;
        return same;
    });
}

/// Holds the lock until `d` has fired.
Deferred<> hold(DeferredLock* lock, Deferred<> d, std::string* order, char name) {
    auto guard = co_await lock->scoped();
    *order += name;
    co_await d;
    *order += static_cast<char>(name - 'a' + 'A');
}

}  // namespace

class DeferredLockTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d078_aFreeLockIsAcquiredAtOnce() {
        DeferredLock lock;
        QVERIFY(!lock.locked());
        DeferredLock* given = nullptr;
        lock.acquire().addCallback([&](DeferredLock* same) { given = same; });
        QCOMPARE(given, &lock);
        QVERIFY(lock.locked());
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d078_elseFirstComeFirstServed() {
        DeferredLock lock;
        std::string order;
        auto a = enter(lock, order, 'a');
        auto b = enter(lock, order, 'b');
        auto c = enter(lock, order, 'c');
        QCOMPARE(order, std::string("a"));
        QCOMPARE(lock.waiting(), std::size_t(2));
        lock.release();
        QCOMPARE(order, std::string("ab"));
        lock.release();
        QCOMPARE(order, std::string("abc"));
        QVERIFY(lock.locked());
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d079_whileItIsHandedOverItIsNotFree() {
        DeferredLock lock;
        bool wasFree = false, tookIt = false;
        auto a = lock.acquire();
        lock.acquire().addCallback([&](DeferredLock* same) {
            wasFree = !same->locked();
            auto third = same->acquire();
            tookIt = third.called();
            same->release();
            QVERIFY(third.called());
        });
        lock.release();
        QVERIFY(!wasFree);
        QVERIFY(!tookIt);
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d079_whoComesWhileItIsHandedOnWaitsBehind() {
        DeferredLock lock;
        std::string order;
        auto a = enter(lock, order, 'a');
        auto b = lock.acquire().addCallback([&](DeferredLock* same) {
            order += 'b';
            enter(*same, order, 'd');
            same->release();
        });
        auto c = enter(lock, order, 'c');
        lock.release();
        QCOMPARE(order, std::string("abc"));
        lock.release();
        QCOMPARE(order, std::string("abcd"));
        lock.release();
    }
    void d079_alsoInALongRowOfHandOvers() {
        // Beyond a certain depth those who are served wait for each other's callbacks; nothing else may change.
        DeferredLock lock;
        constexpr int many = 50;
        std::vector<int> order;
        bool wasFree = false;
        auto holder = lock.acquire();
        for (int i = 0; i < many; ++i)
            lock.acquire().addCallback([&, i](DeferredLock* same) {
                order.push_back(i);
                same->acquire().addCallback([&](DeferredLock* same) {
                    order.push_back(many);
                    same->release();
                });
                same->release();
                if (order.size() < 2 * many) wasFree = wasFree || !same->locked();
            });
        lock.release();
        QVERIFY(!wasFree);
        QVERIFY(!lock.locked());
        QCOMPARE(order.size(), std::size_t(2 * many));
        QVERIFY(std::is_sorted(order.begin(), order.end()));
    }
    void d079_whoComesInALongRowOfHandOversWaitsBehind() {
        DeferredLock lock;
        constexpr int many = 50;
        std::vector<int> order;
        auto holder = lock.acquire();
        for (int i = 0; i < many; ++i)
            lock.acquire().addCallback([&, i](DeferredLock* same) {
                order.push_back(i);
                same->release();
                same->acquire().addCallback([&](DeferredLock* same) {
                    order.push_back(many);
                    same->release();
                });
            });
        lock.release();
        QVERIFY(!lock.locked());
        QCOMPARE(order.size(), std::size_t(2 * many));
        // The last of the row may be done before those in front come to ask again.
        QVERIFY(std::is_sorted(order.begin(), order.begin() + many));
        QVERIFY(std::find(order.begin(), order.end(), many) - order.begin() >= many);
    }
    void d080_releasingAFreeLockIsAnError() {
        DeferredLock lock;
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, lock.release());
        auto a = lock.acquire();
        lock.release();
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, lock.release());
    }

    void d081_runHoldsItWhileTheFunctionRuns() {
        DeferredLock lock;
        bool lockedInside = false;
        int result = 0;
        lock.run([&](int argument) {
                lockedInside = lock.locked();
                return argument + 1;
            },
                 6)
            .addCallback([&](int value) {
                QVERIFY(!lock.locked());
                result = value;
            });
        QVERIFY(lockedInside);
        QCOMPARE(result, 7);
        QVERIFY(!lock.locked());
    }
    void d081_untilItsDeferredIsDone() {
        DeferredLock lock;
        Resolver<int> answer, late;
        int result = 0;
        auto d = lock.run([&] { return answer.deferred().addCallback([&](int) { return late.deferred(); }); });
        d.addCallback([&](int value) { return result = value; });
        QVERIFY(lock.locked());
        answer.callback(1);
        QVERIFY(lock.locked());  // that has fired, but what it waits for has not
        late.callback(2);
        QVERIFY(!lock.locked());
        QCOMPARE(result, 2);
    }
    void d081_itReleasesWhenTheFunctionThrows() {
        DeferredLock lock;
        auto d = lock.run([]() -> int { throw oops(); });
        QVERIFY(!lock.locked());
        QVERIFY(d.called());
        d.addErrback([](Failure failure) {
            failure.trap<std::runtime_error>();
            return 0;
        });
    }
    void d081_andWhenItsDeferredFails() {
        DeferredLock lock;
        Resolver<> answer;
        auto d = lock.run([&] { return answer.deferred(); });
        answer.errback(oops());
        QVERIFY(!lock.locked());
        QCOMPARE(outcome(d), std::string("std::runtime_error"));
        d.addErrback([](Failure) {});
    }
    void d081_andWhenItIsCancelled() {
        DeferredLock lock;
        int cancelled = 0;
        Resolver<> answer([&] { ++cancelled; });
        auto d = lock.run([&] { return answer.deferred(); });
        d.cancel();
        QCOMPARE(cancelled, 1);
        QVERIFY(!lock.locked());
        QCOMPARE(outcome(d), std::string("bine::CancelledError"));
    }
    void d081_cancelledInTheLineTheFunctionIsNotCalled() {
        DeferredLock lock;
        bool called = false;
        auto a = lock.acquire();
        auto d = lock.run([&] { called = true; });
        d.cancel();
        lock.release();
        QVERIFY(!called);
        QVERIFY(!lock.locked());
        QCOMPARE(outcome(d), std::string("bine::CancelledError"));
    }
    void d081_functionsRunOneAfterTheOther() {
        DeferredLock lock;
        std::string order;
        Resolver<> first, second;
        const auto work = [&](char name, Resolver<>& until) {
            order += name;
            return until.deferred().addCallback([&order, name] { order += static_cast<char>(name - 'a' + 'A'); });
        };
        auto a = lock.run([&] { return work('a', first); });
        auto b = lock.run([&] { return work('b', second); });
        QCOMPARE(order, std::string("a"));
        first.callback();
        QCOMPARE(order, std::string("aAb"));
        second.callback();
        QCOMPARE(order, std::string("aAbB"));
    }
    void d081_aCoroutineWithCapturesIsKept() {
        DeferredLock lock;
        Resolver<> answer;
        std::string seen;
        auto d = lock.run([&answer, &seen, name = std::string("a capture of a certain length")](std::unique_ptr<int> number) -> Deferred<int> {
            auto waits = answer.deferred();
            co_await std::move(waits);
            seen = name;
            co_return *number;
        }, std::make_unique<int>(4));
        QVERIFY(lock.locked());
        answer.callback();
        QCOMPARE(seen, std::string("a capture of a certain length"));
        QVERIFY(!lock.locked());
    }
    void d081_theOwnersDeathReleases() {
        DeferredLock lock;
        int cancelled = 0;
        Resolver<> answer([&] { ++cancelled; });
        {
            Scope scope;
            lock.run([&] { return answer.deferred(); }).ownedBy(scope);
            QVERIFY(lock.locked());
        }
        QCOMPARE(cancelled, 1);
        QVERIFY(!lock.locked());
    }
    void d081_notBeforeItsCoroutineHasLeftTheStack() {
        DeferredLock lock;
        Resolver<> first, second;
        auto scope = std::make_unique<Scope>();
        bool lockedAfter = false;
        lock.run([&]() -> Deferred<> {
                auto waits = first.deferred();
                co_await std::move(waits);
                scope.reset();
                lockedAfter = lock.locked();
                auto never = second.deferred();
                co_await std::move(never);
            })
            .ownedBy(*scope);
        first.callback();
        QVERIFY(lockedAfter);
        QVERIFY(!lock.locked());
    }

    void d082_cancellingOneThatWaitsTakesItOutOfTheLine() {
        DeferredLock lock;
        std::string order;
        auto a = enter(lock, order, 'a');
        auto b = enter(lock, order, 'b');
        auto c = enter(lock, order, 'c');
        b.cancel();
        QCOMPARE(outcome(b), std::string("bine::CancelledError"));
        QCOMPARE(lock.waiting(), std::size_t(1));
        lock.release();
        QCOMPARE(order, std::string("ac"));
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d082_cancellingOneThatWasGrantedChangesNothing() {
        DeferredLock lock;
        auto a = lock.acquire();
        a.cancel();
        QVERIFY(lock.locked());
        auto b = lock.acquire();
        lock.release();
        b.cancel();
        QVERIFY(lock.locked());
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d082_theOwnersDeathTakesItOutOfTheLineToo() {
        DeferredLock lock;
        std::string order;
        auto a = enter(lock, order, 'a');
        {
            Scope scope;
            enter(lock, order, 'b').ownedBy(scope);
            QCOMPARE(lock.waiting(), std::size_t(1));
        }
        QCOMPARE(lock.waiting(), std::size_t(0));
        lock.release();
        QCOMPARE(order, std::string("a"));
        QVERIFY(!lock.locked());
    }
    void d082_aDyingWaiterDoesNotKeepWhatItIsGiven() {
        // The owner of the waiter dies; before the waiter is told, another thing of the owner releases the lock.
        DeferredLock lock;
        std::string order;
        auto a = enter(lock, order, 'a');
        Scope scope;
        enter(lock, order, 'b').ownedBy(scope);
        auto c = enter(lock, order, 'c');
        Resolver<> source([&] { lock.release(); });
        auto younger = source.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(order, std::string("ac"));
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d082_cancelOthersInsideACallback() {
        DeferredLock lock;
        std::string order;
        std::vector<Deferred<DeferredLock*>> waiting;
        auto a = enter(lock, order, 'a');
        lock.acquire().addCallback([&](DeferredLock* same) {
            order += 'b';
            for (auto& each : waiting) each.cancel();
            same->release();
        });
        for (int i = 0; i < 3; ++i) waiting.push_back(enter(lock, order, 'x').addErrback([](Failure) -> DeferredLock* { return nullptr; }));
        lock.release();
        QCOMPARE(order, std::string("ab"));
        QVERIFY(!lock.locked());
    }

    void d083_theScopedFormReleasesAtTheEndOfItsScope() {
        DeferredLock lock;
        std::string order;
        Resolver<> first, second;
        auto a = hold(&lock, first.deferred(), &order, 'a');
        auto b = hold(&lock, second.deferred(), &order, 'b');
        QCOMPARE(order, std::string("a"));
        first.callback();
        QCOMPARE(order, std::string("aAb"));
        second.callback();
        QCOMPARE(order, std::string("aAbB"));
        QVERIFY(!lock.locked());
    }
    void d083_anExceptionPassesAndTheLockIsReleased() {
        DeferredLock lock;
        std::string order;
        Resolver<> first;
        auto a = hold(&lock, first.deferred(), &order, 'a');
        first.errback(oops());
        QVERIFY(!lock.locked());
        QCOMPARE(outcome(a), std::string("std::runtime_error"));
        a.addErrback([](Failure) {});
    }
    void d083_theDeathOfTheFrameReleasesAndTheNextGoesOn() {
        DeferredLock lock;
        std::string order;
        Resolver<> first, second;
        std::optional<Scope> scope(std::in_place);
        hold(&lock, first.deferred(), &order, 'a').ownedBy(*scope);
        auto b = hold(&lock, second.deferred(), &order, 'b');
        scope.reset();
        QCOMPARE(order, std::string("ab"));
        second.callback();
        QVERIFY(!lock.locked());
    }
    void d083_aGuardCanBeReleasedEarly() {
        DeferredLock lock;
        std::optional<LockGuard> guard;
        lock.scoped().addCallback([&](LockGuard given) { guard.emplace(std::move(given)); });
        QVERIFY(*guard);
        guard->release();
        QVERIFY(!*guard);
        QVERIFY(!lock.locked());
        auto a = lock.acquire();
        guard->release();
        guard.reset();
        QVERIFY(lock.locked());  // that is another one's
        lock.release();
    }
    void d083_aGuardCanBeMovedAndReplaced() {
        DeferredLock one, two;
        LockGuard guard, other;
        one.scoped().addCallback([&](LockGuard given) { guard = std::move(given); });
        two.scoped().addCallback([&](LockGuard given) { other = std::move(given); });
        guard = std::move(other);
        QVERIFY(!one.locked());
        QVERIFY(two.locked());
        QVERIFY(!other);
        guard = LockGuard();
        QVERIFY(!two.locked());
    }
    void d083_aGuardMayOutliveItsLock() {
        std::optional<DeferredLock> lock(std::in_place);
        LockGuard guard;
        lock->scoped().addCallback([&](LockGuard given) { guard = std::move(given); });
        lock.reset();
        QVERIFY(guard);
        guard.release();
    }
    void d083_whatNobodyTakesIsReleased() {
        DeferredLock lock;
        { auto dropped = lock.scoped(); }
        QVERIFY(!lock.locked());
        auto a = lock.acquire();
        lock.scoped();
        lock.release();
        QVERIFY(!lock.locked());
    }
    void d083_whatAPausedChainWasGivenIsReleasedWithIt() {
        DeferredLock lock;
        auto a = lock.acquire();
        Scope scope;
        auto waiting = lock.scoped().ownedBy(scope);
        waiting.pause();
        auto byHand = lock.acquire().ownedBy(scope);
        byHand.pause();
        lock.release();
        QVERIFY(lock.locked());
        scope.cancel();
        QVERIFY(!lock.locked());
    }

    void itsEndAbandonsAllWhoWait() {
        std::optional<DeferredLock> lock(std::in_place);
        std::string seen;
        auto a = lock->acquire();
        auto b = lock->acquire(), c = lock->acquire();
        auto d = lock->run([&] { seen += "too far"; });
        lock.reset();
        QCOMPARE(outcome(b), std::string("bine::AbandonedError"));
        QCOMPARE(outcome(c), std::string("bine::AbandonedError"));
        QCOMPARE(outcome(d), std::string("bine::AbandonedError"));
        QCOMPARE(seen, std::string());
    }
    void itsEndDoesNotWaitForItsGuards() {
        std::optional<DeferredLock> lock(std::in_place);
        LockGuard guard;
        lock->scoped().addCallback([&](LockGuard given) { guard = std::move(given); });
        auto waits = lock->acquire();
        lock.reset();
        QCOMPARE(outcome(waits), std::string("bine::AbandonedError"));
    }
    void whoIsAbandonedCannotWaitAgain() {
        auto lock = std::make_unique<DeferredLock>();
        DeferredLock& same = *lock;
        std::string end;
        auto a = lock->acquire();
        lock->acquire().addErrback([&](Failure) -> DeferredLock* {
            auto again = same.acquire();
            end = outcome(again);
            return nullptr;
        });
        lock.reset();
        QCOMPARE(end, std::string("bine::AbandonedError"));
    }
    void whoIsAbandonedMayCancelTheOthers() {
        std::optional<DeferredLock> lock(std::in_place);
        auto a = lock->acquire();
        std::optional<Deferred<DeferredLock*>> second;
        lock->acquire().addErrback([&](Failure) -> DeferredLock* {
            second->cancel();
            return nullptr;
        });
        second.emplace(lock->acquire());
        lock.reset();
        QCOMPARE(outcome(*second), std::string("bine::CancelledError"));
    }
    void itMayBeDestroyedByWhoIsServed() {
        auto lock = std::make_unique<DeferredLock>();
        auto a = lock->acquire();
        lock->acquire().addCallback([&](DeferredLock*) { lock.reset(); });
        auto c = lock->acquire();
        lock->release();
        QVERIFY(!lock);
        QCOMPARE(outcome(c), std::string("bine::AbandonedError"));
    }
    void itMayBeDestroyedInsideItsFunction() {
        auto lock = std::make_unique<DeferredLock>();
        int result = 0;
        lock->run([&] {
                lock.reset();
                return 3;
            })
            .addCallback([&](int value) { result = value; });
        QCOMPARE(result, 3);
    }
    void whoIsServedDoesNotHoldUpTheOthers() {
        // The first releases and then stays: a dialog, say.
        DeferredLock lock;
        std::string order;
        auto a = enter(lock, order, 'a');
        lock.acquire().addCallback([&](DeferredLock* same) {
            order += "b(";
            same->release();
            order += ")";
        });
        lock.acquire().addCallback([&](DeferredLock* same) {
            order += 'c';
            same->release();
        });
        lock.release();
        QCOMPARE(order, std::string("ab(c)"));
    }
    void aFailureOfTheFunctionThatNobodyTakesIsReported() {
        DeferredLock lock;
        lock.run([] { throw oops(); });
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void anAbandonedOneSaysWhereItBegan() {
        std::optional<DeferredLock> lock(std::in_place);
        auto a = lock->acquire();
        auto b = lock->acquire();
        const auto line = std::source_location::current().line() - 1;
        std::uint_least32_t said = 0;
        b.addErrback([&](Failure failure) -> DeferredLock* {
            said = failure.trap<AbandonedError>().created().line();
            return nullptr;
        });
        lock.reset();
        QCOMPARE(said, line);
    }

    void aHundredThousandWaitersNeedNoStack_data() {
        QTest::addColumn<int>("kind");
        QTest::newRow("release inside the callback") << 0;
        QTest::newRow("run") << 1;
        QTest::newRow("coroutines with guards") << 2;
        QTest::newRow("cancelled, the last first") << 3;
        QTest::newRow("cancelled, the first first") << 4;
        QTest::newRow("the lock dies") << 5;
        QTest::newRow("an owner dies") << 6;
    }
    void aHundredThousandWaitersNeedNoStack() {
        QFETCH(int, kind);
        constexpr int many = 100'000;
        int served = 0, failed = 0;
        onSmallStack([&] {
            std::optional<DeferredLock> lock(std::in_place);
            Scope scope;
            std::vector<Deferred<>> waiting;
            lock->acquire();
            const auto work = [&](DeferredLock* same) -> Deferred<> {
                auto guard = co_await same->scoped();
                ++served;
            };
            for (int i = 0; i < many; ++i) {
                Deferred<> d = kind == 1   ? Deferred<>(lock->run([&] { ++served; }))
                               : kind == 2 ? work(&*lock)
                                           : lock->acquire().addCallback([&](DeferredLock* same) {
                                                 ++served;
                                                 same->release();
                                             });
                d.addErrback([&](Failure) { ++failed; });
                if (kind == 6) d.ownedBy(scope);
                waiting.push_back(std::move(d));
            }
            if (kind == 3)
                for (auto d = waiting.rbegin(); d != waiting.rend(); ++d) d->cancel();
            if (kind == 4)
                for (auto& d : waiting) d.cancel();
            if (kind == 5) return lock.reset();
            if (kind == 6) scope.cancel();
            lock->release();
        });
        QCOMPARE(served, kind < 3 ? many : 0);
        QCOMPARE(failed, kind >= 3 && kind < 6 ? many : 0);
    }
};

QTEST_GUILESS_MAIN(DeferredLockTest)
#include "deferred_lock_test.moc"
