// The first that succeeds.

#include "defer/group_testing.h"

#include "bine/defer/owner.h"
#include "bine/defer/race.h"

using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::FailureGroup;
using bine::FirstSuccess;
using bine::Resolver;
using bine::Result;
using bine::Scope;

class RaceTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() {
        log_.check();
        nothingLives();
    }

    void d077_theFirstSuccessGivesIndexAndValueAndCancelsTheRest() {
        std::string cancelled;
        Members<int> m;
        for (const char* name : {"a", "b", "c"}) m.add(Resolver<int>([&cancelled, name] { cancelled += name; }));
        const Outcome first(bine::race(m.handedOver()));
        QVERIFY(!first);
        m.resolvers[1].callback(7);
        QCOMPARE(first.value().index, std::size_t(1));
        QCOMPARE(first.value().value, 7);
        QCOMPARE(cancelled, std::string("ac"));
    }
    void d077_theRestIsCancelledBeforeAnybodyIsTold() {
        std::string order;
        Members<int> m;
        m.add(Resolver<int>()).add(Resolver<int>([&] { order += "cancelled "; }));
        bine::race(m.handedOver()).addCallback([&](FirstSuccess<int>) { order += "told"; });
        m.resolvers[0].callback(1);
        QCOMPARE(order, std::string("cancelled told"));
    }
    void d077_failuresBeforeTheFirstSuccessVanish() {
        Members<int> m(3);
        const Outcome first(bine::race(m.handedOver()));
        m.resolvers[0].errback(oops());
        m.resolvers[2].errback(oops());
        QVERIFY(!first);
        m.resolvers[1].callback(1);
        QCOMPARE(first.value().index, std::size_t(1));
    }
    void d077_lateResultsVanish() {
        Members<int> m;
        m.add(Resolver<int>());
        m.add(Resolver<int>([](Resolver<int>& self) { self.callback(2); }));              // a success, though cancelled
        m.add(Resolver<int>([](Resolver<int>& self) { self.errback(oops("my own")); }));  // a failure of its own
        m.add(Resolver<int>());                                                           // fired later, without effect
        const Outcome first(bine::race(m.handedOver()));
        m.resolvers[0].callback(1);
        QCOMPARE(first.value().value, 1);
        m.resolvers[3].errback(oops());
    }
    void d077_soDoThoseOfMembersThatTakeTheirTime() {
        for (const bool fails : {false, true}) {
            Pair<int> fast, slow, cleanUp;
            std::vector<Deferred<int>> members;
            members.push_back(std::move(fast.deferred));
            members.push_back(std::move(slow.deferred).addErrback([&](const Failure&) { return std::move(cleanUp.deferred); }));
            const Outcome first(bine::race(std::move(members)));
            fast.resolver.callback(1);
            QCOMPARE(first.value().value, 1);
            if (fails)
                cleanUp.resolver.errback(oops());
            else
                cleanUp.resolver.callback(2);
            QCOMPARE(first.value().value, 1);
        }
    }
    void d077_membersMayCarryNothing() {
        Members<void> m(2);
        const Outcome first(bine::race(m.handedOver()));
        m.resolvers[1].callback();
        QCOMPARE(first.value().index, std::size_t(1));
    }
    void d077_valuesNeedNoCopy() {
        Members<std::unique_ptr<int>> m(2);
        const Outcome first(bine::race(m.handedOver()).addCallback([](FirstSuccess<std::unique_ptr<int>> first) { return *first.value; }));
        m.resolvers[1].callback(std::make_unique<int>(5));
        QCOMPARE(first.value(), 5);
    }
    void d077_aRaceMayBeAwaited() {
        Members<std::string> m(2);
        const auto work = [](std::vector<Deferred<std::string>> members) -> Deferred<std::string> {
            const FirstSuccess<std::string> first = co_await bine::race(std::move(members));
            co_return std::to_string(first.index) + first.value;
        };
        const Outcome text(work(m.handedOver()));
        m.resolvers[1].callback(std::string(": a text that is too long for the buffer inside a string"));
        QCOMPARE(text.value(), std::string("1: a text that is too long for the buffer inside a string"));
    }
    void d077_ifAllFailTheGroupHasThemByIndex() {
        Members<int> m(3);
        const Outcome first(bine::race(m.handedOver()));
        m.resolvers[2].errback(oops("two"));
        m.resolvers[0].errback(oops("zero"));
        QVERIFY(!first);
        m.resolvers[1].errback(oops("one"));
        const auto* const group = first.failed<FailureGroup>();
        QVERIFY(group);
        std::string texts;
        for (const Failure& failure : group->failures()) texts += failure.getErrorMessage() + ' ';
        QCOMPARE(texts, std::string("zero one two "));
    }
    void d067_anEmptyRaceFailsAtOnce() {
        const Outcome first(bine::race(std::vector<Deferred<int>>()));
        QVERIFY(first.failed<FailureGroup>());
        QVERIFY(first.failed<FailureGroup>()->failures().empty());
    }
    void d071_aMemberThatHasFiredWinsAndTheRestIsCancelled() {
        int cancelled = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>()).add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>());
        m.resolvers[1].callback(1);
        m.deferreds[3] = bine::fail<int>(oops());
        const Outcome first(bine::race(m.handedOver()));
        QCOMPARE(first.value().index, std::size_t(1));
        QCOMPARE(cancelled, 2);
    }
    void d071_ofSeveralTheFirstInTheListWins() {
        std::vector<Deferred<int>> members;
        members.push_back(bine::fail<int>(oops()));
        members.push_back(bine::succeed(1));
        members.push_back(bine::succeed(2));
        QCOMPARE(Outcome(bine::race(std::move(members))).value().index, std::size_t(1));
    }

    void d071_nobodyIsCancelledIfAMemberWasMovedAway() {
        int cancelled = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>()).add(Resolver<int>());
        m.resolvers[1].callback(1);
        { const Deferred<int> moved = std::move(m.deferreds[2]); }
        QVERIFY_THROWS_EXCEPTION(std::logic_error, static_cast<void>(bine::race(m.handedOver())));
        QCOMPARE(cancelled, 0);
        m.resolvers[0].callback(0);
        m.resolvers.pop_back();
    }

    // --- Cancelling

    void d077_cancellingItCancelsAll() {
        std::string order;
        Members<int> m;
        m.add(Resolver<int>([&] { order += "a"; })).add(Resolver<int>([&] { throw oops("in a canceller"); })).add(Resolver<int>([&] { order += "c"; }));
        auto d = bine::race(m.handedOver());
        d.cancel();
        QCOMPARE(order, std::string("ac"));
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
        const Outcome first(std::move(d));
        const auto* const group = first.failed<FailureGroup>();
        QVERIFY(group);
        for (const Failure& failure : group->failures()) QVERIFY(failure.check<CancelledError>());
    }
    void d077_aCancellerThatFiresAValueWins() {
        int cancelled = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; }));
        m.add(Resolver<int>([&](Resolver<int>& self) { self.callback(5); }));
        m.add(Resolver<int>([&] { ++cancelled; }));
        auto d = bine::race(m.handedOver());
        d.cancel();
        const Outcome first(std::move(d));
        QCOMPARE(first.value().index, std::size_t(1));
        QCOMPARE(cancelled, 2);
    }
    void d077_cancellingADecidedRaceDoesNothing() {
        Pair<int> fast, slow, cleanUp;
        bool told = false;
        std::vector<Deferred<int>> members;
        members.push_back(std::move(fast.deferred));
        members.push_back(std::move(slow.deferred).addErrback([&](const Failure&) { return std::move(cleanUp.deferred); }));
        auto d = bine::race(std::move(members));
        fast.resolver.callback(1);
        d.cancel();
        QVERIFY(!cleanUp.resolver.called());
        QCOMPARE(Outcome(std::move(d)).value().value, 1);
        cleanUp.resolver.callback(1);
        QVERIFY(!told);
    }
    void d077_theWinnerStandsIfTheRaceIsCancelledWhileTheRestIs() {
        bine::DeferredRef race;
        std::string order;
        Members<int> m;
        m.add(Resolver<int>());
        m.add(Resolver<int>([&] {
            race.cancel();
            order += "cancelled ";
        }));
        m.add(Resolver<int>([&] { order += "too "; }));
        auto d = bine::race(m.handedOver()).addBoth([&](Result<FirstSuccess<int>> first) { order += first.isValue() ? "won " : "lost "; });
        race = d.ref();
        m.resolvers[0].callback(1);
        QCOMPARE(order, std::string("won cancelled too "));
    }
    void d077_membersMayFireInsideCancellers() {
        Members<int> m;
        m.add(Resolver<int>()).add(Resolver<int>([&] { m.resolvers[2].callback(2); })).add(Resolver<int>());
        const Outcome first(bine::race(m.handedOver()));
        m.resolvers[0].callback(0);
        QCOMPARE(first.value().index, std::size_t(0));
    }
    void d077_aRaceInARaceIsCancelledWithIt() {
        int cancelled = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>([&] { ++cancelled; }));
        Pair<FirstSuccess<int>> winner;
        std::vector<Deferred<FirstSuccess<int>>> races;
        races.push_back(bine::race(m.handedOver()));
        races.push_back(std::move(winner.deferred));
        const Outcome first(bine::race(std::move(races)));
        winner.resolver.callback(FirstSuccess<int>(0, 9));
        QCOMPARE(first.value().value.value, 9);
        QCOMPARE(cancelled, 2);
    }

    // --- Handles that go, owners that die

    void d077_aRaceWhoseHandleIsDroppedCancelsTheRestStill() {
        Members<int> m(2);
        static_cast<void>(bine::race(m.handedOver()));
        m.resolvers[0].callback(1);
        QVERIFY(m.resolvers[1].called());
    }
    void d048_aFailedRaceThatNobodyHearsOfIsReported() {
        Members<int> m(2);
        static_cast<void>(bine::race(m.handedOver()));
        m.resolvers[0].errback(oops());
        m.resolvers[1].errback(oops());
        QCOMPARE(log_.recorder().flushErrors<FailureGroup>().size(), std::size_t(1));
    }
    void r268_allEndsWithTheOwner() {
        int cancelled = 0, calls = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>([&] { ++cancelled; }));
        for (auto& d : m.deferreds) d.addBoth([&](Result<int> result) { return ++calls, result; });
        {
            Scope scope;
            bine::race(m.handedOver()).ownedBy(scope).addBoth([&](const Result<FirstSuccess<int>>&) { ++calls; });
        }
        QCOMPARE(cancelled, 2);
        QCOMPARE(calls, 0);
    }
    void r268_theOwnerMayDieInALosersCanceller() {
        auto scope = std::make_unique<Scope>();
        int cancelled = 0, calls = 0;
        Members<int> m;
        m.add(Resolver<int>());
        m.add(Resolver<int>([&] { ++cancelled, scope.reset(); }));
        m.add(Resolver<int>([&] { ++cancelled; }));
        m.deferreds[2].addBoth([&](Result<int> result) { return ++calls, result; });
        bine::race(m.handedOver()).ownedBy(*scope).addBoth([&](const Result<FirstSuccess<int>>&) { ++calls; });
        m.resolvers[0].callback(1);
        QCOMPARE(cancelled, 2);
        QCOMPARE(calls, 0);
    }
    void theCallbackMayDestroyEverything() {
        struct Everything {
            Members<int> members{3};
            std::optional<Deferred<>> race;
            Scope scope;
        };
        auto everything = std::make_unique<Everything>();
        auto& m = everything->members;
        int calls = 0;
        everything->race = bine::race(m.handedOver())
                               .ownedBy(everything->scope)
                               .addCallback([&](FirstSuccess<int>) {
                                   everything.reset();
                                   ++calls;
                               })
                               .addCallback([&] { ++calls; });
        auto winner = std::move(m.resolvers[1]);
        winner.callback(1);
        QVERIFY(!everything);
        QCOMPARE(calls, 1);
    }
    void aLosersCancellerMayDestroyEverything() {
        struct Everything {
            Members<int> members;
            std::optional<Deferred<>> race;
        };
        auto everything = std::make_unique<Everything>();
        auto& m = everything->members;
        m.add(Resolver<int>()).add(Resolver<int>([&] { everything.reset(); })).add(Resolver<int>());
        int calls = 0;
        everything->race = bine::race(m.handedOver()).addBoth([&](const Result<FirstSuccess<int>>&) { ++calls; });
        auto winner = std::move(m.resolvers[0]);
        winner.callback(1);
        QVERIFY(!everything);
        QCOMPARE(calls, 1);
    }

    // --- Many

    void d077_manyMembersRace() {
        std::size_t cancelled = 0, index = 0;
        onSmallStack([&] {
            Members<int> m;
            for (std::size_t i = 0; i < many; ++i) m.add(Resolver<int>([&] { ++cancelled; }));
            bine::race(m.handedOver()).addCallback([&](FirstSuccess<int> first) { index = first.index; });
            m.resolvers[many / 2].callback(1);
        });
        QCOMPARE(index, many / 2);
        QCOMPARE(cancelled, many - 1);
    }
    void d077_manyMembersFail_data() {
        QTest::addColumn<QByteArray>("which");
        for (const char* which : {"forward", "backward", "shuffled"}) QTest::newRow(which) << QByteArray(which);
    }
    void d077_manyMembersFail() {
        QFETCH(QByteArray, which);
        std::size_t failures = 0;
        onSmallStack([&] {
            Members<int> m(many);
            bine::race(m.handedOver()).addErrback([&](const Failure& failure) {
                failures = failure.trap<FailureGroup>().failures().size();
                return FirstSuccess<int>(0, 0);
            });
            for (const std::size_t i : order(many, which)) m.resolvers[i].errback(oops());
        });
        QCOMPARE(failures, many);
    }
    void d077_manyMembersAreCancelled() {
        std::size_t failures = 0;
        onSmallStack([&] {
            Members<int> m(many);
            auto d = bine::race(m.handedOver()).addErrback([&](const Failure& failure) {
                failures = failure.trap<FailureGroup>().failures().size();
                return FirstSuccess<int>(0, 0);
            });
            d.cancel();
        });
        QCOMPARE(failures, many);
    }
};

QTEST_GUILESS_MAIN(RaceTest)
#include "race_test.moc"
