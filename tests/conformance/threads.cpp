// Contract 2.E, R-074 to: calls from threads, and the pool that calls in threads.
// (The pool by itself is in tests/reactors/thread_pool_test.cpp.)

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bine/defer/errors.h"
#include "bine/reactors/threads.h"
#include "conformance/threads_testing.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::deferToThread;
using bine::Failure;
using bine::kit::Steps;
using bine::kit::Wire;

class ThreadsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // --- callFromThread

    void r074_itRunsOnTheReactorsThread() {
        bool here = false;
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                reactor().callFromThread([&] {
                    here = reactor().isInReactorThread();
                    reactor().stop();
                });
            });
        });
        run();
        QVERIFY(here);
    }

    void r074_theOrderIsThatOfAllCallersTogether() {
        constexpr int kCalls = 300;
        std::atomic<int> turn{0};
        std::vector<int> order;
        const auto caller = [&](int me) {
            for (int i = me; i < kCalls; i += 3) {
                while (turn != i)
                    std::this_thread::yield();
                reactor().callFromThread([&, i] {
                    order.push_back(i);
                    if (i + 1 == kCalls)
                        reactor().stop();
                });
                ++turn;
            }
        };
        const std::jthread first(caller, 0), second(caller, 1), third(caller, 2);
        run();
        QCOMPARE(order.size(), std::size_t(kCalls));
        QVERIFY(std::is_sorted(order.begin(), order.end()));
    }

    void r074_oneThatThrowsIsLoggedAndHurtsNoOther() {
        bool called = false;
        reactor().callFromThread([] { throw NoLuck(1); });
        reactor().callFromThread([&] {
            called = true;
            reactor().stop();
        });
        run();
        QVERIFY(called);
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY(errors.front().find("no luck") != std::string::npos);
    }

    void r074_afterTheReactorsDeathTheFunctionDies() {
        const auto held = std::make_shared<int>();
        const auto mailbox = reactor().mailbox();
        reactor().callFromThread([held] {});
        host().destroyReactor();
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(!mailbox->post([held] {}));
        QCOMPARE(held.use_count(), 1l);
    }

    void r075_beforeRunItWaitsForIt() {
        Steps steps;
        reactor().callFromThread(steps.adder("queued"));
        reactor().callWhenRunning([&] {
            steps.add("running");
            reactor().callFromThread([&] { reactor().stop(); });
        });
        QCOMPARE(steps.text(), "");
        run();
        QCOMPARE(steps.text(), "running queued");
    }

    void r075_onTheReactorsThreadItRunsInTheNextPass() {
        // Nothing else is there to wake the loop.
        Steps steps;
        reactor().callWhenRunning([&] {
            reactor().callFromThread([&] {
                steps.add("first");
                reactor().callFromThread([&] {
                    steps.add("third");
                    reactor().stop();
                });
                steps.add("second");
            });
            steps.add("running");
        });
        run();
        QCOMPARE(steps.text(), "running first second third");
    }

    void r076_oneThatQueuesItselfAgainLeavesRoomForTheRest() {
        bool timer = false, data = false;
        std::function<void()> again = [&] {
            if (timer && data)
                reactor().stop();
            else
                reactor().callFromThread(again);
        };
        Wire wire(reactor(), [&](std::string) { data = true; });
        wire.send("x");
        reactor().callLater(1ms, [&] { timer = true; });
        reactor().callFromThread(again);
        run();
        QVERIFY(timer && data);
    }

    void r077_aHundredThousandCallsAllRun() {
        int ran = 0;
        bool inOrder = true;
        for (int i = 0; i < 100'000; ++i)
            reactor().callFromThread([&, i] { inOrder = ran++ == i && inOrder; });
        reactor().callFromThread([&] { reactor().stop(); });
        run();
        QCOMPARE(ran, 100'000);
        QVERIFY(inOrder);
    }

    // --- The pool

    void r078_callInThreadRunsElsewhere() {
        std::atomic<int> here{-1};
        std::thread::id worker;
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                here = reactor().isInReactorThread();
                worker = std::this_thread::get_id();
                reactor().callFromThread([&] { reactor().stop(); });
            });
        });
        run();
        QCOMPARE(here.load(), 0);
        QVERIFY(worker != std::this_thread::get_id());
        QVERIFY(reactor().isInReactorThread());
    }

    void r078_whatItThrowsIsLogged() {
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            reactor().callInThread([] { throw NoLuck(1); });
            reactor().callInThread([&] { reactor().callFromThread([&] { reactor().stop(); }); });
        });
        run();
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY(errors.front().find("no luck") != std::string::npos);
    }

    void r079_itStartsWhenTheReactorDoes() {
        const auto before = bine::kit::Belongings::now();
        std::atomic<bool> ran{false};
        reactor().callInThread([&] {
            ran = true;
            reactor().callFromThread([&] { reactor().stop(); });
        });
        QCOMPARE(reactor().threadPool().queued(), std::size_t(1));
        QCOMPARE(bine::kit::Belongings::now().threads(), before.threads());
        QVERIFY(!ran);
        run();
        QVERIFY(ran);
        QCOMPARE(reactor().threadPool().threads(), std::size_t(0));
    }

    void r079_madeLateItWorksToo() {
        bool done = false;
        reactor().callLater(1ms, [&] {
            deferToThread(reactor(), [] {}).addCallback([&] {
                done = true;
                reactor().stop();
            });
        });
        run();
        QVERIFY(done);
    }

    void r079_theStartupMayWaitForAThread() {
        Steps steps;
        reactor().addSystemEventTrigger("before", "startup", [&] {
            return deferToThread(reactor(), [] {}).addCallback(steps.adder("job"));
        });
        reactor().callWhenRunning(steps.adder("running"));
        runToTheEnd();
        QCOMPARE(steps.text(), "job running");
    }

    void r079_theShutdownMayWaitForAThread() {
        Steps steps;
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            return deferToThread(reactor(), [] {}).addCallback(steps.adder("job"));
        });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        runToTheEnd();
        QCOMPARE(steps.text(), "job during");
    }

    void r079_duringShutdownItTakesNoMoreWork() {
        Steps steps;
        const auto held = std::make_shared<int>();
        reactor().addSystemEventTrigger("during", "shutdown", [&] {
            deferToThread(reactor(), [held] {}).addErrback([&](const Failure& failure) {
                failure.trap<bine::AbandonedError>();
                steps.add("refused");
            });
            steps.add(held.use_count() == 1 ? "gone" : "kept");
        });
        runToTheEnd();
        QCOMPARE(steps.text(), "refused gone");
    }

    void r079_afterwardsItQueuesForTheNextRun() {
        runToTheEnd();
        bool done = false;
        deferToThread(reactor(), [] {}).addCallback([&] {
            done = true;
            reactor().stop();
        });
        QCOMPARE(reactor().threadPool().queued(), std::size_t(1));
        run();
        QVERIFY(done);
    }

    void r079_aShutdownWithoutARunDropsWhatIsQueued() {
        const auto held = std::make_shared<int>();
        bool abandoned = false;
        deferToThread(reactor(), [held] {}).addErrback([&](const Failure& failure) {
            abandoned = failure.check<bine::AbandonedError>();
        });
        reactor().fireSystemEvent("shutdown");
        QVERIFY(abandoned);
        QCOMPARE(held.use_count(), 1l);
    }

    void r079_aReactorThatNeverRanDropsWhatIsQueued() {
        const auto held = std::make_shared<int>();
        bool abandoned = false;
        deferToThread(reactor(), [held] {}).addErrback([&](const Failure& failure) {
            abandoned = failure.check<bine::AbandonedError>();
        });
        host().destroyReactor();
        QVERIFY(abandoned);
        QCOMPARE(held.use_count(), 1l);
    }

    void r080_whatIsBeyondTheLimitWaits() {
        std::atomic<int> atOnce{0}, most{0};
        std::atomic<int> left{20};
        reactor().suggestThreadPoolSize(3);
        reactor().callWhenRunning([&] {
            for (int i = 0; i < 20; ++i)
                reactor().callInThread([&] {
                    const int now = ++atOnce;
                    for (int before = most; now > before && !most.compare_exchange_weak(before, now);) {
                    }
                    std::this_thread::yield();
                    --atOnce;
                    if (--left == 0)
                        reactor().callFromThread([&] { reactor().stop(); });
                });
        });
        run();
        QVERIFY2(most <= 3, qPrintable(QString::number(most)));
    }

    void r080_itGrowsWhenWorkWaits() {
        constexpr int kJobs = 5; // each waits for all others
        std::latch all(kJobs);
        int done = 0;
        reactor().suggestThreadPoolSize(kJobs);
        reactor().callWhenRunning([&] {
            for (int i = 0; i < kJobs; ++i)
                deferToThread(reactor(), [&] { all.arrive_and_wait(); }).addCallback([&] {
                    if (++done == kJobs)
                        reactor().stop();
                });
        });
        run();
        QCOMPARE(done, kJobs);
    }

    void r080_aHigherLimitHelpsWhatWaitsAlready() {
        std::latch both(2);
        int done = 0;
        reactor().suggestThreadPoolSize(1);
        reactor().callWhenRunning([&] {
            for (int i = 0; i < 2; ++i)
                deferToThread(reactor(), [&] { both.arrive_and_wait(); }).addCallback([&] {
                    if (++done == 2)
                        reactor().stop();
                });
            reactor().suggestThreadPoolSize(2);
        });
        run();
        QCOMPARE(done, 2);
    }

    void r080_theLeastNumberIsThereAtTheStart() {
        std::size_t before = 9, after = 0;
        reactor().threadPool().adjustPoolsize(2, 4);
        before = reactor().threadPool().threads();
        reactor().callWhenRunning([&] {
            after = reactor().threadPool().threads();
            reactor().stop();
        });
        run();
        QCOMPARE(before, std::size_t(0));
        QCOMPARE(after, std::size_t(2));
    }

    void r080_aPoolOfNoneIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().suggestThreadPoolSize(0));
    }

    void r085_theListRunsInOrderOnOneThread() {
        Steps steps;
        std::vector<std::thread::id> threads;
        auto held = std::make_shared<int>();  // not const: a const capture is copied where it should be moved, and two hold it for a while
        const auto note = [&](const char* step) {
            return [&, step] {
                steps.add(step);
                threads.push_back(std::this_thread::get_id());
            };
        };
        reactor().callWhenRunning([&] {
            bine::callMultipleInThread(
                reactor(), [held, first = note("one")] { first(); },
                [&, second = note("two")] {
                    second();
                    steps.add(held.use_count() == 1 ? "alone" : "kept");
                },
                note("three"), [&] { reactor().callFromThread([&] { reactor().stop(); }); });
        });
        run();
        QCOMPARE(steps.text(), "one two alone three");
        QVERIFY(threads[0] == threads[1] && threads[1] == threads[2]);
        QVERIFY(threads[0] != std::this_thread::get_id());
    }

    void r085_oneThatThrowsEndsTheList() {
        bool called = false;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            std::vector<bine::Function<void()>> list;
            list.emplace_back([] { throw NoLuck(1); });
            list.emplace_back([&] { called = true; });
            bine::callMultipleInThread(reactor(), std::move(list));
            deferToThread(reactor(), [] {}).addCallback([&] { reactor().stop(); });
        });
        run();
        QVERIFY(!called);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r086_aJobMayWaitForALaterOne() {
        std::latch opened(1);
        int done = 0;
        const auto finished = [&] {
            if (++done == 2)
                reactor().stop();
        };
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(2);
            // A worker that is idle already must not be thought to serve both.
            deferToThread(reactor(), [] {}).addCallback([&] {
                deferToThread(reactor(), [&] { opened.wait(); }).addCallback(finished);
                deferToThread(reactor(), [&] { opened.count_down(); }).addCallback(finished);
            });
        });
        run();
        QCOMPARE(done, 2);
    }

    void r088_aWorkerThatIsStuckIsWaitedForUpToTheDeadline() {
        std::atomic<bool> stop{false}, done{false};
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                reactor().callFromThread([&] { reactor().stop(); });
                while (!stop)
                    std::this_thread::yield();
                done = true;
            });
        });
        reactor().addSystemEventTrigger("during", "shutdown", [] {});
        reactor().setShutdownDeadline(bine::ReactorBase::infinite);
        // It ends while the shutdown waits for it.
        reactor().addSystemEventTrigger("before", "shutdown", [&] { stop = true; });
        run();
        QVERIFY(done);
        QVERIFY(loggedErrors().empty());
    }

    void r088_oneThatStaysStuckIsNamedAndLeft() {
        std::latch opened(1);
        std::atomic<bool> done{false};
        reactor().setShutdownDeadline(20ms);
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                reactor().callFromThread([&] { reactor().stop(); });
                opened.wait();
                done = true;
            });
        });
        run();
        QVERIFY(!done);
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY2(errors.front().find("bine-0") != std::string::npos, errors.front().c_str());
        QVERIFY2(errors.front().find("threads.cpp") != std::string::npos, errors.front().c_str());
        // It is no part of the pool any more.
        QCOMPARE(reactor().threadPool().threads(), std::size_t(0));
        opened.count_down();
        while (!done)
            std::this_thread::yield();
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ThreadsTest>(argc, argv); }
#include "threads.moc"
