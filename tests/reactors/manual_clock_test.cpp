// Timers as a ManualClock shows them: order, cancel, reset, lifetimes.

#include <QtTest/QtTest>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bine/defer/errors.h"
#include "bine/defer/owner.h"
#include "bine/log/recorder.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;

class ManualClockTest : public QObject {
    Q_OBJECT

private slots:
    void s009_advanceRunsDueCallsInTimeOrder() {
        bine::ManualClock clock;
        std::string order;
        clock.callLater(3s, [&] { order += 'c'; });
        clock.callLater(1s, [&] {
            order += 'a';
            clock.callLater(1s, [&] { order += 'b'; });  // scheduled meanwhile, due meanwhile
        });
        clock.callLater(9s, [&] { order += 'x'; });
        clock.advance(5s);
        QCOMPARE(order, std::string("abc"));
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(1));
    }

    void s009_aCallSeesItsOwnTime() {
        bine::ManualClock clock;
        const auto start = clock.now();
        bine::TimePoint seen;
        clock.callLater(1500ms, [&] { seen = clock.now(); });
        clock.advance(10s);
        QVERIFY(seen - start == 1500ms);
        QVERIFY(clock.now() - start == 10s);
    }

    void s009_resetAndDelayInsideACallKeepTheOrder() {
        bine::ManualClock clock;
        std::string order;
        auto b = clock.callLater(2s, [&] { order += 'b'; });
        auto c = clock.callLater(3s, [&] { order += 'c'; });
        clock.callLater(1s, [&] {
            order += 'a';
            b.reset(4s);   // due at 5
            c.delay(-1s);  // due at 2
        });
        clock.advance(4s);
        QCOMPARE(order, std::string("ac"));
        clock.advance(1s);
        QCOMPARE(order, std::string("acb"));
    }

    void equalTimesKeepTheOrderOfTheCalls() {
        bine::ManualClock clock;
        std::string order;
        for (char name = 'a'; name <= 'z'; ++name) clock.callLater(1s, [&order, name] { order += name; });
        clock.advance(1s);
        QCOMPARE(order, std::string("abcdefghijklmnopqrstuvwxyz"));
    }

    // Beside a list that is looked through from end to end. What is cancelled and moved leaves traces inside, which must not be seen.
    void callsThatComeAndGoAndMoveRunInTheOrderOfAPlainList() {
        struct Expected {
            bine::TimePoint when;
            int since;  // the step in which it got this time
            int number;
        };
        std::minstd_rand random(1);
        const auto below = [&](int end) { return static_cast<int>(random() % static_cast<unsigned>(end)); };
        bine::ManualClock clock;
        std::vector<bine::DelayedCall> calls;  // by number
        std::vector<Expected> plain;
        std::vector<int> ran;
        for (int step = 0; step < 30'000; ++step) {
            const bine::Duration delay = std::chrono::milliseconds(1 + below(200));
            const int kind = below(step / 10'000 == 1 ? 20 : 8);  // first many come, then many go and move, then both
            if (plain.empty() || kind < 4) {
                const int number = static_cast<int>(calls.size());
                calls.push_back(clock.callLater(delay, [&ran, number] { ran.push_back(number); }));
                plain.push_back({clock.now() + delay, step, number});
            } else if (kind < 16) {
                const auto chosen = plain.begin() + below(static_cast<int>(plain.size()));
                bine::DelayedCall& call = calls[static_cast<std::size_t>(chosen->number)];
                if (kind % 2 == 0) {
                    call.cancel();
                    plain.erase(chosen);
                } else {
                    call.reset(delay);
                    *chosen = {clock.now() + delay, step, chosen->number};
                }
            } else {
                std::vector<int> due;
                const bine::Duration time = std::chrono::milliseconds(below(20));
                std::ranges::sort(plain, {}, [](const Expected& each) { return std::pair(each.when, each.since); });
                while (!plain.empty() && plain.front().when <= clock.now() + time) {
                    due.push_back(plain.front().number);
                    plain.erase(plain.begin());
                }
                ran.clear();
                clock.advance(time);
                QVERIFY2(ran == due, std::to_string(step).c_str());
            }
            if (step % 1000 == 0) QCOMPARE(clock.getDelayedCalls().size(), plain.size());
        }
    }

    void zeroDelayWaitsForTheNextAdvance() {
        bine::ManualClock clock;
        int runs = 0;
        std::function<void()> again = [&] {
            ++runs;
            clock.callLater(0s, again);
        };
        clock.callLater(0s, again);
        QCOMPARE(runs, 0);
        clock.advance(0s);
        QCOMPARE(runs, 1);
        clock.advance(0s);
        QCOMPARE(runs, 2);
    }

    void cancelReleasesTheCapturesAtOnce() {
        bine::ManualClock clock;
        auto held = std::make_shared<int>(1);
        auto call = clock.callLater(1s, [held] {});
        QCOMPARE(held.use_count(), 2l);
        call.cancel();
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(!call.active());
        call.cancel();
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCancelled, call.reset(1s));
    }

    void cancellingAnEmptyHandleDoesNothing() {
        bine::DelayedCall call;
        call.cancel();
        QVERIFY(!call);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalled, call.reset(1s));
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalled, call.delay(1s));
    }

    void cancellingACallThatRanDoesNothing() {
        bine::ManualClock clock;
        bool activeInside = true;
        bine::DelayedCall call;
        call = clock.callLater(1s, [&] {
            activeInside = call.active();
            call.cancel();
        });
        clock.advance(1s);
        call.cancel();
        QVERIFY(!activeInside);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalled, call.delay(1s));
    }

    void handlesOutliveTheClock() {
        auto clock = std::make_unique<bine::ManualClock>();
        auto held = std::make_shared<int>(1);
        auto call = clock->callLater(1s, [held] {});
        clock.reset();
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(!call.active());
        call.cancel();
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCancelled, call.reset(1s));
    }

    void anOwnedCallIsCancelledWithItsOwner() {
        bine::ManualClock clock;
        bool ran = false;
        bine::DelayedCall call;
        {
            bine::Scope scope;
            call = clock.callLater(1s, [&] { ran = true; }).ownedBy(scope);
        }
        QVERIFY(!call.active());
        clock.advance(2s);
        QVERIFY(!ran);
    }

    void anOwnerMayDieInsideItsOwnCall() {
        bine::ManualClock clock;
        auto scope = std::make_unique<bine::Scope>();
        int runs = 0;
        clock.callLater(1s, [&] {
            ++runs;
            scope.reset();
        }).ownedBy(*scope);
        clock.callLater(1s, [&] { ++runs; }).ownedBy(*scope);
        clock.advance(2s);
        QCOMPARE(runs, 1);
    }

    void negativeDelaysAreRefused() {
        bine::ManualClock clock;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, clock.callLater(-1ms, [] {}));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, clock.advance(-1ms));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, clock.callLater(std::chrono::duration<double>(std::nan("")), [] {}));
    }

    void aCallInTheFarFutureIsOnlyFar() {
        bine::ManualClock clock;
        bool ran = false;
        clock.callLater(std::chrono::hours(24 * 365 * 10000ll), [&] { ran = true; });
        clock.callLater(std::chrono::duration<double>(1e300), [&] { ran = true; });
        clock.advance(std::chrono::hours(24 * 365 * 100ll));
        QVERIFY(!ran);
        QCOMPARE(clock.getDelayedCalls().size(), std::size_t(2));
    }

    void anExceptionIsLoggedAndTheOthersRun() {
        bine::LogRecorder recorder;
        bine::ManualClock clock;
        bool ran = false;
        clock.callLater(1s, [] { throw std::runtime_error("first"); });
        clock.callLater(1s, [&] { ran = true; });
        clock.advance(1s);
        QVERIFY(ran);
        QCOMPARE(recorder.flushErrors<std::runtime_error>().size(), std::size_t(1));
    }

    // Against a slow and obvious model: 20,000 random operations.
    void randomOperationsAgreeWithAModel() {
        std::mt19937 random(7);
        bine::ManualClock clock;
        struct Entry {
            bine::DelayedCall call;
            bine::TimePoint when;
            std::uint64_t order;
            int id;
        };
        std::vector<Entry> model;
        std::vector<int> ran;
        std::uint64_t order = 0;
        int nextId = 0;
        for (int step = 0; step < 20000; ++step) {
            const auto amount = std::chrono::milliseconds(1 + random() % 1000);
            const auto kind = random() % 10;
            if (kind < 5 || model.empty()) {
                const int id = nextId++;
                model.push_back({clock.callLater(amount, [&ran, id] { ran.push_back(id); }), clock.now() + amount, order++, id});
            } else if (kind < 7) {
                auto& entry = model[random() % model.size()];
                entry.call.reset(amount);
                entry.when = clock.now() + amount;
                entry.order = order++;
            } else if (kind < 8) {
                const auto at = random() % model.size();
                model[at].call.cancel();
                model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
            } else {
                ran.clear();
                clock.advance(amount);
                std::sort(model.begin(), model.end(), [](const Entry& a, const Entry& b) {
                    return a.when != b.when ? a.when < b.when : a.order < b.order;
                });
                std::vector<int> expected;
                while (!model.empty() && model.front().when <= clock.now()) {
                    expected.push_back(model.front().id);
                    model.erase(model.begin());
                }
                QVERIFY(ran == expected);
            }
        }
        QCOMPARE(clock.getDelayedCalls().size(), model.size());
    }
};

QTEST_GUILESS_MAIN(ManualClockTest)
#include "manual_clock_test.moc"
