// Several Deferreds at once: deferredList() and fireOnOneCallback(), and what all lists have in common.

#include "defer/group_testing.h"

#include <array>

#include "bine/defer/deferred_list.h"
#include "bine/defer/owner.h"

using bine::CancelledError;
using bine::Deferred;
using bine::DeferredListOptions;
using bine::FailureGroup;
using bine::FirstError;
using bine::Resolver;
using bine::Result;

namespace {

using Results = std::vector<Result<int>>;

/// "1 oops 3".
std::string textOf(const Results& results) {
    std::string text;
    for (const auto& result : results)
        text += (text.empty() ? "" : " ") + (result.isValue() ? std::to_string(*result) : result.failure().getErrorMessage());
    return text;
}
/// The text of what came out of a list, or "nothing yet".
std::string textOf(const Outcome<Results>& outcome) { return outcome ? textOf(outcome.value()) : "nothing yet"; }

/// A member that takes its time to end: cancelled, it waits for `cleanUp`, and then fails with what it was told.
Deferred<int> slowToCancel(Deferred<int> work, Deferred<int> cleanUp) {
    bool cancelled = false;
    try {
        co_return co_await work;
    } catch (const CancelledError&) {
        cancelled = true;
    }
    if (cancelled) co_await cleanUp;
    throw oops("cleaned up");
}

}  // namespace

class DeferredListTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    std::size_t reports() { return log_.recorder().flushErrors<std::exception>().size(); }

private slots:
    void cleanup() {
        log_.check();
        nothingLives();
    }

    // --- All results

    void d066_aListFiresWhenAllHaveWithTheirResultsInOrder() {
        Members<int> m(3);
        const Outcome list(bine::deferredList(m.handedOver()));
        m.resolvers[2].callback(3);
        m.resolvers[0].callback(1);
        QVERIFY(!list);
        m.resolvers[1].errback(oops());
        QCOMPARE(textOf(list), std::string("1 oops 3"));
    }
    void d066_aListThatWatchesDoesTheSame() {
        Members<int> m(3);
        const Outcome list(bine::deferredList(m.watched()));
        m.resolvers[2].callback(3);
        m.resolvers[0].callback(1);
        QVERIFY(!list);
        m.resolvers[1].errback(oops());
        QCOMPARE(textOf(list), std::string("1 oops 3"));
        QCOMPARE(m.handle(), 1);
    }
    void d066_membersMayCarryNothing() {
        Members<void> m(2);
        const Outcome list(bine::deferredList(m.handedOver()));
        m.resolvers[0].errback(oops());
        m.resolvers[1].callback();
        QVERIFY(list.value()[0].isFailure());
        QVERIFY(list.value()[1].isValue());
    }
    void d066_whatIsHandedOverNeedsNoCopy() {
        Members<std::unique_ptr<int>> m(1);
        const Outcome list(bine::deferredList(m.handedOver()).addCallback([](std::vector<Result<std::unique_ptr<int>>> results) { return **results[0]; }));
        m.resolvers[0].callback(std::make_unique<int>(5));
        QCOMPARE(list.value(), 5);
    }
    void d066_anArrayCanBeWatched() {
        Pair<int> a, b;
        std::array<Deferred<int>, 2> both{std::move(a.deferred), std::move(b.deferred)};
        const Outcome list(bine::deferredList(std::span(both)));
        a.resolver.callback(1);
        b.resolver.callback(2);
        QCOMPARE(textOf(list), std::string("1 2"));
    }
    void d066_aValueThatCannotBeCopiedCountsAsFailedAndStaysWithTheMember() {
        struct Fragile {
            Fragile() = default;
            Fragile(const Fragile&) { throw oops("no copies today"); }
            Fragile(Fragile&&) noexcept {}
            Fragile& operator=(Fragile&&) noexcept { return *this; }
        };
        Members<Fragile> m(1);
        std::string why;
        bine::deferredList(m.watched()).addCallback([&](std::vector<Result<Fragile>> results) { why = results[0].failure().getErrorMessage(); });
        m.resolvers[0].callback(Fragile());
        QCOMPARE(why, std::string("no copies today"));
        bool there = false;
        std::move(m.deferreds[0]).addCallback([&](Fragile) { there = true; });
        QVERIFY(there);
    }
    void d066_aListMayBeAwaited() {
        Members<int> m(2);
        const auto work = [](std::vector<Deferred<int>> members) -> Deferred<int> {
            const Results results = co_await bine::deferredList(std::move(members));
            co_return *results[0] + *results[1];
        };
        const Outcome sum(work(m.handedOver()));
        m.resolvers[0].callback(1);
        m.resolvers[1].callback(2);
        QCOMPARE(sum.value(), 3);
    }

    void d067_anEmptyListFiresAtOnceWithNothingInIt() {
        const Outcome handedOver(bine::deferredList(std::vector<Deferred<int>>()));
        QVERIFY(handedOver.value().empty());
        const Outcome watched(bine::deferredList(std::span<Deferred<int>>()));
        QVERIFY(watched.value().empty());
    }

    // --- One result

    void d067_fireOnOneCallbackOfNothingFailsInsteadOfWaitingForEver() {
        const Outcome list(bine::fireOnOneCallback(std::vector<Deferred<int>>()));
        QVERIFY(list.failed<FailureGroup>());
        QVERIFY(list.failed<FailureGroup>()->failures().empty());
    }
    void d068_theFirstSuccessFiresItWithValueAndIndex() {
        Members<int> m(3);
        const Outcome list(bine::fireOnOneCallback(m.watched()));
        m.resolvers[0].errback(oops());
        QVERIFY(!list);
        m.resolvers[2].callback(30);
        QCOMPARE(list.value().index, std::size_t(2));
        QCOMPARE(list.value().value, 30);
        QVERIFY(!m.resolvers[1].called());
        m.resolvers[1].callback(20);
        QCOMPARE(list.value().value, 30);
        QCOMPARE(m.handle(), 1);
    }
    void d068_whatIsHandedOverIsLeftAloneThen() {
        int cancelled = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>());
        const Outcome list(bine::fireOnOneCallback(m.handedOver()));
        m.resolvers[1].callback(1);
        QCOMPARE(list.value().index, std::size_t(1));
        QCOMPARE(cancelled, 0);
        m.resolvers[0].callback(0);
    }
    void d068_ofMembersThatCarryNothingTheIndexIsTold() {
        Members<void> m(2);
        const Outcome list(bine::fireOnOneCallback(m.handedOver()));
        m.resolvers[1].callback();
        QCOMPARE(list.value().index, std::size_t(1));
        m.resolvers[0].callback();
    }
    void d068_withoutASuccessItFailsWithAllFailures() {
        Members<int> m(2);
        const Outcome list(bine::fireOnOneCallback(m.handedOver()));
        m.resolvers[1].errback(oops("one"));
        m.resolvers[0].errback(oops("zero"));
        const auto* const group = list.failed<FailureGroup>();
        QVERIFY(group);
        QCOMPARE(group->failures()[0].getErrorMessage(), std::string("zero"));
        QCOMPARE(group->failures()[1].getErrorMessage(), std::string("one"));
    }
    void d068_failuresThatASuccessHidIsReportedUnlessTheyAreConsumed() {
        for (const bool consumes : {false, true}) {
            Members<int> m(3);
            DeferredListOptions options;
            if (consumes) options.consumeErrors();
            const Outcome list(bine::fireOnOneCallback(m.handedOver(), options));
            m.resolvers[0].errback(oops());
            QCOMPARE(reports(), std::size_t(0));
            m.resolvers[1].callback(1);
            QCOMPARE(reports(), std::size_t(consumes ? 0 : 1));
            m.resolvers[2].errback(oops());
            QCOMPARE(reports(), std::size_t(consumes ? 0 : 1));
        }
    }

    void d069_theFirstFailureFailsItWithFailureAndIndex() {
        Members<int> m(3);
        const Outcome list(bine::deferredList(m.watched(), DeferredListOptions().fireOnOneErrback()));
        m.resolvers[2].callback(2);
        QVERIFY(!list);
        m.resolvers[1].errback(oops());
        const auto* const error = list.failed<FirstError>();
        QVERIFY(error);
        QCOMPARE(error->index(), std::size_t(1));
        QVERIFY(error->subFailure().check<std::runtime_error>());
        m.resolvers[0].errback(oops());
        QCOMPARE(m.handle(), 2);
    }
    void d069_withoutAFailureItHasAllResults() {
        Members<int> m(2);
        const Outcome list(bine::deferredList(m.handedOver(), DeferredListOptions().fireOnOneErrback()));
        m.resolvers[0].callback(1);
        m.resolvers[1].callback(2);
        QCOMPARE(textOf(list), std::string("1 2"));
    }
    void d068_d069_withBothTheFirstResultDecides() {
        for (const bool fails : {false, true}) {
            Members<int> m(2);
            const Outcome list(bine::fireOnOneCallback(m.handedOver(), DeferredListOptions().fireOnOneErrback()));
            if (fails)
                m.resolvers[1].errback(oops());
            else
                m.resolvers[1].callback(1);
            QCOMPARE(list->isFailure(), fails);
            QCOMPARE(list.failed<FirstError>() != nullptr, fails);
            m.resolvers[0].callback(0);
        }
    }

    // --- Failures that nobody took

    void d070_aWatchedMembersFailureIsUnhandledStill() {
        {
            Members<int> m(2);
            const Outcome list(bine::deferredList(m.watched()));
            m.resolvers[0].errback(oops());
            m.resolvers[1].callback(1);
            QCOMPARE(textOf(list), std::string("oops 1"));
            QCOMPARE(reports(), std::size_t(0));
        }
        QCOMPARE(reports(), std::size_t(1));
    }
    void d070_evenOneThatFirstErrorToldOf() {
        {
            Members<int> m(1);
            const Outcome list(bine::deferredList(m.watched(), DeferredListOptions().fireOnOneErrback()));
            m.resolvers[0].errback(oops());
            QVERIFY(list.failed<FirstError>());
        }
        QCOMPARE(reports(), std::size_t(1));
    }
    void d070_consumeErrorsTakesItOffTheMember() {
        Members<int> m(3);
        const Outcome list(bine::deferredList(m.watched(), DeferredListOptions().fireOnOneErrback().consumeErrors()));
        m.resolvers[0].errback(oops());
        m.resolvers[1].errback(oops());  // the list is over
        m.resolvers[2].callback(5);
        int sum = 0;
        for (auto& d : m.deferreds) d.addCallback([&](int value) { return sum += value; });
        QCOMPARE(sum, 5);
        QCOMPARE(m.handle(), 0);
    }
    void d070_withoutAValueToGoOnWithConsumeErrorsThrows() {
        struct NoDefault {
            explicit NoDefault(int) {}
        };
        Members<NoDefault> m(1);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, static_cast<void>(bine::deferredList(m.watched(), DeferredListOptions().consumeErrors())));
        QVERIFY(!m.deferreds[0].called());
        const Outcome list(bine::deferredList(m.handedOver(), DeferredListOptions().consumeErrors()));
        m.resolvers[0].errback(oops());
        QVERIFY(list);
    }
    void d048_aListThatMembersWereHandedToTakesTheFailuresThatItTellsOf() {
        Members<int> m(2);
        const Outcome list(bine::deferredList(m.handedOver()));
        m.resolvers[0].errback(oops());
        m.resolvers[1].errback(oops());
        QCOMPARE(textOf(list), std::string("oops oops"));
        QCOMPARE(reports(), std::size_t(0));
    }
    void d070_theOthersAreReportedUnlessTheyAreConsumed() {
        for (const bool consumes : {false, true}) {
            Members<int> m(2);
            DeferredListOptions options;
            options.fireOnOneErrback();
            if (consumes) options.consumeErrors();
            const Outcome list(bine::deferredList(m.handedOver(), options));
            m.resolvers[0].errback(oops());
            QCOMPARE(reports(), std::size_t(0));
            m.resolvers[1].errback(oops());
            QCOMPARE(reports(), std::size_t(consumes ? 0 : 1));
        }
    }

    // --- Members that have fired

    void d071_membersThatHaveFiredCountAtOnce() {
        std::vector<Deferred<int>> members;
        members.push_back(bine::succeed(1));
        members.push_back(bine::fail<int>(oops()));
        const Outcome list(bine::deferredList(std::move(members)));
        QCOMPARE(textOf(list), std::string("1 oops"));

        Members<int> m(2);
        m.resolvers[0].callback(1);
        m.resolvers[1].callback(2);
        const Outcome watched(bine::deferredList(m.watched()));
        QCOMPARE(textOf(watched), std::string("1 2"));
    }
    void d071_someHaveAndSomeHaveNot() {
        Members<int> m(3);
        m.resolvers[1].callback(2);
        m.deferreds[2] = bine::succeed(3);
        const Outcome list(bine::deferredList(m.watched()));
        QVERIFY(!list);
        m.resolvers[0].callback(1);
        QCOMPARE(textOf(list), std::string("1 2 3"));
        QCOMPARE(m.handle(), 0);
    }
    void d071_theOptionsAreInForceBefore() {
        std::vector<Deferred<int>> members;
        members.push_back(bine::fail<int>(oops("first")));
        members.push_back(bine::fail<int>(oops("second")));
        members.push_back(bine::succeed(1));
        const Outcome watched(bine::deferredList(std::span(members), DeferredListOptions().fireOnOneErrback().consumeErrors()));
        QCOMPARE(watched.failed<FirstError>()->index(), std::size_t(0));
        members[1].addCallback([](int value) { return value; });
        const Outcome first(bine::fireOnOneCallback(std::move(members)));
        QCOMPARE(first.value().index, std::size_t(0));  // goes on with a value
    }
    void d071_aPausedMemberIsWaitedFor() {
        Members<int> m(1);
        auto ref = m.deferreds[0].ref();
        m.deferreds[0].pause();
        m.resolvers[0].callback(1);
        const Outcome list(bine::deferredList(m.handedOver()));
        m.resolvers.clear();
        QVERIFY(!list);
        ref.unpause();
        QCOMPARE(textOf(list), std::string("1"));
    }

    void d072_aWatchedMemberGoesOnWithItsValue() {
        Members<std::string> m(2);
        const Outcome list(bine::deferredList(m.watched()));
        std::string seen;
        for (auto& d : m.deferreds) d.addCallback([&](std::string value) { return seen += value, value; });
        m.resolvers[0].callback(std::string("a long text, which would be empty, had it been moved away "));
        m.resolvers[1].callback(std::string("b"));
        QCOMPARE(seen, std::string("a long text, which would be empty, had it been moved away b"));
        QCOMPARE(*list.value()[0] + *list.value()[1], seen);
    }
    void d072_twoListsMayWatchTheSame() {
        Members<int> m(2);
        const Outcome one(bine::deferredList(m.watched()));
        const Outcome two(bine::deferredList(m.watched()));
        m.resolvers[0].callback(1);
        m.resolvers[1].callback(2);
        QCOMPARE(textOf(one), std::string("1 2"));
        QCOMPARE(textOf(two), std::string("1 2"));
    }

    // --- Cancelling

    void d073_cancelReachesEveryMemberThoughACancellerThrows() {
        std::string order;
        Members<int> m;
        m.add(Resolver<int>([&] { order += "a"; }));
        m.add(Resolver<int>([&] { throw oops("in a canceller"); }));
        m.add(Resolver<int>([&] { order += "c"; }));
        auto list = bine::deferredList(m.handedOver());
        list.cancel();
        QCOMPARE(order, std::string("ac"));
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
        QCOMPARE(textOf(Outcome(std::move(list))), std::string("cancelled cancelled cancelled"));
    }
    void d073_aWatchedMemberIsCancelledToo() {
        Members<int> m(2);
        m.resolvers[0].callback(1);
        auto list = bine::deferredList(m.watched());
        list.cancel();
        QVERIFY(m.resolvers[1].called());
        QCOMPARE(textOf(Outcome(std::move(list))), std::string("1 cancelled"));
        QCOMPARE(m.handle(), 1);
    }
    void d073_aFiredListIsLeftAloneAndSoAreTheLosers() {
        int cancelled = 0;
        for (const bool watches : {false, true}) {
            Members<int> m;
            m.add(Resolver<int>()).add(Resolver<int>([&] { ++cancelled; }));
            const auto options = DeferredListOptions().fireOnOneErrback().consumeErrors();
            auto list = watches ? bine::deferredList(m.watched(), options) : bine::deferredList(m.handedOver(), options);
            m.resolvers[0].errback(oops());
            list.cancel();
            QCOMPARE(cancelled, 0);
            QVERIFY(Outcome(std::move(list)).failed<FirstError>());
            m.resolvers[1].callback(1);
        }
    }
    void d074_aCancelledListFiresWithWhatTheCancellersMade() {
        Members<int> m;
        m.add(Resolver<int>([](Resolver<int>& self) { self.callback(1); }));
        m.add(Resolver<int>([](Resolver<int>& self) { self.errback(oops("its own")); }));
        m.add(Resolver<int>());
        auto list = bine::deferredList(m.handedOver());
        list.cancel();
        QCOMPARE(textOf(Outcome(std::move(list))), std::string("1 its own cancelled"));
    }
    void d074_withSuccessesIfAllCancellersMadeThem() {
        Members<int> m;
        for (int i = 0; i < 3; ++i) m.add(Resolver<int>([i](Resolver<int>& self) { self.callback(int(i)); }));
        auto list = bine::deferredList(m.handedOver());
        list.cancel();
        QCOMPARE(textOf(Outcome(std::move(list))), std::string("0 1 2"));
    }
    void d074_aListWaitsForMembersThatTakeTheirTime() {
        Pair<int> work, cleanUp;
        std::vector<Deferred<int>> members;
        members.push_back(slowToCancel(std::move(work.deferred), std::move(cleanUp.deferred)));
        auto d = bine::deferredList(std::move(members));
        auto ref = d.ref();
        const Outcome list(std::move(d));
        ref.cancel();
        QVERIFY(!list);
        cleanUp.resolver.callback(1);
        QCOMPARE(textOf(list), std::string("cleaned up"));
    }
    void d094_theNextCancelReachesThemAgain() {
        Pair<int> work, cleanUp;
        Members<int> m(1);
        std::vector<Deferred<int>> members = m.handedOver();
        members.push_back(slowToCancel(std::move(work.deferred), std::move(cleanUp.deferred)));
        auto d = bine::deferredList(std::move(members));
        auto ref = d.ref();
        const Outcome list(std::move(d));
        ref.cancel();
        QVERIFY(!list);
        ref.cancel();
        QCOMPARE(textOf(list), std::string("cancelled cancelled"));
    }
    void d073_whatAWatchedMemberDoesAfterItsResultIsNotTheListsBusiness() {
        Members<int> m(2);
        Pair<int> later;
        auto list = bine::deferredList(m.watched());
        m.deferreds[0].addCallback([&](int) { return std::move(later.deferred); });
        m.resolvers[0].callback(1);
        list.cancel();
        QVERIFY(!later.resolver.called());
        later.resolver.callback(2);
        QCOMPARE(textOf(Outcome(std::move(list))), std::string("1 cancelled"));
        QCOMPARE(m.handle(), 1);
    }
    void d073_membersMayFireInsideCancellers() {
        Members<int> m;
        m.add(Resolver<int>([&] { m.resolvers[2].callback(3); }));  // a later one, and with it the list is not over
        m.add(Resolver<int>([&] { m.resolvers[3].callback(4); }));
        m.add(Resolver<int>()).add(Resolver<int>());
        auto d = bine::deferredList(m.handedOver());
        d.cancel();
        QCOMPARE(textOf(Outcome(std::move(d))), std::string("cancelled cancelled 3 4"));
    }
    void d073_aCancellerMayCancelTheListAgain() {
        bine::DeferredRef ref;
        int calls = 0;
        Members<int> m;
        for (int i = 0; i < 3; ++i)
            m.add(Resolver<int>([&] {
                ++calls;
                ref.cancel();
            }));
        auto d = bine::deferredList(m.handedOver());
        ref = d.ref();
        d.cancel();
        QCOMPARE(calls, 3);
        QCOMPARE(textOf(Outcome(std::move(d))), std::string("cancelled cancelled cancelled"));
    }
    void d070_whoCancelledIsNotToldOfEachMember() {
        Members<int> m(3);
        auto list = bine::deferredList(m.handedOver(), DeferredListOptions().fireOnOneErrback());
        list.cancel();
        QVERIFY(Outcome(std::move(list)).failed<FirstError>()->subFailure().check<CancelledError>());
        QCOMPARE(reports(), std::size_t(0));
    }
    void d073_aListInAListIsCancelledWithIt() {
        int cancelled = 0;
        Members<int> m;
        m.add(Resolver<int>([&] { ++cancelled; })).add(Resolver<int>([&] { ++cancelled; }));
        std::vector<Deferred<Results>> lists;
        lists.push_back(bine::deferredList(m.handedOver()));
        auto outer = bine::deferredList(std::move(lists));
        outer.cancel();
        QCOMPARE(cancelled, 2);
        QCOMPARE(textOf(*Outcome(std::move(outer)).value()[0]), std::string("cancelled cancelled"));
    }
};

QTEST_GUILESS_MAIN(DeferredListTest)
#include "deferred_list_test.moc"
