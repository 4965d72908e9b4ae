// LoopingCall: how it ends, with its owners and by itself, and what may happen meanwhile.

#include "defer/looping_call_testing.h"

#include <memory>
#include <optional>

#include "bine/defer/defer_later.h"
#include "bine/defer/looping_call.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;
using bine::AbandonedError;
using bine::CancelledError;
using bine::Deferred;
using bine::Failure;
using bine::LoopingCall;
using bine::ManualClock;
using bine::Resolver;
using bine::Scope;

class LoopingCallLifetimeTest : public QObject {
    Q_OBJECT
    NothingLogged log_;

private slots:
    void cleanup() { log_.check(); }

    void cancellingWhatStartReturnedStopsTheLoop() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        auto done = loop.start(1s);
        done.cancel();
        QVERIFY(!loop.running());
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
        loop.start(1s);
        clock.advance(1s);
        QCOMPARE(times.take(), std::string("0 0 1000 "));
        loop.stop();
    }
    void cancellingItWhileADeferredWaitsCancelsThatAtItsSource() {
        ManualClock clock;
        int cancelled = 0, resumed = 0;
        std::optional<Resolver<>> answer;
        LoopingCall loop(clock, [&]() -> Deferred<> {
            answer.emplace([&] { ++cancelled; });
            auto waits = answer->deferred();
            try {
                co_await waits;
            } catch (...) {
                ++resumed;
                throw;
            }
            ++resumed;
        });
        auto done = loop.start(1s);
        done.cancel();
        QCOMPARE(cancelled, 1);
        QCOMPARE(resumed, 0);
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
        auto again = loop.start(1s);
        QCOMPARE(outcome(again), std::string("nothing yet"));
    }
    void cancellingItInsideTheFunctionStopsTheLoop() {
        ManualClock clock;
        std::optional<Deferred<>> done;
        int calls = 0;
        LoopingCall loop(clock, [&] {
            if (++calls < 2) return;
            done->cancel();
            QVERIFY_THROWS_EXCEPTION(std::logic_error, loop.start(1s));
        });
        done.emplace(loop.start(1s));
        clock.advance(5s);
        QCOMPARE(calls, 2);
        QVERIFY(!loop.running());
        QCOMPARE(outcome(*done), std::string("bine::CancelledError"));
        loop.start(1s);
        loop.stop();
        QCOMPARE(calls, 3);
    }
    void whatStartReturnedMayBelongToAnOwner() {
        ManualClock clock;
        Times times(clock);
        LoopingCall loop(clock, std::ref(times));
        {
            Scope scope;
            loop.start(1s).ownedBy(scope);
        }
        QVERIFY(!loop.running());
        clock.advance(3s);
        QCOMPARE(times.take(), std::string("0 "));
    }

    void itsDestructorEndsIt() {
        ManualClock clock;
        auto held = std::make_shared<int>(1);
        std::optional<LoopingCall> loop(std::in_place, clock, [held] {});
        auto done = loop->start(1s);
        loop.reset();
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void itsDestructorCancelsWhatTheCallWaitsFor() {
        ManualClock clock;
        int cancelled = 0;
        std::string order;
        struct Mark {
            explicit Mark(std::string& order) : order(order) {}
            ~Mark() { order += "frame "; }
            std::string& order;
        };
        {
            std::optional<Resolver<>> answer;
            LoopingCall loop(clock, [&, held = std::make_shared<int>(1)]() -> Deferred<> {
                const Mark mark(order);
                answer.emplace([&] { ++cancelled; });
                auto waits = answer->deferred();
                co_await waits;
                order += "resumed " + std::to_string(*held);
            });
            loop.start(1s);
        }
        QCOMPARE(cancelled, 1);
        QCOMPARE(order, std::string("frame "));
    }
    void itMayBeDestroyedInsideItsFunction() {
        ManualClock clock;
        int calls = 0;
        auto held = std::make_shared<int>(5);
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&, held] {
            ++calls;
            if (calls < 2) return;
            loop.reset();
            calls += *held;  // the captures are still there
        });
        auto done = loop->start(1s);
        clock.advance(5s);
        QCOMPARE(calls, 7);
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedInsideItsFirstCall() {
        ManualClock clock;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&] { loop.reset(); });
        auto done = loop->start(1s);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedInsideItsFunctionThatThrows() {
        ManualClock clock;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&] {
            loop.reset();
            throw oops();
        });
        auto done = loop->start(1s);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void itMayBeDestroyedInsideItsCoroutine() {
        ManualClock clock;
        std::string seen;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&, name = std::string("captured, and long enough for the heap")]() -> Deferred<> {
            co_await bine::deferLater(clock, 10ms);
            loop.reset();
            seen += name.substr(0, 8);
            co_await bine::deferLater(clock, 10ms);
            seen += " too far";
        });
        auto done = loop->start(1s);
        clock.advance(5s);
        QCOMPARE(seen, std::string("captured"));
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedInTheFirstStretchOfItsCoroutine() {
        ManualClock clock;
        std::string seen;
        std::unique_ptr<LoopingCall> loop;
        loop = std::make_unique<LoopingCall>(clock, [&, name = std::string("captured, and long enough for the heap")]() -> Deferred<> {
            loop.reset();
            seen += name.substr(0, 8);
            co_await bine::deferLater(clock, 10ms);
            seen += " too far";
        });
        auto done = loop->start(1s);
        clock.advance(5s);
        QCOMPARE(seen, std::string("captured"));
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void itMayBeDestroyedByWhatItsEndFires() {
        ManualClock clock;
        auto loop = std::make_unique<LoopingCall>(clock, [] {});
        loop->start(1s).addCallback([&] { loop.reset(); });
        loop->stop();
        QVERIFY(!loop);
    }
    void itMayBeDestroyedByWhatItsFailureFires() {
        ManualClock clock;
        std::unique_ptr<LoopingCall> loop;
        int calls = 0;
        loop = std::make_unique<LoopingCall>(clock, [&] {
            if (++calls == 2) throw oops();
        });
        loop->start(1s).addErrback([&](Failure) { loop.reset(); });
        clock.advance(5s);
        QVERIFY(!loop);
        QCOMPARE(calls, 2);
    }
    void itMayOutliveItsClock() {
        auto clock = std::make_unique<ManualClock>();
        LoopingCall loop(*clock, [] {});
        auto done = loop.start(1s);
        clock.reset();
        loop.stop();
        QCOMPARE(outcome(done), std::string("fired"));
    }

    void r268_itEndsWithItsOwner() {
        ManualClock clock;
        Times times(clock);
        auto held = std::make_shared<int>(1);
        LoopingCall loop(clock, [&, held] { times(); });
        std::optional<Scope> scope(std::in_place);
        loop.ownedBy(*scope);
        auto done = loop.start(1s);
        clock.advance(1s);
        scope.reset();
        QVERIFY(!loop.running());
        QVERIFY(clock.getDelayedCalls().empty());
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        auto again = loop.start(1s);
        QCOMPARE(outcome(again), std::string("bine::CancelledError"));
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 1000 "));
    }
    void r268_theFirstOfSeveralOwnersToDieEndsIt() {
        ManualClock clock;
        Times times(clock);
        Scope later;
        std::optional<Scope> first(std::in_place);
        auto loop = LoopingCall(clock, std::ref(times)).ownedBy(later).ownedBy(*first);
        loop.start(1s);
        first.reset();
        QVERIFY(later.empty());
        clock.advance(5s);
        QCOMPARE(times.take(), std::string("0 "));
    }
    void r268_theOwnerMayDieInsideTheFunction() {
        ManualClock clock;
        int calls = 0;
        auto scope = std::make_unique<Scope>();
        auto held = std::make_shared<int>(5);
        LoopingCall loop(clock, [&, held] {
            scope.reset();
            calls += *held;
        });
        loop.ownedBy(*scope);
        auto done = loop.start(1s);
        clock.advance(5s);
        QCOMPARE(calls, 5);
        QCOMPARE(held.use_count(), 1l);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void r268_theEndOfAnotherThingOfTheOwnerDoesNotSetItGoing() {
        ManualClock clock;
        int calls = 0;
        Scope scope;
        LoopingCall loop(clock, [&] { ++calls; });
        loop.ownedBy(scope);
        loop.start(1s);
        Resolver<> younger([&] { clock.advance(10s); });
        auto waits = younger.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(calls, 1);
    }
    void r268_norDoesItSetWhatTheFunctionReturnedGoing() {
        ManualClock clock;
        std::string seen;
        Scope scope;
        Resolver<> answer;
        LoopingCall loop(clock, [&]() -> Deferred<> {
            auto waits = answer.deferred();
            co_await std::move(waits);
            seen += "resumed ";
        });
        loop.ownedBy(scope);
        auto done = loop.start(1s);
        Resolver<> younger([&] {
            if (!answer.called()) answer.callback();
        });
        auto waits = younger.deferred().ownedBy(scope);
        scope.cancel();
        QCOMPARE(seen, std::string());
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
    }
    void r268_anOwnerMayDieBeforeTheStart() {
        ManualClock clock;
        int calls = 0;
        LoopingCall loop(clock, [&] { ++calls; });
        {
            Scope scope;
            loop.ownedBy(scope);
        }
        auto done = loop.start(1s);
        clock.advance(5s);
        QCOMPARE(calls, 0);
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
    }
    void anOwnerThatIsGoneLeavesNoTrace() {
        ManualClock clock;
        Scope scope;
        {
            LoopingCall loop(clock, [] {});
            loop.ownedBy(scope);
            QVERIFY(!scope.empty());
        }
        QVERIFY(scope.empty());
    }

    void itCanBeMoved() {
        ManualClock clock;
        Times times(clock);
        LoopingCall a(clock, std::ref(times));
        a.start(1s);
        LoopingCall b = std::move(a);
        QVERIFY(b.running());
        QVERIFY(!a.running());
        QVERIFY_THROWS_EXCEPTION(std::logic_error, a.start(1s));
        a.stop();
        clock.advance(1s);
        QCOMPARE(times.take(), std::string("0 1000 "));
        LoopingCall c(clock, [] {});
        auto done = c.start(1s);
        c = std::move(b);
        QCOMPARE(outcome(done), std::string("bine::AbandonedError"));
        clock.advance(1s);
        QCOMPARE(times.take(), std::string("2000 "));
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
    }
    void whatTheFunctionReturnedMayDieWithAnOwnerOfItsOwn() {
        ManualClock clock;
        Scope scope;
        Resolver<> answer;
        LoopingCall loop(clock, [&] { return answer.deferred().ownedBy(scope); });
        auto done = loop.start(1s);
        scope.cancel();
        QVERIFY(!loop.running());
        QCOMPARE(outcome(done), std::string("bine::CancelledError"));
    }

private:
};

QTEST_GUILESS_MAIN(LoopingCallLifetimeTest)
#include "looping_call_lifetime_test.moc"
