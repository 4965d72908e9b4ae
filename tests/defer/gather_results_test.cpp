// The values of several Deferreds, or the first failure.

#include "defer/compiler.h"
#include "defer/group_testing.h"

#include <cstdlib>
#include <new>
#include <thread>

#include "bine/defer/gather_results.h"
#include "bine/defer/owner.h"
#include "bine/reactors/manual_clock.h"

static thread_local long allocations = 0;

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::FailureGroup;
using bine::FirstError;
using bine::GatherResultsOptions;
using bine::Resolver;
using bine::Result;
using bine::Scope;

namespace {

using Values = std::vector<int>;

class Unavailable : public bine::Error {
public:
    Unavailable() : Error("unavailable") {}
    std::string userMessage() const override { return "Try again later."; }
    bool isTransient() const override { return true; }
    std::string phase() const override { return "connecting"; }
};

}  // namespace

class GatherResultsTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

    std::size_t reports() { return log_.recorder().flushErrors<std::exception>().size(); }

    /// How many allocations a list of `count` members makes, from its making until it has fired.
    static long allocationsOf(std::size_t count) {
        long made = 0;
        std::thread([&] {
            Members<int> m(count);
            std::vector<Deferred<int>> members = m.handedOver();
            const long before = allocations;
            auto list = bine::gatherResults(std::move(members));
            for (auto& resolver : m.resolvers) resolver.callback(1);
            made = allocations - before;
        }).join();
        return made;
    }

private slots:
    void cleanup() {
        log_.check();
        nothingLives();
    }

    // --- A vector

    void d075_theValuesAloneComeInOrder() {
        for (const bool watches : {false, true}) {
            Members<int> m(3);
            const Outcome all(watches ? bine::gatherResults(m.watched()) : bine::gatherResults(m.handedOver()));
            m.resolvers[1].callback(2);
            m.resolvers[2].callback(3);
            QVERIFY(!all);
            m.resolvers[0].callback(1);
            QCOMPARE(all.value(), (Values{1, 2, 3}));
        }
    }
    void d075_ofNothingsComesNothing() {
        Members<void> m(2);
        Deferred<> all = bine::gatherResults(m.handedOver());
        m.resolvers[0].callback();
        QVERIFY(!all.called());
        m.resolvers[1].callback();
        QVERIFY(Outcome(std::move(all)));
    }
    void d075_valuesNeedNoDefaultAndNoCopy() {
        struct Only {
            explicit Only(int value) : value(std::make_unique<int>(value)) {}
            std::unique_ptr<int> value;
        };
        Members<Only> m(2);
        const Outcome sum(bine::gatherResults(m.handedOver()).addCallback([](std::vector<Only> all) { return *all[0].value + *all[1].value; }));
        m.resolvers[0].callback(Only(1));
        m.resolvers[1].callback(Only(2));
        QCOMPARE(sum.value(), 3);
    }
    void d075_truthValuesToo() {
        Members<bool> m(2);
        const Outcome all(bine::gatherResults(m.handedOver()));
        m.resolvers[0].callback(true);
        m.resolvers[1].callback(false);
        QCOMPARE(all.value(), (std::vector<bool>{true, false}));
    }
    void d067_ofNoneComesNothingAtOnce() {
        QCOMPARE(Outcome(bine::gatherResults(std::vector<Deferred<int>>())).value(), Values());
        QVERIFY(Outcome(bine::gatherResults(std::vector<Deferred<>>())));
        QVERIFY(Outcome(bine::gatherResults(std::tuple<>())));
    }
    void d071_membersThatHaveFiredCountAtOnce() {
        std::vector<Deferred<int>> members;
        members.push_back(bine::succeed(1));
        members.push_back(bine::succeed(2));
        QCOMPARE(Outcome(bine::gatherResults(std::move(members))).value(), (Values{1, 2}));
    }
    void d075_theFirstFailureFailsIt() {
        for (const bool watches : {false, true}) {
            Members<int> m(3);
            const Outcome all(watches ? bine::gatherResults(m.watched()) : bine::gatherResults(m.handedOver()));
            m.resolvers[1].errback(oops("first"));
            QVERIFY(all.failed<FirstError>());
            QCOMPARE(all.failed<FirstError>()->index(), std::size_t(1));
            QCOMPARE(all.failed<FirstError>()->subFailure().getErrorMessage(), std::string("first"));
            m.resolvers[0].errback(oops("second"));
            m.resolvers[2].callback(3);
            QCOMPARE(all.failed<FirstError>()->index(), std::size_t(1));
            QCOMPARE(watches ? std::size_t(m.handle()) : reports(), std::size_t(watches ? 2 : 1));
        }
    }
    void d070_watchedMembersKeepTheirFailures() {
        {
            Members<int> m(2);
            const Outcome all(bine::gatherResults(m.watched()));
            m.resolvers[0].errback(oops());
            m.resolvers[1].errback(oops());
            QVERIFY(all.failed<FirstError>());
            QCOMPARE(reports(), std::size_t(0));
        }
        QCOMPARE(reports(), std::size_t(2));
    }
    void d075_itCanConsumeErrors() {
        for (const bool watches : {false, true}) {
            Members<int> m(2);
            const auto options = GatherResultsOptions().consumeErrors();
            const Outcome all(watches ? bine::gatherResults(m.watched(), options) : bine::gatherResults(m.handedOver(), options));
            m.resolvers[0].errback(oops());
            m.resolvers[1].errback(oops());
            QVERIFY(all.failed<FirstError>());
            QCOMPARE(m.handle(), 0);
        }
        QCOMPARE(reports(), std::size_t(0));
    }
    void d048_aFirstErrorThatNobodyTakesIsReported() {
        std::uint_least32_t made = 0;
        {
            Members<int> m(2);
            made = std::source_location::current().line() + 1;
            static_cast<void>(bine::gatherResults(m.handedOver()));
            m.resolvers[1].errback(oops("what went wrong"));
            m.resolvers[0].callback(1);
        }
        const auto events = log_.recorder().flush();
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY2(events[0].detail.find("#1 failed: std::runtime_error: what went wrong") != std::string::npos, events[0].detail.c_str());
        QVERIFY2(events[0].detail.find("gather_results_test.cpp:" + std::to_string(made)) != std::string::npos, events[0].detail.c_str());
    }

    // --- Differing types

    void d075_differingTypesGiveATuple() {
        Pair<int> number;
        Pair<std::string> text;
        auto d = bine::gatherResults(std::move(number.deferred), std::move(text.deferred));
        static_assert(std::is_same_v<decltype(d), Deferred<std::tuple<int, std::string>>>);
        const Outcome both(std::move(d));
        text.resolver.callback(std::string("two"));
        QVERIFY(!both);
        number.resolver.callback(1);
        QCOMPARE(std::get<0>(both.value()), 1);
        QCOMPARE(std::get<1>(both.value()), std::string("two"));
    }
    void d075_nothingHasItsPlaceInATuple() {
        Pair<void> nothing;
        Pair<int> number;
        auto d = bine::gatherResults(std::move(nothing.deferred), std::move(number.deferred));
        static_assert(std::is_same_v<decltype(d), Deferred<std::tuple<std::monostate, int>>>);
        const Outcome both(std::move(d));
        number.resolver.callback(1);
        nothing.resolver.callback();
        QCOMPARE(std::get<1>(both.value()), 1);
    }
    void d075_ofNothingsAloneComesNothing() {
        Deferred<> all = bine::succeed();
        int done = 0;
        std::vector<Resolver<>> jobs(10);
        for (auto& job : jobs) all = bine::gatherResults(std::move(all), job.deferred());
        all.addCallback([&] { ++done; });
        for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) {
            QCOMPARE(done, 0);
            job->callback();
        }
        QCOMPARE(done, 1);
    }
    void d075_aTupleOfReferencesWatches() {
        Pair<int> number;
        Pair<std::string> text;
        const Outcome both(bine::gatherResults(std::tie(number.deferred, text.deferred)));
        number.resolver.callback(1);
        text.resolver.callback(std::string("two"));
        QCOMPARE(std::get<1>(both.value()), std::string("two"));
        std::string seen;
        text.deferred.addCallback([&](std::string value) { return seen = value; });
        QCOMPARE(seen, std::string("two"));
    }
    void d075_aTupleOfDeferredsIsHandedOver() {
        Pair<int> number;
        Pair<std::unique_ptr<int>> pointer;
        const Outcome sum(bine::gatherResults(std::make_tuple(std::move(number.deferred), std::move(pointer.deferred)), GatherResultsOptions().consumeErrors())
                              .addCallback([](std::tuple<int, std::unique_ptr<int>> both) { return std::get<0>(both) + *std::get<1>(both); }));
        number.resolver.callback(1);
        pointer.resolver.callback(std::make_unique<int>(2));
        QCOMPARE(sum.value(), 3);
    }
    void d075_aTupleMayDoBoth() {
        Pair<int> watched, handedOver;
        const Outcome both(bine::gatherResults(std::tuple<Deferred<int>&, Deferred<int>>(watched.deferred, std::move(handedOver.deferred))));
        watched.resolver.errback(oops("watched"));
        QCOMPARE(both.failed<FirstError>()->index(), std::size_t(0));
        handedOver.resolver.errback(oops("handed over"));
        QCOMPARE(reports(), std::size_t(1));
        watched.deferred.addErrback([](const Failure&) { return 0; });
    }
    void d075_theFirstFailureOfATupleFailsIt() {
        Pair<int> number;
        Pair<std::string> text;
        const Outcome both(bine::gatherResults(std::move(number.deferred), std::move(text.deferred)));
        text.resolver.errback(oops());
        QCOMPARE(both.failed<FirstError>()->index(), std::size_t(1));
        number.resolver.callback(1);
    }
    void d075_structuredBindingsTakeThemApart() {
        int seen = 0;
        bine::gatherResults(bine::succeed(1), bine::succeed(std::string("two"))).addCallback([&](std::tuple<int, std::string> both) {
            const auto& [number, text] = both;
            seen = number + static_cast<int>(text.size());
        });
        QCOMPARE(seen, 4);
    }
    void aDeferredWithANameIsRefusedUnlessItIsSaidHow() {
        const QByteArray head = "#include \"bine/defer/gather_results.h\"\nint main() { auto a = bine::succeed(1); auto b = bine::succeed(2.5); ";
        QCOMPARE(saidOf(head + "bine::gatherResults(std::tie(a, b)); bine::gatherResults(std::move(a), std::move(b)); }"), QString());
        const QString said = saidOf(head + "bine::gatherResults(a, b); }");
        QVERIFY2(said.contains("watch them with std::tie(a, b)"), qPrintable(said));
    }
    void whatWasMadeWithATemporaryCallableHasANameFirst() {
        using Named = bine::NamedDeferred<int>;
        using Gathered = decltype(bine::gatherResults(std::declval<Named>(), std::declval<Deferred<int>>()));
        static_assert(std::is_same_v<Gathered, bine::NamedDeferred<std::tuple<int, int>>>);
        Pair<int> p;
        Named named(std::move(p.deferred));
        const Outcome both(bine::gatherResults(std::move(named), bine::succeed(2)));
        p.resolver.callback(1);
        QCOMPARE(std::get<0>(both.value()), 1);
    }

    // --- Cancelling, owners

    void d075_cancelIsPassedOn() {
        std::string order;
        Members<int> m;
        m.add(Resolver<int>([&] { order += "a"; })).add(Resolver<int>([&] { throw oops("in a canceller"); })).add(Resolver<int>([&] { order += "c"; }));
        auto d = bine::gatherResults(m.handedOver());
        d.cancel();
        QCOMPARE(order, std::string("ac"));
        QCOMPARE(log_.recorder().flushErrors<std::runtime_error>().size(), std::size_t(1));
        const Outcome all(std::move(d));
        QCOMPARE(all.failed<FirstError>()->index(), std::size_t(0));
        QVERIFY(all.failed<FirstError>()->subFailure().check<CancelledError>());
    }
    void d075_cancelReachesThoseAfterTheFirstFailureToo() {
        // The list fires in the middle of its cancelling, and its callback does what it likes.
        Members<int> m(3);
        bine::DeferredRef ref;
        bool lastWasOut = false;
        auto d = bine::gatherResults(m.handedOver());
        ref = d.ref();
        d.addErrback([&](const Failure&) {
            lastWasOut = !m.resolvers[2].called();
            ref.cancel();
            return Values();
        });
        d.cancel();
        QVERIFY(lastWasOut);
        QVERIFY(m.resolvers[2].called());
        QCOMPARE(reports(), std::size_t(0));
    }
    void d075_membersOfDifferingTypesAreCancelled() {
        Pair<int> number;
        Pair<std::string> text;
        auto d = bine::gatherResults(std::tuple<Deferred<int>&, Deferred<std::string>>(number.deferred, std::move(text.deferred)));
        d.cancel();
        QVERIFY(number.resolver.called());
        QVERIFY(text.resolver.called());
        QVERIFY(Outcome(std::move(d)).failed<FirstError>());
        number.deferred.addErrback([](const Failure&) { return 0; });
    }
    void d073_oneThatHasFailedCancelsNobody() {
        Members<int> m(2);
        auto d = bine::gatherResults(m.handedOver());
        m.resolvers[0].errback(oops());
        d.cancel();
        QVERIFY(!m.resolvers[1].called());
        QVERIFY(Outcome(std::move(d)).failed<FirstError>());
        m.resolvers[1].callback(1);
    }
    void d053_aTimeLimitCancelsAllMembers() {
        bine::ManualClock clock;
        Members<int> m(2);
        const Outcome all(bine::gatherResults(m.handedOver()).addTimeout(std::chrono::seconds(5), clock));
        m.resolvers[0].callback(1);
        clock.advance(std::chrono::seconds(5));
        QVERIFY(m.resolvers[1].called());
        QVERIFY(all->isFailure());
    }
    void r268_membersEndWithTheOwner() {
        Pair<int> number;
        Pair<std::string> text;
        int calls = 0;
        number.deferred.addBoth([&](Result<int> result) { return ++calls, result; });
        {
            Scope scope;
            bine::gatherResults(std::move(number.deferred), std::move(text.deferred)).ownedBy(scope).addBoth([&](const auto&) { ++calls; });
        }
        QCOMPARE(calls, 0);
        QVERIFY(number.resolver.called());
        QVERIFY(text.resolver.called());
    }
    void r268_aCoroutineWithMembersThatAreCoroutinesIsUnwoundInnermostFirst() {
        std::string order;
        struct Mark {
            Mark(std::string& order, const char* name) : order(order), name(name) {}
            ~Mark() { order += name; }
            std::string& order;
            const char* name;
        };
        Pair<int> a, b;
        const auto member = [&](Deferred<int> d, const char* name) -> Deferred<int> {
            const Mark mark(order, name);
            co_return co_await std::move(d);
        };
        const auto both = [&](Deferred<int> first, Deferred<int> second) -> Deferred<> {
            const Mark mark(order, "both ");
            co_await bine::gatherResults(std::move(first), std::move(second));
        };
        const auto outer = [&](Deferred<> inner) -> Deferred<> {
            const Mark mark(order, "outer");
            co_await std::move(inner);
        };
        {
            Scope scope;
            outer(both(member(std::move(a.deferred), "first "), member(std::move(b.deferred), "second "))).ownedBy(scope);
        }
        QCOMPARE(order, std::string("second first both outer"));
        QVERIFY(a.resolver.called() && b.resolver.called());
    }

    // --- FirstError and FailureGroup

    void d076_firstErrorsAreEqualIfFailureAndIndexAre() {
        const Failure one(oops()), other(oops());
        QVERIFY(FirstError(one, 1) == FirstError(one, 1));
        QVERIFY(!(FirstError(one, 1) == FirstError(one, 2)));
        QVERIFY(!(FirstError(one, 1) == FirstError(other, 1)));
        QVERIFY(FirstError(one, 1) != FirstError(other, 1));
    }
    void d076_theTextNamesBoth() {
        QCOMPARE(std::string(FirstError(oops("no answer"), 12).what()), std::string("#12 failed: std::runtime_error: no answer"));
    }
    void d076_itSpeaksForTheInnerError() {
        const FirstError known(Unavailable(), 0);
        QCOMPARE(known.userMessage(), std::string("Try again later."));
        QVERIFY(known.isTransient());
        QCOMPARE(known.phase(), std::string("connecting"));
        const FirstError unknown(oops(), 0);
        QVERIFY(!unknown.isTransient());
        QCOMPARE(unknown.phase(), std::string());
    }
    void d077_aGroupQuotesTheFirstFew() {
        QCOMPARE(std::string(FailureGroup({oops("a")}).what()), std::string("the only one failed: #0 std::runtime_error: a"));
        QCOMPARE(std::string(FailureGroup({oops("a"), Unavailable()}).what()).substr(0, 43), std::string("all 2 failed: #0 std::runtime_error: a; #1 "));
        const std::string text = FailureGroup(std::vector<Failure>(1000, Failure(oops("a")))).what();
        QVERIFY2(text.find("; and 992 more") != std::string::npos, text.c_str());
        QVERIFY(std::string(FailureGroup({}).what()).find("nothing") != std::string::npos);
    }
    void d077_aGroupSpeaksForItsFailures() {
        const FailureGroup group({Unavailable(), oops()});
        QCOMPARE(group.userMessage(), std::string("Try again later."));
        QVERIFY(group.isTransient());
        QVERIFY(!FailureGroup({oops()}).isTransient());
        QVERIFY(!FailureGroup({}).userMessage().empty());
    }

    // --- Cost

    void aListMakesAsManyAllocationsForManyMembersAsForFew() {
#ifdef BINE_SANITIZED
        QSKIP("under sanitizers every block is an allocation of its own");
#endif
        QCOMPARE(allocationsOf(2), 5L);
        QCOMPARE(allocationsOf(1000), 5L);
    }

    // --- Many

    void d075_manyMembersFire_data() {
        QTest::addColumn<QByteArray>("which");
        for (const char* which : {"forward", "backward", "shuffled"}) QTest::newRow(which) << QByteArray(which);
    }
    void d075_manyMembersFire() {
        QFETCH(QByteArray, which);
        for (const bool watches : {false, true}) {
            std::vector<std::size_t> seen;
            onSmallStack([&] {
                Members<std::size_t> m(many);
                const auto list = (watches ? bine::gatherResults(m.watched()) : bine::gatherResults(m.handedOver()))
                                      .addCallback([&](std::vector<std::size_t> all) { seen = std::move(all); });
                for (const std::size_t i : order(many, which)) m.resolvers[i].callback(i);
            });
            QCOMPARE(seen, order(many, "forward"));
        }
    }
    void d075_manyMembersAreCancelled() {
        bool failed = false, all = false;
        onSmallStack([&] {
            Members<int> m(many);
            auto list = bine::gatherResults(m.handedOver()).addErrback([&](const Failure& failure) { return failed = failure.check<FirstError>(), Values(); });
            list.cancel();
            all = std::all_of(m.resolvers.begin(), m.resolvers.end(), [](const auto& resolver) { return resolver.called(); });
        });
        QVERIFY(failed);
        QVERIFY(all);
    }
};

QTEST_GUILESS_MAIN(GatherResultsTest)
#include "gather_results_test.moc"
