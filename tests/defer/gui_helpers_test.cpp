// What programs with windows write again and again: onLoop, LatestOnly, Debounce, Progress.

#include "defer/defer_testing.h"

#include "bine/defer/debounce.h"
#include "bine/defer/latest_only.h"
#include "bine/defer/on_loop.h"
#include "bine/defer/owner.h"
#include "bine/defer/progress.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::Debounce;
using bine::Deferred;
using bine::Failure;
using bine::LatestOnly;
using bine::ManualClock;
using bine::Progress;
using bine::Resolver;
using bine::Scope;

class GuiHelpersTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    // --- onLoop

    void onLoopIsLaterThanNow() {
        ManualClock clock;
        bool done = false;
        bine::onLoop(clock).addCallback([&] { done = true; });
        QVERIFY(!done);
        clock.advance(0s);
        QVERIFY(done);
    }
    void onLoopCanBeCancelled() {
        ManualClock clock;
        auto d = bine::onLoop(clock).addErrback([](const Failure&) {});
        d.cancel();
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void onLoopCarriesAResultIntoALaterTurn_data() {
        QTest::addColumn<bool>("fails");
        QTest::newRow("value") << false;
        QTest::newRow("failure") << true;
    }
    void onLoopCarriesAResultIntoALaterTurn() {
        QFETCH(bool, fails);
        ManualClock clock;
        Pair<int> p;
        std::string got;
        bine::onLoop(clock, std::move(p.deferred)).addCallbacks([&](int value) { got = std::to_string(value); }, [&](const Failure& failure) { got = failure.getErrorMessage(); });
        fails ? p.resolver.errback(oops()) : p.resolver.callback(1);
        QCOMPARE(got, std::string());
        clock.advance(0s);
        QCOMPARE(got, std::string(fails ? "oops" : "1"));
    }

    // --- LatestOnly

    void latestOnlyDropsTheAnswerToAnOldQuestion() {
        LatestOnly latest;
        int cancelled = 0;
        std::string shown;
        Resolver<std::string> first([&] { ++cancelled; }), second;
        const auto show = [&](std::string text) { shown += text; };
        latest(first.deferred()).addCallback(show);
        latest(second.deferred()).addCallback(show);
        QCOMPARE(cancelled, 1);
        second.callback("second");
        QCOMPARE(shown, std::string("second"));
    }
    void latestOnlyEndsTheLastOneToo() {
        bool ran = false;
        Resolver<int> resolver;
        {
            LatestOnly latest;
            latest(resolver.deferred()).addBoth([&](bine::Result<int>) { ran = true; });
        }
        QVERIFY(resolver.called());
        QVERIFY(!ran);
    }
    void latestOnlyMayBeAskedAgainInsideAnAnswer() {
        LatestOnly latest;
        std::string shown;
        Resolver<int> first, second;
        latest(first.deferred()).addCallback([&](int) {
            shown += "first ";
            latest(second.deferred()).addCallback([&](int) { shown += "second"; });
        }).addCallback([&] { shown += "stale "; });
        first.callback(1);
        second.callback(2);
        QCOMPARE(shown, std::string("first second"));
    }

    // --- Debounce

    void debounceCallsOnceForABurst() {
        ManualClock clock;
        int calls = 0;
        Debounce save(clock, 500ms, [&] { ++calls; });
        for (int i = 0; i < 10; ++i) {
            save();
            clock.advance(499ms);
        }
        QCOMPARE(calls, 0);
        clock.advance(1ms);
        QCOMPARE(calls, 1);
        save();
        clock.advance(500ms);
        QCOMPARE(calls, 2);
    }
    void debounceFlushesAndCancels() {
        ManualClock clock;
        int calls = 0;
        Debounce save(clock, 500ms, [&] { ++calls; });
        save.flush();
        QCOMPARE(calls, 0);
        save();
        save.flush();
        QCOMPARE(calls, 1);
        save();
        save.cancel();
        clock.advance(1min);
        QCOMPARE(calls, 1);
        QVERIFY(!save.waits());
    }
    void debounceMayDieInItsOwnCall() {
        ManualClock clock;
        const auto held = std::make_shared<int>(1);
        std::unique_ptr<Debounce> save;
        save = std::make_unique<Debounce>(clock, 1s, [&save, held] {
            save.reset();
            QCOMPARE(*held, 1);
        });
        (*save)();
        clock.advance(1s);
        QVERIFY(!save);
        QCOMPARE(held.use_count(), 1L);
    }
    void debounceThatDiesCallsNothing() {
        ManualClock clock;
        int calls = 0;
        {
            Debounce save(clock, 1s, [&] { ++calls; });
            save();
        }
        clock.advance(1min);
        QCOMPARE(calls, 0);
    }
    void debounceRefusesANegativeTime() {
        ManualClock clock;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, Debounce(clock, -1s, [] {}));
    }

    // --- Progress

    void progressReachesTheListener() {
        int last = 0;
        const Progress<int> progress([&](int value) { last = value; });
        QVERIFY(progress);
        progress.report(7);
        QCOMPARE(last, 7);
    }
    void progressToNobody() {
        const Progress<int> nobody;
        QVERIFY(!nobody);
        nobody.report(7);
    }
    void r268_progressEndsWithTheOwner() {
        const auto held = std::make_shared<int>(1);
        int told = 0;
        Progress<int> progress;
        {
            Scope scope;
            progress = Progress<int>([&, held](int) { ++told; }).ownedBy(scope);
            progress.report(1);
        }
        progress.report(2);
        QCOMPARE(told, 1);
        QVERIFY(!progress);
        QCOMPARE(held.use_count(), 1L);
    }
    void r268_theOwnerMayDieInTheListener() {
        auto scope = std::make_unique<Scope>();
        const auto held = std::make_shared<int>(1);
        int told = 0;
        auto progress = Progress<int>([&, held](int) {
                            ++told;
                            scope.reset();
                        }).ownedBy(*scope);
        progress.report(1);
        progress.report(2);
        QCOMPARE(told, 1);
        QCOMPARE(held.use_count(), 1L);
    }
    void progressDoesNotReachAListenerThatIsAtIt() {
        int told = 0;
        Progress<int> progress;
        progress = Progress<int>([&](int) {
            ++told;
            progress.report(2);
        });
        progress.report(1);
        progress.report(3);
        QCOMPARE(told, 2);
    }
    void progressGoesOnAfterAListenerThatThrew() {
        int told = 0;
        const Progress<int> progress([&](int) {
            if (++told == 1) throw oops();
        });
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, progress.report(1));
        progress.report(2);
        QCOMPARE(told, 2);
    }
};

QTEST_GUILESS_MAIN(GuiHelpersTest)
#include "gui_helpers_test.moc"
