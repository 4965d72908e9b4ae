// deferLater: a function's result, or nothing, after a while.

#include "defer/defer_testing.h"

#include <optional>

#include "bine/defer/defer_later.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::AbandonedError;
using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::ManualClock;
using bine::Resolver;
using bine::Scope;
using bine::deferLater;

class DeferLaterTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void s008_itFiresWithWhatTheFunctionReturns() {
        ManualClock clock;
        int seen = 0;
        auto d = deferLater(clock, 2s, [] { return 7; }).addCallback([&](int value) { seen = value; });
        clock.advance(1999ms);
        QCOMPARE(seen, 0);
        clock.advance(1ms);
        QCOMPARE(seen, 7);
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s008_argumentsArePassedOn() {
        ManualClock clock;
        std::string seen;
        const auto say = [](std::unique_ptr<int> number, const std::string& text) { return text + std::to_string(*number); };
        deferLater(clock, 1s, say, std::make_unique<int>(4), "is ").addCallback([&](const std::string& text) { seen = text; });
        clock.advance(1s);
        QCOMPARE(seen, std::string("is 4"));
    }
    void s008_whatIsPassedByReferenceIsKept() {
        ManualClock clock;
        std::string seen;
        deferLater(clock, 1s, [](std::string& text) { return text += "!"; }, std::string("kept")).addCallback([&](const std::string& text) { seen = text; });
        clock.advance(1s);
        QCOMPARE(seen, std::string("kept!"));
    }
    void s008_withoutAFunctionItFiresWithNothing() {
        ManualClock clock;
        bool fired = false;
        Deferred<> d = deferLater(clock, 1s).addCallback([&] { fired = true; });
        clock.advance(1s);
        QVERIFY(fired);
    }
    void s008_withZeroDelayItWaitsForTheNextTurn() {
        ManualClock clock;
        bool fired = false;
        auto d = deferLater(clock, 0s).addCallback([&] { fired = true; });
        QVERIFY(!fired);
        clock.advance(0s);
        QVERIFY(fired);
    }
    void s008_anExceptionBecomesAFailure() {
        ManualClock clock;
        std::string text;
        auto d = deferLater(clock, 1s, []() -> int { throw oops(); }).addErrback([&](Failure failure) {
            text = failure.getErrorMessage();
            return 0;
        });
        clock.advance(1s);
        QCOMPARE(text, std::string("oops"));
    }
    void s008_aDeferredThatTheFunctionReturnsIsWaitedFor() {
        ManualClock clock;
        int seen = 0;
        auto d = deferLater(clock, 1s, [&clock, name = std::string("a capture that the frame refers to")]() -> Deferred<int> {
            co_await deferLater(clock, 1s);
            co_return static_cast<int>(name.size());
        }).addCallback([&](int value) { seen = value; });
        clock.advance(1s);
        QCOMPARE(seen, 0);
        clock.advance(1s);
        QCOMPARE(seen, 34);
    }
    void s008_cancellingItTakesTheTimerOut() {
        ManualClock clock;
        auto held = std::make_shared<int>(1);
        bool cancelled = false;
        auto d = deferLater(clock, 1s, [held] { return *held; });
        d.addErrback([&](Failure failure) {
            cancelled = failure.check<CancelledError>();
            return 0;
        });
        d.cancel();
        QVERIFY(cancelled);
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void s008_cancellingItLaterCancelsWhatTheFunctionReturned() {
        ManualClock clock;
        int cancelled = 0;
        Resolver<int> answer([&] { ++cancelled; });
        auto d = deferLater(clock, 1s, [&] { return answer.deferred(); });
        d.addErrback([](Failure) { return 0; });
        clock.advance(1s);
        d.cancel();
        QCOMPARE(cancelled, 1);
    }
    void r268_itsOwnersDeathTakesTheTimerOutAndReleasesTheCaptures() {
        ManualClock clock;
        auto held = std::make_shared<int>(1);
        bool ran = false;
        {
            Scope scope;
            deferLater(clock, 1s, [&, held] { ran = true; }).ownedBy(scope);
            QCOMPARE(held.use_count(), 2l);
        }
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(held.use_count(), 1l);
        clock.advance(2s);
        QVERIFY(!ran);
    }
    void aNegativeDelayIsRefused() {
        ManualClock clock;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, static_cast<void>(deferLater(clock, -1ns)));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, deferLater(clock, -1ns, [] {}));
    }
    void itIsAbandonedWithItsClock() {
        std::optional<ManualClock> clock(std::in_place);
        bool abandoned = false;
        auto d = deferLater(*clock, 1s).addErrback([&](Failure failure) { abandoned = failure.check<AbandonedError>(); });
        clock.reset();
        QVERIFY(abandoned);
        d.cancel();
    }
    void theTimerSaysWhoAskedForIt() {
        ManualClock clock;
        auto d = deferLater(clock, 1s);
        const auto line = std::source_location::current().line() - 1;
        QCOMPARE(clock.getDelayedCalls().front().where().line(), line);
        d.addErrback([](Failure) {});
        d.cancel();
    }
    void droppingItCancelsNothing() {
        ManualClock clock;
        bool ran = false;
        deferLater(clock, 1s, [&] { ran = true; });
        clock.advance(1s);
        QVERIFY(ran);
    }
};

QTEST_GUILESS_MAIN(DeferLaterTest)
#include "defer_later_test.moc"
