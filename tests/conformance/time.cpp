// Contract 2.C, R-032 to R-050: delayed calls. (R-041 and R-047 are in host_loop.cpp.)

#include <dirent.h>
#include <malloc.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "bine/defer/errors.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::DelayedCall;
using bine::kit::cpuTimeOfThread;
using bine::kit::Steps;
using bine::kit::Wire;

namespace {

bine::TimePoint kernelTime() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return bine::TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

/// What /proc says of each timerfd of the process.
std::vector<std::string> timerDescriptors() {
    std::vector<std::string> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fdinfo"), &closedir);
    while (const dirent* entry = readdir(directory.get())) {
        std::ostringstream text;
        text << std::ifstream(std::string("/proc/self/fdinfo/") + entry->d_name).rdbuf();
        if (text.str().find("clockid:") != std::string::npos)
            found.push_back(text.str());
    }
    return found;
}

} // namespace

class TimeTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r032_neverEarly() {
        int early = 0, pending = 0;
        std::function<void(std::chrono::nanoseconds)> schedule = [&](std::chrono::nanoseconds delay) {
            const auto wanted = reactor().now() + delay;
            ++pending;
            reactor().callLater(delay, [&, wanted] {
                if (reactor().now() < wanted)
                    ++early;
                if (--pending == 0)
                    reactor().stop();
            });
        };
        // Parts of milliseconds, which the clocks of hosts would cut off.
        for (int i = 1; i <= 200; ++i)
            schedule(std::chrono::microseconds(i * 137));
        for (int i = 1; i <= 50; ++i)
            schedule(std::chrono::nanoseconds(i * 20'011));
        run();
        QCOMPARE(early, 0);
        QCOMPARE(pending, 0);
    }

    void r032_neverEarlyOneAfterTheOther() {
        int early = 0, left = 60;
        bine::TimePoint wanted;
        std::function<void()> next = [&] {
            if (reactor().now() < wanted)
                ++early;
            if (--left == 0)
                return reactor().stop();
            const auto delay = std::chrono::microseconds(100 + left * 13);
            wanted = reactor().now() + delay;
            reactor().callLater(delay, next);
        };
        wanted = reactor().now() + 300us;
        reactor().callLater(300us, next);
        run();
        QCOMPARE(early, 0);
    }

    void r032_noSpinningUntilItIsTime() {
        const auto turns = reactor().stats().turns;
        reactor().callLater(30'500us, [&] { reactor().stop(); });
        run();
        const auto used = reactor().stats().turns - turns;
        QVERIFY2(used <= 6, qPrintable(QString::number(used)));
    }

    void r033_aNegativeDelayIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().callLater(-1ms, [] {}));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().callLater(-1ns, [] {}));
        const auto call = reactor().callLater(1h, [] {});
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, DelayedCall(call).reset(-1ms));
        QVERIFY(call.active());
        QCOMPARE(reactor().getDelayedCalls().size(), std::size_t(1));
    }

    void r033_zeroDelayIsALaterPass() {
        Steps steps;
        reactor().callLater(1ms, [&] {
            reactor().callLater(0s, [&] {
                steps.add("later");
                reactor().stop();
            });
            steps.add("returns");
        });
        run();
        QCOMPARE(steps.text(), "returns later");
    }

    void r033_argumentsAreHandedOver() {
        std::string got;
        reactor().callLater(
            0s,
            [&](int number, std::unique_ptr<std::string> word) {
                got = *word + std::to_string(number);
                reactor().stop();
            },
            7, std::make_unique<std::string>("seven"));
        run();
        QCOMPARE(got, std::string("seven7"));
    }

    void r034_aChainOfZeroDelaysStarvesNobody() {
        bool stopped = false, timer = false, thread = false, data = false, hosts = false;
        const auto over = [&] { return timer && thread && data && hosts; };
        std::function<void()> again = [&] {
            if (over())
                stopped = true;
            if (stopped)
                reactor().stop();
            else
                reactor().callLater(0s, again);
        };
        Wire wire(reactor(), [&](std::string) { data = true; });
        std::jthread other;
        reactor().callWhenRunning([&] {
            again();
            reactor().callLater(5ms, [&] {
                timer = true;
                wire.send("x");
                other = std::jthread([&] { reactor().callFromThread([&] { thread = true; }); });
                host().hostCallback([&] { host().hostTimer(1ms, [&] { hosts = true; }); });
            });
        });
        run();
        QVERIFY(over());
    }

    void r034_manyChainsStarveNobody() {
        bool data = false, hosts = false;
        std::function<void()> again = [&] {
            if (!data || !hosts)
                reactor().callLater(0s, again);
        };
        Wire wire(reactor(), [&](std::string) {
            data = true;
            if (hosts)
                reactor().stop();
        });
        reactor().callWhenRunning([&] {
            for (int i = 0; i < 5000; ++i)
                reactor().callLater(0s, again);
            host().hostTimer(5ms, [&] {
                hosts = true;
                wire.send("x");
            });
        });
        run();
        QVERIFY(data);
    }

    void r035_whatIsScheduledDuringAPassWaitsForTheNext() {
        Steps steps;
        reactor().callLater(0s, [&] {
            steps.add("one");
            reactor().callLater(0s, steps.adder("late"));
        });
        reactor().callLater(0s, steps.adder("two"));
        onePass();
        QVERIFY2(!steps.text().contains("late"), qPrintable(steps.text()));
        while (!steps.text().contains("late"))
            onePass();
        QCOMPARE(steps.text(), "one two late");
    }

    void r035_evenWhenItIsDue() {
        int calls = 0, passes = 0;
        reactor().callLater(1ms, [&] {
            ++calls;
            auto due = reactor().callLater(1h, [&] { ++calls; });
            due.delay(-2h); // since an hour
        });
        while (calls == 0)
            onePass();
        QCOMPARE(calls, 1);
        while (calls == 1 && ++passes < 100)
            onePass();
        QCOMPARE(calls, 2);
        QCOMPARE(passes, 1);
    }

    void r036_theEarlierDeadlineComesFirst() {
        std::vector<int> order;
        const auto start = reactor().now();
        for (int i : {5, 1, 4, 2, 3}) {
            auto call = reactor().callLater(1h, [&, i] {
                order.push_back(i);
                if (i == 5)
                    reactor().stop();
            });
            // Exactly, however long this loop takes.
            call.delay(start + std::chrono::milliseconds(i) - call.getTime());
        }
        run();
        QCOMPARE(order, (std::vector<int>{1, 2, 3, 4, 5}));
    }

    void r036_equalDeadlinesKeepTheOrderOfTheCalls() {
        // delay() brings calls to exactly the same time.
        std::vector<int> order;
        std::vector<DelayedCall> calls;
        for (int i = 0; i < 50; ++i)
            calls.push_back(reactor().callLater(10ms, [&, i] { order.push_back(i); }));
        const auto last = calls.back().getTime();
        for (auto& call : calls)
            call.delay(last - call.getTime());
        for (const auto& call : calls)
            QVERIFY(call.getTime() == last);
        reactor().callLater(30ms, [&] { reactor().stop(); });
        run();
        std::vector<int> expected(50);
        for (int i = 0; i < 50; ++i)
            expected[static_cast<std::size_t>(i)] = i;
        QCOMPARE(order, expected);
    }

    void r036_zeroDelaysKeepTheOrderOfTheCalls() {
        std::vector<int> order, expected;
        for (int i = 0; i < 100; ++i) {
            expected.push_back(i);
            reactor().callLater(0s, [&, i] {
                order.push_back(i);
                if (i == 99)
                    reactor().stop();
            });
        }
        run();
        QCOMPARE(order, expected);
    }

    void r037_aCallThatThrowsIsLoggedAndTheOthersRun() {
        Steps steps;
        const auto start = reactor().now();
        reactor().callLater(1ms, steps.adder("one"));
        reactor().callLater(1ms, [] { throw std::runtime_error("no luck"); });
        reactor().callLater(1ms, [] { throw 42; });
        reactor().callLater(1ms, steps.adder("two"));
        reactor().callLater(2ms, [&] { reactor().stop(); });
        while (reactor().now() < start + 3ms) {} // all are due in the same pass
        run();
        QCOMPARE(steps.text(), "one two");
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(2));
        QVERIFY2(errors.front().find("no luck") != std::string::npos, errors.front().c_str());
    }

    void r037_zeroDelaysToo() {
        Steps steps;
        reactor().callLater(0s, [] { throw std::runtime_error("no luck"); });
        reactor().callLater(0s, [&] {
            steps.add("two");
            reactor().stop();
        });
        run();
        QCOMPARE(steps.text(), "two");
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r038_cancelledTwice_data() { delays(); }

    void r038_cancelledTwice() {
        QFETCH(int, delay);
        auto call = reactor().callLater(std::chrono::milliseconds(delay), [] { QFAIL("it was cancelled"); });
        call.cancel();
        call.cancel();
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCancelled, call.reset(1ms));
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCancelled, call.delay(1ms));
        runFor(10ms);
    }

    void r038_inItsOwnRunAndAfterIt_data() { delays(); }

    void r038_inItsOwnRunAndAfterIt() {
        QFETCH(int, delay);
        DelayedCall call;
        int inside = 0;
        call = reactor().callLater(std::chrono::milliseconds(delay), [&] { inside = refusals(call); });
        runFor(20ms);
        QCOMPARE(inside, 2);
        QCOMPARE(refusals(call), 2);
    }

    void r038_cancelledInItsOwnRunAndAfterIt_data() { delays(); }

    void r038_cancelledInItsOwnRunAndAfterIt() {
        QFETCH(int, delay);
        DelayedCall call;
        int runs = 0;
        call = reactor().callLater(std::chrono::milliseconds(delay), [&, held = std::make_shared<int>(1)] {
            call.cancel();
            runs += *held; // the callable lives until it has returned
        });
        runFor(20ms);
        call.cancel();
        QCOMPARE(runs, 1);
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCalled, call.reset(1ms)); // cancel() has not made it a cancelled one
    }

    void r039_active_data() { delays(); }

    void r039_active() {
        QFETCH(int, delay);
        DelayedCall call, cancelled;
        bool inside = true;
        call = reactor().callLater(std::chrono::milliseconds(delay), [&] { inside = call.active(); });
        cancelled = reactor().callLater(std::chrono::milliseconds(delay), [] {});
        QVERIFY(call.active());
        QVERIFY(cancelled.active());
        cancelled.cancel();
        QVERIFY(!cancelled.active());
        runFor(20ms);
        QVERIFY(!inside);
        QVERIFY(!call.active());
    }

    void r039_notAfterTheReactorsDeath() {
        auto call = reactor().callLater(1h, [] {});
        host().destroyReactor();
        QVERIFY(!call.active());
        call.cancel();
        QVERIFY_THROWS_EXCEPTION(bine::AlreadyCancelled, call.reset(1ms));
    }

    void r040_resetCountsFromNow() {
        auto call = reactor().callLater(1h, [] {});
        const auto before = reactor().now();
        call.reset(10s);
        const auto after = reactor().now();
        QVERIFY(call.getTime() >= before + 10s && call.getTime() <= after + 10s);
        call.reset(2h);
        QVERIFY(call.getTime() >= before + 2h);
    }

    void r040_delayAddsToTheTime() {
        auto call = reactor().callLater(1h, [] {});
        const auto time = call.getTime();
        call.delay(5min);
        QVERIFY(call.getTime() == time + 5min);
        call.delay(-10min);
        QVERIFY(call.getTime() == time - 5min);
    }

    void r040_theOrderFollows() {
        Steps steps;
        auto a = reactor().callLater(5ms, steps.adder("a"));
        auto b = reactor().callLater(100ms, steps.adder("b"));
        auto c = reactor().callLater(1h, steps.adder("c"));
        auto d = reactor().callLater(2ms, steps.adder("d"));
        auto e = reactor().callLater(1h, steps.adder("e"));
        a.reset(300ms);
        c.reset(1ms);
        d.delay(400ms);
        e.delay(-1h + 200ms);
        (void)b;
        runFor(500ms);
        QCOMPARE(steps.text(), "c b e a d");
    }

    void r040_resetToEarlierInACallback() {
        bool called = false;
        auto call = reactor().callLater(1h, [&] {
            called = true;
            reactor().stop();
        });
        reactor().callLater(2ms, [&] { call.reset(1ms); });
        run();
        QVERIFY(called);
    }

    void r040_resetToLaterAgainAndAgain() {
        int calls = 0;
        int kicks = 0;
        auto call = reactor().callLater(5ms, [&] {
            ++calls;
            QCOMPARE(kicks, 21);
            reactor().callLater(10ms, [&] { reactor().stop(); }); // time for a second one
        });
        std::function<void()> kick = [&] {
            call.reset(kicks == 20 ? 5ms : std::chrono::milliseconds(1h));
            if (++kicks <= 20)
                reactor().callLater(500us, kick);
        };
        kick();
        run();
        QCOMPARE(calls, 1);
    }

    void r040_aZeroDelayCanBeMoved() {
        Steps steps;
        auto a = reactor().callLater(0s, steps.adder("a"));
        reactor().callLater(0s, steps.adder("b"));
        a.reset(10ms);
        reactor().callLater(5ms, steps.adder("c"));
        runFor(30ms);
        QCOMPARE(steps.text(), "b c a");
    }

    void r042_cancelReleasesAtOnce_data() { delays(); }

    void r042_cancelReleasesAtOnce() {
        QFETCH(int, delay);
        auto held = std::make_shared<int>(1);
        auto call = reactor().callLater(std::chrono::milliseconds(delay), [held] {});
        QCOMPARE(held.use_count(), 2l);
        call.cancel();
        QCOMPARE(held.use_count(), 1l);
    }

    void r042_aCallThatHasRunHoldsNothing() {
        auto held = std::make_shared<int>(1);
        const auto call = reactor().callLater(1ms, [held] {});
        runFor(10ms);
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(call);
    }

    void r042_massCancel() {
        constexpr std::size_t kCalls = 100'000;
        std::vector<DelayedCall> calls;
        calls.reserve(kCalls);
        const auto round = [&] {
            for (std::size_t i = 0; i < kCalls; ++i)
                calls.push_back(
                    reactor().callLater(1h + std::chrono::milliseconds(i * 7919 % kCalls), [] {}));
            for (std::size_t i = 0; i < kCalls; ++i)
                calls[i * 7919 % kCalls].cancel();
            calls.clear();
        };
        round();
        const auto used = mallinfo2().uordblks;
        const auto cpu = cpuTimeOfThread();
        for (int i = 0; i < 3; ++i)
            round();
        const auto spent = cpuTimeOfThread() - cpu;
        const auto grown = static_cast<long>(mallinfo2().uordblks) - static_cast<long>(used);
        QVERIFY2(grown < 100'000, qPrintable(QString::number(grown)));
        QVERIFY2(spent < 10s,
                 qPrintable(QString::number(
                     spent.count()))); // with a cost per call that grows with their number it is minutes
        QCOMPARE(reactor().stats().delayedCalls, std::size_t(0));
    }

    void r043_getDelayedCalls() {
        QVERIFY(reactor().getDelayedCalls().empty());
        const auto a = reactor().callLater(1h, [] {});
        const auto b = reactor().callLater(0s, [] {});
        auto c = reactor().callLater(2h, [] {});
        QCOMPARE(sorted(reactor().getDelayedCalls()), sorted({a, b, c}));
        c.cancel();
        QCOMPARE(sorted(reactor().getDelayedCalls()), sorted({a, b}));
        runFor(1ms);
        QCOMPARE(sorted(reactor().getDelayedCalls()), sorted({a}));
    }

    void r043_insideACall() {
        std::size_t seen = 99, then = 99;
        reactor().callLater(1ms, [&] {
            seen = reactor().getDelayedCalls().size();
            const auto call = reactor().callLater(1h, [] {});
            then = reactor().getDelayedCalls().size();
            DelayedCall(call).cancel();
            reactor().stop();
        });
        run();
        QCOMPARE(seen, std::size_t(0));
        QCOMPARE(then, std::size_t(1));
    }

    void r044_theExtremeFuture_data() {
        QTest::addColumn<qint64>("milliseconds");
        QTest::newRow("2^31 ms") << (qint64(1) << 31);
        QTest::newRow("2^31 + 1 ms") << (qint64(1) << 31) + 1;
        QTest::newRow("2^32 + 1 ms") << (qint64(1) << 32) + 1;
        QTest::newRow("a century") << qint64(100) * 365 * 24 * 3600 * 1000;
        QTest::newRow("the last day")
            << qint64(std::chrono::duration_cast<std::chrono::milliseconds>(bine::Duration::max()).count());
    }

    void r044_theExtremeFuture() {
        QFETCH(qint64, milliseconds);
        const auto far =
            reactor().callLater(std::chrono::milliseconds(milliseconds), [] { QFAIL("years too early"); });
        QVERIFY(far.getTime() > reactor().now() + 24 * 24h);
        const auto turns = reactor().stats().turns;
        host().hostTimer(30ms, [&] { reactor().callLater(1ms, [&] { reactor().stop(); }); });
        run();
        const auto used = reactor().stats().turns - turns;
        QVERIFY2(used <= 8, qPrintable(QString::number(used)));
        QVERIFY(far.active());
    }

    void r044_delaysThatCannotBeCounted() {
        const auto far = reactor().callLater(std::chrono::hours::max(), [] { QFAIL("years too early"); });
        const auto also =
            reactor().callLater(std::chrono::duration<double>(1e300), [] { QFAIL("years too early"); });
        auto third = reactor().callLater(1h, [] { QFAIL("years too early"); });
        third.delay(bine::Duration::max());
        QVERIFY(far.getTime() > reactor().now() + 24h * 365 * 100);
        QVERIFY(also.getTime() > reactor().now() + 24h * 365 * 100);
        runFor(10ms);
        QVERIFY(far.active() && also.active() && third.active());
    }

    void r045_idleWithoutTimers() { idle(); }

    void r045_idleWithADistantTimer() {
        const auto far = reactor().callLater(1h, [] {});
        idle();
        QVERIFY(far.active());
    }

    void r045_idleAfterWork() {
        Wire wire(reactor(), [](std::string) {});
        reactor().callLater(1ms, [&] { wire.send("x"); });
        reactor().callLater(2ms, [] {});
        auto cancelled = reactor().callLater(20ms, [] {});
        reactor().callLater(3ms, [&] { cancelled.cancel(); });
        reactor().callFromThread([] {});
        reactor().callLater(0s, [] {});
        idle();
    }

    void r046_stopInATimer() {
        reactor().callLater(5ms, [&] { reactor().stop(); });
        run();
        QVERIFY(!reactor().running());
    }

    void r046_stopInAZeroDelay() {
        reactor().callLater(0s, [&] { reactor().stop(); });
        run();
        QVERIFY(!reactor().running());
    }

    void r048_theClockIsTheMonotonicOne() {
        for (int i = 0; i < 100; ++i) {
            const auto before = kernelTime();
            const auto now = reactor().now();
            const auto after = kernelTime();
            QVERIFY(before <= now && now <= after);
        }
    }

    void r048_theKernelsTimerIsMonotonic() {
        const auto before = timerDescriptors().size();
        reactor().callLater(1h, [] {});
        if (auto* exported = dynamic_cast<bine::EpollReactor*>(&reactor()))
            exported->fileno();
        const auto found = timerDescriptors();
        const bool epoll = dynamic_cast<bine::EpollReactor*>(&reactor()) != nullptr;
        QVERIFY(found.size() == (host().hosted() ? before : before + (epoll ? 1 : 0)));
        QVERIFY(!epoll || !found.empty());
        for (const std::string& text : found)
            QVERIFY2(text.find("clockid: 1\n") != std::string::npos, text.c_str());
    }

    void r049_aFailingCallTellsWhereItWasScheduled() {
        std::vector<bine::LogEvent> events;
        const auto listening = bine::addLogObserver(
            [&](const bine::LogEvent& event) { events.push_back(event); }, bine::LogLevel::error);
        const auto call = reactor().callLater(1ms, [] { throw std::runtime_error("no luck"); });
        const auto line = static_cast<unsigned>(__LINE__) - 1;
        QVERIFY(std::string(call.where().file_name()).ends_with("time.cpp"));
        QCOMPARE(call.where().line(), line);
        runFor(10ms);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY(std::string(events.front().where.file_name()).ends_with("time.cpp"));
        QCOMPARE(events.front().where.line(), line);
    }

    void r050_timersCostTheHostOne() {
        reactor().callLater(1h, [] {});
        runFor(1ms, false);
        const auto objects = host().hostObjects();
        const auto before = bine::kit::Belongings::now();
        for (int i = 0; i < 100'000; ++i)
            reactor().callLater(1h + std::chrono::microseconds(i), [] {});
        QCOMPARE(reactor().getDelayedCalls().size(), std::size_t(100'001));
        runFor(1ms, false);
        QCOMPARE(bine::kit::differences(objects, host().hostObjects()), std::string());
        QCOMPARE(before.differences(bine::kit::Belongings::now()), std::string());
    }

private:
    static void delays() {
        QTest::addColumn<int>("delay");
        QTest::newRow("zero") << 0;
        QTest::newRow("1 ms") << 1;
    }

    /// Runs until a timer of that length has come; with `stop` to the end, else the reactor goes on running.
    void runFor(std::chrono::milliseconds time, bool stop = true) {
        if (stop) {
            reactor().callLater(time, [&] { reactor().stop(); });
            return run();
        }
        bool over = false;
        reactor().callLater(time, [&] { over = true; });
        QVERIFY(host().spinUntil([&] { return over; }));
    }

    /// How many of reset and delay say AlreadyCalled.
    static int refusals(DelayedCall call) {
        int refused = 0;
        const auto attempt = [&](auto f) {
            try {
                f();
            } catch (const bine::AlreadyCalled&) {
                ++refused;
            }
        };
        attempt([&] { call.reset(1ms); });
        attempt([&] { call.delay(1ms); });
        return refused;
    }

    static std::vector<const void*> sorted(const std::vector<DelayedCall>& calls) {
        std::vector<const void*> all;
        for (const auto& call : calls)
            all.push_back(&call.timer());
        std::sort(all.begin(), all.end());
        return all;
    }

    /// Looks on for a while as the loop sleeps: it may not wake.
    void idle() {
        std::uint64_t turns = 0;
        std::chrono::nanoseconds cpu{};
        std::jthread other;
        reactor().callLater(30ms, [&] { // what there was to do is done
            turns = reactor().stats().turns;
            cpu = cpuTimeOfThread();
            other = std::jthread([&] {
                std::this_thread::sleep_for(250ms); // the length of the sleep that is looked at
                reactor().callFromThread([&] {
                    turns = reactor().stats().turns - turns;
                    cpu = cpuTimeOfThread() - cpu;
                    reactor().stop();
                });
            });
        });
        run();
        QVERIFY2(turns <= 2, qPrintable(QString::number(turns)));
        QVERIFY2(cpu < 50ms, qPrintable(QString::number(cpu.count())));
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<TimeTest>(argc, argv); }
#include "time.moc"
