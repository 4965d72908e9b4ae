// Firing a Deferred, and what runs then.

#include <any>
#include <array>

#include "defer/defer_testing.h"

using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Result;

template <class R, class V>
concept CanBeFiredWith = requires(R resolver, V value) { resolver.callback(std::move(value)); };

static_assert(CanBeFiredWith<Resolver<int>, int>);
static_assert(CanBeFiredWith<Resolver<int>, Failure>);
static_assert(CanBeFiredWith<Resolver<int>, Result<int>>);

class DeferredFiringTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void d001_callbacksAddedBeforeFiringRunInOrderInsideCallback() {
        Pair<int> p;
        std::string order;
        bool inside = false;
        bool allInside = true;
        for (char c : {'a', 'b', 'c'})
            p.deferred.addCallback([&order, &inside, &allInside, c](int value) {
                order += c;
                allInside = allInside && inside;
                return value;
            });
        QCOMPARE(order, std::string());
        inside = true;
        p.resolver.callback(1);
        inside = false;
        QCOMPARE(order, std::string("abc"));
        QVERIFY(allInside);
    }

    void d002_aCallbackAddedAfterFiringRunsAtOnce() {
        Pair<int> p;
        p.resolver.callback(5);
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 5);
    }
    void d002_aCallbackAddedToASucceededHandleRunsAtOnce() {
        int seen = 0;
        bine::succeed(6).addCallback([&](int value) { seen = value; });
        QCOMPARE(seen, 6);
    }
    void d002_anErrbackAddedToAFailedHandleRunsAtOnce() {
        std::string seen;
        bine::fail<int>(oops()).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        QCOMPARE(seen, std::string("oops"));
    }

    void d003_eachCallbackReceivesThePreviousReturnValue() {
        Pair<int> p;
        std::string seen;
        auto d = std::move(p.deferred)
                     .addCallback([](int value) { return value * 1.5; })
                     .addCallback([](double value) { return std::to_string(value).substr(0, 3); })
                     .addCallback([&](std::string value) { seen = std::move(value); });
        p.resolver.callback(3);
        QCOMPARE(seen, std::string("4.5"));
    }
    void d003_valuesThatOnlyMoveTravel() {
        Pair<std::unique_ptr<int>> p;
        int seen = 0;
        auto d = std::move(p.deferred).addCallback([](std::unique_ptr<int> value) { return value; }).addCallback([&](std::unique_ptr<int> value) {
            seen = *value;
        });
        p.resolver.callback(std::make_unique<int>(7));
        QCOMPARE(seen, 7);
    }
    void d003_largeValuesTravelUnharmed() {
        Pair<std::array<std::string, 9>> p;
        std::string seen;
        auto d = std::move(p.deferred).addCallback([](std::array<std::string, 9> value) { return value; }).addCallback([&](std::array<std::string, 9> value) {
            for (const auto& text : value) seen += text;
        });
        p.resolver.callback({"1", "2", "3", "4", "5", "6", "7", "8", "a long text that is not kept inside"});
        QCOMPARE(seen, std::string("12345678a long text that is not kept inside"));
    }

    void d004_aThrownExceptionGoesToTheNextErrback() {
        Pair<int> p;
        std::string seen;
        p.deferred.addCallback([](int) -> int { throw oops("thrown"); })
            .addCallback([&](int value) {
                seen += "callback ";
                return value;
            })
            .addErrback([&](Failure failure) {
                seen += failure.getErrorMessage();
                return 0;
            });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("thrown"));
    }
    void d004_aReturnedFailureGoesToTheNextErrback() {
        Pair<int> p;
        std::string seen;
        auto d = std::move(p.deferred).addCallback([](int) { return Failure(oops("returned")); }).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("returned"));
    }
    void d004_aReturnedResultWithAFailureGoesToTheNextErrback() {
        Pair<int> p;
        std::string seen;
        auto d = std::move(p.deferred).addCallback([](int) { return Result<std::string>(oops("result")); }).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return std::string();
        });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("result"));
    }
    void d004_aReturnedResultWithAValueGoesToTheNextCallback() {
        std::string seen;
        bine::succeed(1).addCallback([](int) { return Result<std::string>("fine"); }).addCallback([&](std::string value) { seen = std::move(value); });
        QCOMPARE(seen, std::string("fine"));
    }
    void d004_anExceptionThatIsNoStdExceptionTravels() {
        int seen = 0;
        bine::succeed(1).addCallback([](int) -> int { throw 42; }).addErrback([&](Failure failure) { return seen = failure.trap<int>(); });
        QCOMPARE(seen, 42);
    }

    void d005_anErrbackThatReturnsAValueLeadsBack() {
        Pair<int> p;
        int seen = 0;
        p.deferred.addErrback([](Failure) { return 9; }).addCallback([&](int value) { return seen = value; });
        p.resolver.errback(oops());
        QCOMPARE(seen, 9);
    }
    void d005_whatAnErrbackReturnsIsConverted() {
        double seen = 0;
        bine::fail<double>(oops()).addErrback([](Failure) { return 3; }).addCallback([&](double value) { seen = value; });
        QCOMPARE(seen, 3.0);
    }

    void d006_anErrbackThatReturnsItsFailureStaysOnTheErrorPath() {
        Pair<int> p;
        std::string seen;
        p.deferred.addErrback([](Failure failure) { return failure; })
            .addCallback([&](int value) {
                seen += "callback ";
                return value;
            })
            .addErrback([&](Failure failure) {
                seen += failure.getErrorMessage();
                return 0;
            });
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops"));
    }
    void d006_anErrbackThatThrowsStaysOnTheErrorPath() {
        Pair<int> p;
        std::string seen;
        p.deferred.addErrback([](Failure) -> int { throw oops("worse"); }).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("worse"));
    }

    void d007_aCallbackLetsFailuresPassUntouched() {
        Pair<int> p;
        const Failure sent(oops());
        bool same = false;
        int calls = 0;
        p.deferred.addCallback([&](int value) { return ++calls, value; }).addErrback([&](Failure failure) {
            same = failure == sent;
            return 0;
        });
        p.resolver.errback(sent);
        QCOMPARE(calls, 0);
        QVERIFY(same);
    }
    void d007_anErrbackLetsValuesPassUntouched() {
        Pair<std::unique_ptr<int>> p;
        auto sent = std::make_unique<int>(1);
        int* const address = sent.get();
        int* arrived = nullptr;
        int calls = 0;
        auto d = std::move(p.deferred)
                     .addErrback([&](Failure) { return ++calls, nullptr; })
                     .addCallback([&](std::unique_ptr<int> value) { arrived = value.get(); });
        p.resolver.callback(std::move(sent));
        QCOMPARE(calls, 0);
        QCOMPARE(arrived, address);
    }

    void d008_addCallbacksIsOneLevel() {
        Pair<int> p;
        std::string seen;
        p.deferred
            .addCallbacks([](int) -> int { throw oops("from the callback"); },
                          [&](Failure) {
                              seen += "same level ";
                              return 0;
                          })
            .addErrback([&](Failure failure) {
                seen += failure.getErrorMessage();
                return 0;
            });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("from the callback"));
    }
    void d008_addCallbacksTakesFailuresOnItsOtherSide() {
        Pair<int> p;
        std::string seen;
        auto d = std::move(p.deferred)
                     .addCallbacks([](int) { return std::string("value"); }, [](Failure failure) { return "failure " + failure.getErrorMessage(); })
                     .addCallback([&](std::string text) { seen = std::move(text); });
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("failure oops"));
    }

    void d009_addBothGetsTheValue() {
        Pair<int> p;
        int seen = 0;
        auto d = std::move(p.deferred).addBoth([&](Result<int> result) { seen = result.value(); });
        p.resolver.callback(4);
        QCOMPARE(seen, 4);
    }
    void d009_addBothGetsTheFailure() {
        Pair<int> p;
        std::string seen;
        auto d = std::move(p.deferred).addBoth([&](Result<int> result) { seen = result.failure().getErrorMessage(); });
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops"));
    }
    void d009_addBothCanPassItsResultOn() {
        Pair<int> p;
        int both = 0;
        std::string seen;
        p.deferred.addBoth([&](Result<int> result) { return ++both, result; }).addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        p.resolver.errback(oops());
        QCOMPARE(both, 1);
        QCOMPARE(seen, std::string("oops"));
    }

    void d010_furtherArgumentsComeAfterTheResult() {
        Pair<int> p;
        std::string seen;
        auto d = std::move(p.deferred).addCallback([](int value, const std::string& text, int more) { return std::to_string(value) + text + std::to_string(more); },
                                                   std::string("-"), 3);
        auto e = std::move(d).addCallback([&](std::string text) { seen = std::move(text); });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("1-3"));
    }
    void d010_errbacksGetFurtherArgumentsToo() {
        Pair<int> p;
        std::string seen;
        p.deferred.addErrback(
            [&](Failure failure, const char* text) {
                seen = failure.getErrorMessage() + text;
                return 0;
            },
            "!");
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops!"));
    }
    void d010_addBothGetsFurtherArgumentsToo() {
        int seen = 0;
        bine::succeed(1).addBoth([&](Result<int> result, int more) { seen = *result + more; }, 10);
        QCOMPARE(seen, 11);
    }

    void d011_addReturnsTheDeferredItself() {
        Pair<int> p;
        Deferred<int>* const self = &p.deferred;
        const auto same = [](int value) { return value; };
        const auto zero = [](Failure) { return 0; };
        QCOMPARE(&p.deferred.addCallback(same), self);
        QCOMPARE(&p.deferred.addErrback(zero), self);
        QCOMPARE(&p.deferred.addCallbacks(same, zero), self);
        QCOMPARE(&p.deferred.addBoth([](Result<int> result) { return result; }), self);
        p.resolver.callback(1);
    }
    void d011_anAddedLevelOnAnRvalueIsTheSameChain() {
        Pair<int> p;
        const auto before = p.deferred.ref();
        auto next = std::move(p.deferred).addCallback([](int) { return std::string("x"); });
        p.resolver.callback(1);
        std::string seen;
        next.addCallback([&](std::string value) { return seen = value; });
        QCOMPARE(seen, std::string("x"));
        QVERIFY(before.describe().find("fired") != std::string::npos);
    }

    void d012_callbackWithAFailureIsErrback() {
        Pair<int> p;
        std::string seen;
        p.deferred.addCallbacks([](int value) { return value; },
                                [&](Failure failure) {
                                    seen = failure.getErrorMessage();
                                    return 0;
                                });
        p.resolver.callback(Failure(oops()));
        QCOMPARE(seen, std::string("oops"));
    }
    void d012_callbackWithAFailedResultIsErrback() {
        Pair<int> p;
        std::string seen;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        p.resolver.callback(Result<int>(oops()));
        QCOMPARE(seen, std::string("oops"));
    }

    void d013_errbackWrapsAnExceptionThatWasNeverThrown() {
        Pair<int> p;
        const std::runtime_error* seen = nullptr;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.check<std::runtime_error>();
            return seen && std::string(seen->what()) == "oops" ? 1 : 0;
        });
        int result = 0;
        p.deferred.addCallback([&](int value) { return result = value; });
        p.resolver.errback(oops());
        QCOMPARE(result, 1);
    }
    void d013_errbackWithoutArgumentTakesTheExceptionBeingHandled() {
        Pair<int> p;
        std::string seen;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.getErrorMessage();
            return 0;
        });
        try {
            throw oops("handled");
        } catch (...) {
            p.resolver.errback();
        }
        QCOMPARE(seen, std::string("handled"));
    }
    void d013_errbackWithoutArgumentAndWithoutExceptionIsAnError() {
        Pair<int> p;
        bool seen = false;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.check<bine::NoCurrentExceptionError>() != nullptr;
            return 0;
        });
        p.resolver.errback();
        QVERIFY(seen);
    }
    void d013_anEmptyFailureCountsAsNoCurrentException() {
        Pair<int> p;
        bool seen = false;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.check<bine::NoCurrentExceptionError>() != nullptr;
            return 0;
        });
        p.resolver.errback(Failure());
        QVERIFY(seen);
    }

    void d015_aCallbackAddedByACallbackRunsAfterIt() {
        Pair<int> p;
        std::string order;
        p.deferred.addCallback([&](int value) {
            order += "<";
            p.deferred.addCallback([&](int v) {
                order += "late";
                return v;
            });
            order += ">";
            return value;
        });
        p.deferred.addCallback([&](int value) {
            order += "second ";
            return value;
        });
        p.resolver.callback(1);
        QCOMPARE(order, std::string("<>second late"));
    }
    void d015_aCallbackAddedByACallbackOfAFiredOneRunsAfterItToo() {
        Pair<int> p;
        p.resolver.callback(1);
        std::string order;
        p.deferred.addCallback([&](int value) {
            order += "<";
            p.deferred.addCallback([&](int v) {
                order += "late " + std::to_string(v);
                return v;
            });
            order += ">";
            return value + 1;
        });
        QCOMPARE(order, std::string("<>late 2"));
    }

    void d016_anExceptionOfALateCallbackReachesTheNextErrback() {
        Pair<int> p;
        std::string seen;
        p.deferred.addCallback([&](int value) {
            p.deferred.addCallback([](int) -> int { throw oops("late"); });
            p.deferred.addErrback([&](Failure failure) {
                seen = failure.getErrorMessage();
                return 0;
            });
            return value;
        });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("late"));
    }

    void d017_aCallbackThatReturnsItsOwnDeferredIsDiagnosed() {
        std::vector<std::string> warnings;
        const auto observer = bine::addLogObserver([&](const bine::LogEvent& event) { warnings.push_back(event.message); }, bine::LogLevel::warn);
        {
            Pair<int> p;
            p.deferred.addCallback([&](int) { return std::move(p.deferred); });
            auto ref = p.deferred.ref();
            p.resolver.callback(1);
            ref.cancel();  // hangs nowhere
        }
        QVERIFY(!warnings.empty());
        QVERIFY(warnings[0].find("returned the Deferred that it is attached to") != std::string::npos);
        log_.recorder().flushErrors<std::logic_error>();
    }

    void d018_resultsMayBeNothing() {
        Pair<void> p;
        int calls = 0;
        p.deferred.addCallback([&] { ++calls; });
        p.resolver.callback();
        QCOMPARE(calls, 1);
    }
    void d018_aVoidCallbackLeadsToNothing() {
        Pair<int> p;
        int calls = 0;
        auto d = std::move(p.deferred).addCallback([](int) {});
        static_assert(std::is_base_of_v<Deferred<void>, decltype(d)>);
        d.addCallback([&] { ++calls; });
        p.resolver.callback(1);
        QCOMPARE(calls, 1);
    }
    void d018_aCallbackMayIgnoreTheValue() {
        int calls = 0;
        bine::succeed(1).addCallback([&] { ++calls; });
        QCOMPARE(calls, 1);
    }
    void d018_aFailureMayComeInsteadOfNothing() {
        Pair<void> p;
        std::string seen;
        p.deferred.addErrback([&](Failure failure) { seen = failure.getErrorMessage(); });
        p.resolver.errback(oops());
        QCOMPARE(seen, std::string("oops"));
    }

    void d019_secondCallbackAfterCallback() {
        Pair<int> p;
        p.resolver.callback(1);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.callback(2));
        int seen = 0;
        p.deferred.addCallback([&](int value) { return seen = value; });
        QCOMPARE(seen, 1);
    }
    void d019_errbackAfterCallback() {
        Pair<int> p;
        p.resolver.callback(1);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.errback(oops()));
    }
    void d019_callbackAfterErrback() {
        Pair<int> p;
        p.deferred.addErrback([](Failure) { return 0; });
        p.resolver.errback(oops());
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.callback(1));
    }
    void d019_errbackAfterErrback() {
        Pair<int> p;
        p.deferred.addErrback([](Failure) { return 0; });
        p.resolver.errback(oops());
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, p.resolver.errback(oops()));
    }
    void d019_secondCallbackFromInsideACallback() {
        Pair<int> p;
        bool thrown = false;
        p.deferred.addCallback([&](int value) {
            try {
                p.resolver.callback(2);
            } catch (const bine::AlreadyCalledError&) {
                thrown = true;
            }
            return value;
        });
        p.resolver.callback(1);
        QVERIFY(thrown);
    }

    void d020_alreadyCalledErrorTellsWhereItWasMadeAndFired() {
        Resolver<int> resolver;
        const auto made = std::source_location::current().line() + 1;
        auto d = resolver.deferred();
        const auto fired = std::source_location::current().line() + 1;
        resolver.callback(1);
        try {
            resolver.callback(2);
            QFAIL("nothing thrown");
        } catch (const bine::AlreadyCalledError& e) {
            QCOMPARE(e.created().line(), made);
            QCOMPARE(e.fired().line(), fired);
            QVERIFY(std::string(e.what()).find("deferred_firing_test.cpp:" + std::to_string(made)) != std::string::npos);
            QVERIFY(std::string(e.what()).find("deferred_firing_test.cpp:" + std::to_string(fired)) != std::string::npos);
        }
    }

    // There is no switch between a debugging and a quiet Deferred: the places are always kept. What can be switched is the log's level.
    void d021_switchingDebugOutputOnBetweenCreationAndFiring() {
        Resolver<int> resolver;
        auto d = resolver.deferred();
        bine::setLogLevel(bine::LogLevel::debug);
        resolver.callback(1);
        bine::setLogLevel(bine::LogLevel::info);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalledError, resolver.callback(2));
    }

    void theDeferredIsGivenOutOnce() {
        Resolver<int> resolver;
        auto d = resolver.deferred();
        QVERIFY_THROWS_EXCEPTION(std::logic_error, resolver.deferred());
    }
    void aHandleThatWasMovedAwaySaysSo() {
        auto d = bine::succeed(1);
        auto e = std::move(d);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, d.addCallback([](int value) { return value; }));
    }
    void aResolverThatWasMovedAwaySaysSo() {
        Resolver<int> resolver;
        auto d = resolver.deferred();
        Resolver<int> other = std::move(resolver);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, resolver.callback(1));
        other.callback(1);
    }
    void aResolverThatDiesUnfiredAbandonsWhoWaits() {
        bool seen = false;
        Pair<int> p;
        p.deferred.addErrback([&](Failure failure) {
            seen = failure.check<bine::AbandonedError>() != nullptr;
            return 0;
        });
        { const Resolver<int> dying = std::move(p.resolver); }
        QVERIFY(seen);
    }
    void aValueWhoseConstructorThrowsBecomesAFailure() {
        struct Picky {
            explicit(false) Picky(int) { throw oops("picky"); }
        };
        Pair<Picky> p;
        std::string seen;
        auto d = std::move(p.deferred).addBoth([&](Result<Picky> result) { seen = result.failure().getErrorMessage(); });
        p.resolver.callback(1);
        QCOMPARE(seen, std::string("picky"));
    }
    void assigningAFailureDestroysNoValueThatIsNotThere() {
        static int alive = 0;
        struct Counted {
            Counted() { ++alive; }
            Counted(const Counted&) { ++alive; }
            ~Counted() { --alive; }
        };
        {
            bine::Result<Counted> result{Counted()};
            result = bine::Result<Counted>(oops("first"));
            QCOMPARE(alive, 0);
            result = bine::Result<Counted>(oops("second"));
            QCOMPARE(result.failure().getErrorMessage(), std::string("second"));
        }
        QCOMPARE(alive, 0);
    }
    void theHandleMayDieInItsOwnCallback() {
        Resolver<int> resolver;
        auto d = std::make_unique<Deferred<int>>(resolver.deferred());
        int calls = 0;
        d->addCallback([&](int value) {
            d.reset();
            return value;
        });
        d->addCallback([&](int value) { return ++calls, value; });
        resolver.callback(1);
        QCOMPARE(calls, 1);
    }
    void theResolverMayDieInACallback() {
        auto resolver = std::make_unique<Resolver<int>>();
        auto d = resolver->deferred();
        int seen = 0;
        d.addCallback([&](int value) {
            resolver.reset();
            return value;
        });
        d.addCallback([&](int value) { return seen = value; });
        resolver->callback(3);
        QCOMPARE(seen, 3);
    }
};

QTEST_GUILESS_MAIN(DeferredFiringTest)
#include "deferred_firing_test.moc"
