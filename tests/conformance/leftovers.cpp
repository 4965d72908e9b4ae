// Contract 2.A, R-018 to R-020: what a reactor leaves behind, and what it shares. (R-017 is in
// host_loop.cpp.)

#include <malloc.h>

#include <atomic>
#include <thread>

#include "bine/reactors/defer_to_thread.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Resolver;
using bine::kit::Wire;

class LeftoversTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r018_nothingIsLeftInTheHost() {
        host().destroyReactor();
        const auto objects = host().hostObjects();
        const auto before = bine::kit::Belongings::now();
        {
            Wire wire(reactor(), [](std::string) {});
            const auto far = reactor().callLater(1h, [] {});
            reactor().callLater(
                5ms, [&] { bine::deferToThread(reactor(), [] {}).addCallback([&] { reactor().stop(); }); });
            run();
            QVERIFY(far.active());
            QCOMPARE(bine::kit::differences(objects, host().hostObjects()), std::string());
            QCOMPARE(bine::kit::settle([&] {
                         return std::string(bine::kit::Belongings::now().threads() == before.threads()
                                                ? ""
                                                : "threads are left");
                     }),
                     std::string());
            QVERIFY(!wire.open());
        }
        host().destroyReactor();
        QCOMPARE(bine::kit::settle([&] { return before.differences(bine::kit::Belongings::now()); }),
                 std::string());
    }

    void r018_theHostGoesOn() {
        bool called = false;
        runToTheEnd();
        if (!host().hosted())
            return;
        host().hostTimer(5ms, [&] {
            called = true;
            host().quitHost();
        });
        host().runHost();
        QVERIFY(called);
    }

    void r019_reactorsByTheHundred() {
        const auto before = bine::kit::Belongings::now();
        const auto objects = host().hostObjects();
        const auto some = [&](int n) {
            for (int i = 0; i < n; ++i) {
                auto one = host().anotherReactor();
                Wire wire(*one, [](std::string) {});
                one->callLater(1h, [] {});
                one->callLater(0s, [] {});
                one->callFromThread([] {});
                if (i % 3 == 0)
                    continue; // never ran
                one->iterate(0s);
                one->iterate(0s);
                if (i % 3 == 1)
                    continue; // dies running
                one->crash();
            }
        };
        some(30);
        const auto used = mallinfo2().uordblks;
        some(300);
        const auto grown = static_cast<long>(mallinfo2().uordblks) - static_cast<long>(used);
        QVERIFY2(grown < 32 * 1024, qPrintable(QString::number(grown)));
        QCOMPARE(before.differences(bine::kit::Belongings::now()), std::string());
        QCOMPARE(bine::kit::differences(objects, host().hostObjects()), std::string());
    }

    void r019_manyOnOneThread() {
        std::vector<std::unique_ptr<bine::ReactorBase>> all;
        int called = 0;
        for (int i = 0; i < 20; ++i) {
            all.push_back(host().anotherReactor());
            all.back()->callLater(1ms, [&] { ++called; });
        }
        if (host().hosted()) {
            QVERIFY(host().spinUntil([&] { return called == 20; })); // one loop serves them all
        } else {
            for (auto& one : all) {
                one->callLater(2ms, [&] { one->stop(); });
                one->run();
            }
        }
        QCOMPARE(called, 20);
    }

    void r019_destroyedInItsOwnCallback() {
        auto one = host().anotherReactor();
        bool ran = false;
        one->callLater(0s, [&] {
            one.reset();
            ran = true;
        });
        if (host().hosted())
            QVERIFY(host().spinUntil([&] { return ran; }));
        else
            one->run();
        QVERIFY(ran);
        QVERIFY(!one);
    }

    void r020_twoReactorsOnTwoThreads() {
        // Each counts what it is sent, on its own thread, while it runs timers and Deferreds of its own.
        std::atomic<bine::Reactor*> reactors[2] = {};
        std::atomic<int> ready{0}, ended{0}, wrong{0};
        constexpr int kCalls = 500;
        int counts[2] = {};
        const auto work = [&](bine::kit::ReactorHost& host, int me) {
            bine::ReactorBase& mine = host.reactor();
            reactors[me] = &mine;
            ++ready;
            while (ready < 2)
                std::this_thread::yield();
            bine::Reactor& other = *reactors[1 - me];
            int got = 0, timers = 0;
            std::function<void()> tick = [&] {
                if (!mine.isInReactorThread() || other.isInReactorThread())
                    ++wrong;
                if (++timers < 100)
                    mine.callLater(std::chrono::microseconds(timers % 7 * 10), tick);
                Resolver<int> answer;
                auto chain = answer.deferred().addCallback([&](int value) {
                    if (value != timers)
                        ++wrong;
                });
                answer.callback(timers);
                for (int i = 0; i < kCalls / 100; ++i)
                    other.callFromThread([&wrong, &other, count = &counts[1 - me]] {
                        ++*count;
                        if (!other.isInReactorThread())
                            ++wrong;
                    });
                if (timers == 100)
                    mine.callFromThread([&] { ++ended; });
            };
            counts[me] = 0;
            ++ready;
            while (ready < 4)
                std::this_thread::yield();
            mine.callWhenRunning(tick);
            std::function<void()> look = [&] {
                got = counts[me];
                if (got == kCalls && ended == 2)
                    mine.stop();
                else
                    mine.callLater(1ms, look);
            };
            mine.callLater(1ms, look);
            host.run();
            if (got != kCalls)
                ++wrong;
            ++ready;
            while (ready < 6)
                std::this_thread::yield(); // nobody's reactor dies while the other may call it
        };
        std::thread second(
            [&] { bine::kit::onThread([&](bine::kit::ReactorHost& host) { work(host, 1); }); });
        bine::kit::onThread([&](bine::kit::ReactorHost& host) { work(host, 0); });
        second.join();
        QCOMPARE(wrong.load(), 0);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<LeftoversTest>(argc, argv); }
#include "leftovers.moc"
