// Several Deferreds at once: owners, handles that go, callbacks that do anything, and a great many of them.

#include "defer/compiler.h"
#include "defer/group_testing.h"

#include "bine/defer/deferred_list.h"
#include "bine/defer/owner.h"

using bine::CancelledError;
using bine::Deferred;
using bine::DeferredListOptions;
using bine::Resolver;
using bine::Result;
using bine::Scope;

using Results = std::vector<Result<int>>;

class DeferredListLifetimeTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    std::size_t reports() { return log_.recorder().flushErrors<std::exception>().size(); }
    static void orders() {
        QTest::addColumn<QByteArray>("which");
        for (const char* which : {"forward", "backward", "shuffled"}) QTest::newRow(which) << QByteArray(which);
    }

private slots:
    void cleanup() {
        log_.check();
        nothingLives();
    }

    // --- Handles that go, owners that die

    void d099_aListWhoseHandleIsDroppedGoesOnUnheard() {
        Members<int> m(2);
        auto held = std::make_shared<int>(1);
        m.deferreds[0].addCallback([held](int value) { return value; });
        static_cast<void>(bine::deferredList(m.handedOver()));
        QCOMPARE(held.use_count(), 2L);
        m.resolvers[0].callback(1);
        QCOMPARE(held.use_count(), 1L);
        m.resolvers[1].errback(oops());
        QCOMPARE(reports(), std::size_t(0));  // it is in the results, which nobody wanted
    }
    void d099_aMemberThatWasHandedOverGoesWhenItIsDone() {
        Members<int> m(2);
        const auto ref = m.deferreds[0].ref();
        auto list = bine::deferredList(m.handedOver());
        m.resolvers[0].callback(1);
        m.resolvers.erase(m.resolvers.begin());
        QVERIFY(!ref);
        QVERIFY(!list.called());
    }
    void d099_aListAndItsMembersGoWithoutATrace() {
        Members<int> m(2);
        auto held = std::make_shared<int>(1);
        {
            auto list = bine::deferredList(m.handedOver(), DeferredListOptions().consumeErrors()).addCallback([held](const Results&) {});
            m.resolvers.clear();  // the members are abandoned, and the list fires
            QVERIFY(list.called());
        }
        QCOMPARE(held.use_count(), 1L);
    }
    void r268_whatWasHandedOverEndsWithTheListsOwner() {
        int cancelled = 0, calls = 0;
        auto held = std::make_shared<int>(1);
        Members<int> m;
        for (int i = 0; i < 3; ++i) m.add(Resolver<int>([&] { ++cancelled; }));
        for (auto& d : m.deferreds) d.addBoth([&calls, held](Result<int> result) { return ++calls, result; });
        m.resolvers[1].callback(1);
        QCOMPARE(calls, 1);
        {
            Scope scope;
            bine::deferredList(m.handedOver()).ownedBy(scope).addBoth([&calls, held](const Result<Results>&) { ++calls; });
        }
        QCOMPARE(cancelled, 2);
        QCOMPARE(calls, 1);
        QCOMPARE(held.use_count(), 1L);
        m.resolvers[0].callback(0);
        m.resolvers[2].callback(2);
        QCOMPARE(calls, 1);
    }
    void r268_framesOfMembersAreUnwoundAndNotTold() {
        Pair<int> p;
        std::string order;
        const auto work = [&order](Deferred<int> d) -> Deferred<int> {
            struct Mark {
                explicit Mark(std::string& order) : order(order) {}
                ~Mark() { order += "unwound"; }
                std::string& order;
            } const mark(order);
            try {
                co_return co_await d;
            } catch (const std::exception&) {
                order += "told ";
                throw;
            }
        };
        std::vector<Deferred<int>> members;
        members.push_back(work(std::move(p.deferred)));
        {
            Scope scope;
            bine::deferredList(std::move(members)).ownedBy(scope);
        }
        QCOMPARE(order, std::string("unwound"));
        QVERIFY(p.resolver.called());
    }
    void r268_theEndOfOneMemberSetsNoOtherGoing() {
        int calls = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { m.resolvers[1].callback(1); }));
        m.add(Resolver<int>([&] { m.resolvers[0].callback(1); }));
        for (auto& d : m.deferreds) d.addBoth([&](Result<int> result) { return ++calls, result; });
        {
            Scope scope;
            bine::deferredList(m.handedOver()).ownedBy(scope);
        }
        QCOMPARE(calls, 0);
    }
    void r268_whatIsWatchedIsCancelledAndGoesOn() {
        Members<int> m(2);
        int told = 0;
        for (auto& d : m.deferreds)
            d.addErrback([&](const bine::Failure& failure) {
                failure.trap<CancelledError>();
                return ++told;
            });
        int calls = 0;
        {
            Scope scope;
            bine::deferredList(m.watched()).ownedBy(scope).addBoth([&](const Result<Results>&) { ++calls; });
        }
        QCOMPARE(told, 2);
        QCOMPARE(calls, 0);
        QCOMPARE(m.handle(), 0);
    }
    void r268_membersEndWithTheOwnerOfACoroutineThatAwaitsTheirList() {
        int cancelled = 0, calls = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>([&] { ++cancelled; }));
        for (auto& d : m.deferreds) d.addBoth([&](Result<int> result) { return ++calls, result; });
        const auto work = [&](std::vector<Deferred<int>> members) -> Deferred<> {
            try {
                co_await bine::deferredList(std::move(members));
            } catch (const std::exception&) {
            }
            ++calls;
        };
        {
            Scope scope;
            work(m.handedOver()).ownedBy(scope);
        }
        QCOMPARE(cancelled, 2);
        QCOMPARE(calls, 0);
    }
    void r268_membersOfAListInAListEndWithTheOuterOnesOwner() {
        int cancelled = 0, calls = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>([&] { ++cancelled; }));
        for (auto& d : m.deferreds) d.addBoth([&](Result<int> result) { return ++calls, result; });
        std::vector<Deferred<Results>> lists;
        lists.push_back(bine::deferredList(m.handedOver()));
        {
            Scope scope;
            bine::deferredList(std::move(lists)).ownedBy(scope);
        }
        QCOMPARE(cancelled, 2);
        QCOMPARE(calls, 0);
    }
    void r268_theOwnerMayDieInAMembersCallback() {
        auto scope = std::make_unique<Scope>();
        int cancelled = 0, calls = 0;
        Members<int> m;
        for (int i = 0; i < 3; ++i) m.add(Resolver<int>([&] { ++cancelled; }));
        m.deferreds[1].addCallback([&](int value) { return scope.reset(), value; }).addBoth([&](Result<int> result) { return ++calls, result; });
        bine::deferredList(m.handedOver()).ownedBy(*scope).addBoth([&](const Result<Results>&) { ++calls; });
        m.resolvers[1].callback(1);
        QCOMPARE(cancelled, 2);
        QCOMPARE(calls, 0);
    }
    void r268_theOwnerMayDieInACancellerWhileTheListIsCancelled() {
        auto scope = std::make_unique<Scope>();
        int cancelled = 0, calls = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; }));
        m.add(Resolver<int>([&] { ++cancelled, scope.reset(); }));
        m.add(Resolver<int>([&] { ++cancelled; }));
        for (std::size_t i = 1; i < 3; ++i) m.deferreds[i].addBoth([&](Result<int> result) { return ++calls, result; });
        auto list = bine::deferredList(m.handedOver()).ownedBy(*scope).addBoth([&](const Result<Results>&) { ++calls; });
        list.cancel();
        QCOMPARE(cancelled, 3);
        QCOMPARE(calls, 0);
    }
    void r268_aMemberThatDiesWithItsOwnOwnerCountsAsCancelled() {
        for (const bool watches : {false, true}) {
            Members<int> m(2);
            auto scope = std::make_unique<Scope>();
            m.deferreds[0].ownedBy(*scope);
            const Outcome list(watches ? bine::deferredList(m.watched()) : bine::deferredList(m.handedOver()));
            scope.reset();
            m.resolvers[1].callback(1);
            QVERIFY(list);
            QVERIFY(list.value()[0].failure().check<CancelledError>());
            QCOMPARE(*list.value()[1], 1);
        }
    }
    void r268_soDoesOneThatHasDiedAlready() {
        Members<int> m(1);
        { Scope scope; m.deferreds[0].ownedBy(scope); }
        const Outcome list(bine::deferredList(m.handedOver()));
        QVERIFY(list.value()[0].failure().check<CancelledError>());
    }
    void r268_membersAndListMayHaveOneOwner() {
        Members<int> m(3);
        int calls = 0;
        {
            Scope scope;
            for (auto& d : m.deferreds) d.ownedBy(scope).addBoth([&](Result<int> result) { return ++calls, result; });
            bine::deferredList(m.handedOver()).ownedBy(scope).addBoth([&](const Result<Results>&) { ++calls; });
        }
        QCOMPARE(calls, 0);
        for (auto& resolver : m.resolvers) QVERIFY(resolver.called());
    }
    void r268_losersEndWithTheOwnerOfAListThatIsOver() {
        for (const bool failsAtOnce : {false, true}) {
            Members<int> m(2);
            int calls = 0;
            m.deferreds[1].addBoth([&](Result<int> result) { return ++calls, result; });
            {
                Scope scope;
                if (failsAtOnce) m.resolvers[0].errback(oops());
                auto list = bine::deferredList(m.handedOver(), DeferredListOptions().fireOnOneErrback());
                std::move(list).ownedBy(scope).addErrback([](const bine::Failure&) { return Results(); });
                if (!failsAtOnce) m.resolvers[0].errback(oops());
            }
            m.resolvers[1].callback(1);
            QCOMPARE(calls, 0);
        }
    }
    void r268_nothingElseOfTheOwnerSetsAMemberGoing() {
        for (const bool awaits : {false, true}) {
            Members<int> m(1);
            int calls = 0;
            m.deferreds[0].addBoth([&](Result<int> result) { return ++calls, result; });
            const auto work = [](std::vector<Deferred<int>> members) -> Deferred<Results> { co_return co_await bine::deferredList(std::move(members)); };
            Scope scope;
            auto list = awaits ? work(m.handedOver()) : bine::deferredList(m.handedOver());
            list.ownedBy(scope);
            Resolver<int> other([&] { m.resolvers[0].callback(1); });
            auto d = other.deferred().ownedBy(scope);
            scope.cancel();
            QCOMPARE(calls, 0);
        }
    }
    void r268_theFailureOfAnEndedListIsNotReported() {
        Members<int> m(2);
        {
            Scope scope;
            bine::deferredList(m.handedOver(), DeferredListOptions().fireOnOneErrback()).ownedBy(scope);
        }
        m.resolvers[0].errback(oops());
        QCOMPARE(reports(), std::size_t(0));
    }

    // --- Callbacks may do anything

    void theListsCallbackMayDestroyEverything() {
        for (const bool watches : {false, true}) {
            struct Everything {
                Members<int> members{3};
                std::optional<Deferred<>> list;
                Scope scope;
            };
            auto everything = std::make_unique<Everything>();
            auto& m = everything->members;
            int calls = 0;
            everything->list = (watches ? bine::deferredList(m.watched()) : bine::deferredList(m.handedOver()))
                                   .ownedBy(everything->scope)
                                   .addCallback([&](const Results&) {
                                       everything.reset();
                                       ++calls;
                                   })
                                   .addCallback([&] { ++calls; });
            m.resolvers[0].callback(0);
            m.resolvers[1].callback(1);
            auto last = std::move(m.resolvers[2]);
            last.callback(2);
            QVERIFY(!everything);
            QCOMPARE(calls, 1);
        }
    }
    void aMembersCallbackMayDropTheListsHandleAndTheResolvers() {
        Members<int> m(3);
        std::optional<Deferred<Results>> list;
        m.deferreds[0].addCallback([&](int value) {
            list.reset();
            m.resolvers.clear();
            return value;
        });
        list = bine::deferredList(m.handedOver());
        auto first = std::move(m.resolvers[0]);
        first.callback(1);
        QVERIFY(!list);
    }
    void theListsCallbackMayCancelItAndFireTheLosers() {
        Members<int> m(2);
        bine::DeferredRef ref;
        auto d = bine::fireOnOneCallback(m.handedOver());
        ref = d.ref();
        int seen = 0;
        d.addCallback([&](bine::FirstSuccess<int> first) {
            ref.cancel();
            m.resolvers[1].callback(2);
            seen = first.value;
            return first;
        });
        m.resolvers[0].callback(1);
        QCOMPARE(seen, 1);
    }
    void aMovedMemberIsRefusedAndTheOthersGoOnByThemselves() {
        Members<int> m(3);
        int calls = 0;
        m.deferreds[0].addCallback([&](int value) { return ++calls, value; });
        { const Deferred<int> moved = std::move(m.deferreds[1]); }
        QVERIFY_THROWS_EXCEPTION(std::logic_error, static_cast<void>(bine::deferredList(m.handedOver())));
        m.resolvers[0].callback(1);
        QCOMPARE(calls, 1);
    }
    void aVectorWithANameIsRefusedUnlessItIsSaidHow() {
        const QByteArray head = "#include \"bine/defer/deferred_list.h\"\nint main() { std::vector<bine::Deferred<int>> members; ";
        QCOMPARE(saidOf(head + "bine::deferredList(std::move(members)); bine::deferredList(std::span(members)); }"), QString());
        const QString said = saidOf(head + "bine::deferredList(members); }");
        QVERIFY2(said.contains("watch them with std::span(members)"), qPrintable(said));
    }
    void valuesThatCannotBeCopiedCannotBeWatched() {
        const QString said = saidOf(
            "#include <memory>\n#include \"bine/defer/deferred_list.h\"\n"
            "int main() { std::vector<bine::Deferred<std::unique_ptr<int>>> members; bine::deferredList(std::span(members)); }");
        QVERIFY2(said.contains("this type cannot be copied"), qPrintable(said));
    }

    // --- Many

    void d066_manyMembersFire_data() { orders(); }
    void d066_manyMembersFire() {
        QFETCH(QByteArray, which);
        for (const bool watches : {false, true}) {
            std::size_t sum = 0;
            onSmallStack([&] {
                Members<std::size_t> m(many);
                const auto list = (watches ? bine::deferredList(m.watched()) : bine::deferredList(m.handedOver()))
                                      .addCallback([&](const std::vector<Result<std::size_t>>& results) {
                                          for (std::size_t i = 0; i < results.size(); ++i) sum += *results[i] == i;
                                      });
                for (const std::size_t i : order(many, which)) m.resolvers[i].callback(i);
            });
            QCOMPARE(sum, many);
        }
    }
    void d073_manyMembersAreCancelled() {
        for (const bool watches : {false, true}) {
            std::size_t count = 0;
            int left = 0;
            onSmallStack([&] {
                Members<int> m(many);
                auto list = (watches ? bine::deferredList(m.watched()) : bine::deferredList(m.handedOver())).addCallback([&](const Results& results) {
                    for (const auto& result : results) count += result.isFailure();
                });
                list.cancel();
                left = m.handle();
            });
            QCOMPARE(count, many);
            QCOMPARE(left, watches ? int(many) : 0);
        }
    }
    void r268_manyMembersEndWithTheOwner() {
        std::size_t cancelled = 0, calls = 0;
        onSmallStack([&] {
            Members<int> m;
            for (std::size_t i = 0; i < many; ++i) m.add(Resolver<int>([&] { ++cancelled; }));
            Scope scope;
            bine::deferredList(m.handedOver()).ownedBy(scope).addBoth([&](const Result<Results>&) { ++calls; });
            scope.cancel();
        });
        QCOMPARE(cancelled, many);
        QCOMPARE(calls, std::size_t(0));
    }
    void d066_manyMembersAreAbandoned() {
        std::size_t count = 0;
        onSmallStack([&] {
            Members<int> m(many);
            const auto list = bine::deferredList(m.handedOver()).addCallback([&](const Results& results) {
                for (const auto& result : results) count += result.failure().check<bine::AbandonedError>() != nullptr;
            });
            m.resolvers.clear();
        });
        QCOMPARE(count, many);
    }
    void d066_manyMembersHaveFired() {
        std::size_t count = 0;
        onSmallStack([&] {
            std::vector<Deferred<int>> members;
            for (std::size_t i = 0; i < many; ++i) members.push_back(bine::succeed(1));
            bine::deferredList(std::move(members)).addCallback([&](const Results& results) {
                for (const auto& result : results) count += *result;
            });
        });
        QCOMPARE(count, many);
    }
    void d066_manyMembersThatFireEachOther() {
        std::size_t count = 0;
        onSmallStack([&] {
            Members<int> m(many);
            Resolver<int> trigger;
            auto d = trigger.deferred();
            for (std::size_t i = 0; i < many; ++i) d.addCallback([&m, i](int value) { return m.resolvers[i].callback(int(value)), value; });
            const auto list = bine::deferredList(m.handedOver()).addCallback([&](const Results& results) { count = results.size(); });
            trigger.callback(1);
        });
        QCOMPARE(count, many);
    }
};

QTEST_GUILESS_MAIN(DeferredListLifetimeTest)
#include "deferred_list_lifetime_test.moc"
