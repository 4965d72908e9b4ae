// Contract 2.E, R-081 to: jobs whose result somebody waits for, and what is left
// of them.

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "bine/defer/errors.h"
#include "bine/defer/owner.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/thread_pool.h"
#include "conformance/threads_testing.h"
#include "kit/reactor_test.h"

using bine::deferToThread;
using bine::Failure;
using bine::Result;
using bine::kit::Steps;

class DeferToThreadTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // --- The result

    void r081_valuesAndExceptionsComeHome() {
        Steps steps;
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), [] { return std::make_unique<int>(42); })
                .addCallback([&](std::unique_ptr<int> value) {
                    steps.add(reactor().isInReactorThread() ? std::to_string(*value) : "elsewhere");
                    return deferToThread(reactor(), []() -> int { throw NoLuck(7); });
                })
                .addErrback([&](const Failure& failure) {
                    steps.add(std::to_string(failure.check<NoLuck>()->code));
                    return 0;
                })
                .addCallback([&](int) { reactor().stop(); });
        });
        run();
        QCOMPARE(steps.text(), "42 7");
    }

    void r081_aPoolOfOnesOwn() {
        bine::ThreadPool pool(0, 1, "mine");
        int answer = 0;
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), pool, [] { return 42; }).addCallback([&](int value) {
                answer = value;
                reactor().stop();
            });
        });
        run();
        QCOMPARE(answer, 42);
        QVERIFY(pool.stop(bine::ReactorBase::infinite).empty());
    }

    void r081_itIsRefusedOnAnotherThread() {
        bine::ThreadPool pool;
        std::jthread([&] {
            QVERIFY_THROWS_EXCEPTION(std::logic_error, deferToThread(reactor(), pool, [] {}));
        }).join();
    }

    // What one job left behind is nothing to the next.
    void r081_aJobThatFailsAfterOneThatSucceeded() {
        Steps steps;
        reactor().callWhenRunning([&] {
            auto good = deferToThread(reactor(), [] { return 1; });
            auto bad = deferToThread(reactor(), []() -> int { throw NoLuck(2); });
            std::move(good).addCallback([&, bad = std::move(bad)](int value) mutable {
                steps.add(std::to_string(value));
                std::move(bad).addErrback([&](const Failure& failure) {
                    steps.add(failure.getErrorMessage());
                    return 0;
                }).addCallback([&](int) { reactor().stop(); });
            });
        });
        run();
        QCOMPARE(steps.text(), "1 no luck");
    }

    void r082_theCallbackGetsTheResultOnTheWorker() {
        Steps steps;
        std::thread::id worker, reported;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            reactor().threadPool().callInThreadWithCallback(
                [&](Result<int> result) {
                    reported = std::this_thread::get_id();
                    steps.add(std::to_string(*result));
                    throw NoLuck(1);
                },
                [&] {
                    worker = std::this_thread::get_id();
                    return 42;
                });
            // The worker lives.
            reactor().threadPool().callInThreadWithCallback(
                [&](Result<void> result) {
                    steps.add(result.isFailure() ? result.failure().getErrorMessage() : "fine");
                    reactor().callFromThread([&] { reactor().stop(); });
                },
                [] { throw NoLuck(2); });
        });
        run();
        QCOMPARE(steps.text(), "42 no luck");
        QVERIFY(worker == reported && worker != std::this_thread::get_id());
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r083_workersKeepNothingOfAJob() {
        const auto held = std::make_shared<int>();
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), [held] { return held; }).addCallback([&](std::shared_ptr<int>) {
                // The worker lives, and has nothing to do.
                host().spinUntil([&] { return reactor().threadPool().stats().idle == 1; });
                reactor().stop();
            });
        });
        run();
        QCOMPARE(held.use_count(), 1l);
    }

    // --- Cancelling

    void r087_r089_aQueuedJobThatIsCancelledGoesHere() {
        std::latch started(1), opened(1);
        std::atomic<bool> ran{false};
        std::thread::id died;
        bool gone = false, cancelled = false;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            auto running = deferToThread(reactor(), [&] {
                started.count_down();
                opened.wait();
            });
            started.wait();
            auto queued = deferToThread(reactor(), [probe = Probe(died), &ran] { ran = true; });
            queued.addErrback([&](const Failure& failure) { cancelled = failure.check<bine::CancelledError>(); });
            queued.cancel();
            gone = died == std::this_thread::get_id() && reactor().threadPool().queued() == 0;
            opened.count_down();
            std::move(running).addCallback([&] { reactor().stop(); });
        });
        run();
        QVERIFY(cancelled && gone && !ran);
    }

    void r087_aRunningJobThatIsCancelledLosesItsAudience() {
        std::latch started(1);
        Steps steps;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            auto job = deferToThread(reactor(), [&](std::stop_token stop) {
                started.count_down();
                while (!stop.stop_requested())
                    std::this_thread::yield();
                throw NoLuck(1);
            });
            job.addCallbacks(steps.adder("result"), [&](const Failure& failure) {
                steps.add(failure.check<bine::CancelledError>() ? "cancelled" : "failed");
            });
            started.wait();
            job.cancel();
            deferToThread(reactor(), [] {}).addCallback([&] {
                // What the first one posted has come by.
                reactor().stop();
            });
        });
        run();
        QCOMPARE(steps.text(), "cancelled");
    }

    void r087_anOwnersDeathTakesAQueuedJobBack() {
        std::latch opened(1);
        std::atomic<bool> ran{false};
        std::thread::id died;
        bine::Scope scope;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            auto running = deferToThread(reactor(), [&] { opened.wait(); });
            deferToThread(reactor(), [probe = Probe(died), &ran] { ran = true; }).ownedBy(scope);
            scope.cancel();
            opened.count_down();
            std::move(running).addCallback([&] { reactor().stop(); });
        });
        run();
        QVERIFY(!ran);
        QVERIFY(died == std::this_thread::get_id());
    }

    // --- What a job captured

    void r089_capturesDieOnTheWorkerBeforeTheResultIsSeen() {
        std::thread::id died, worker;
        bool dead = false;
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), [probe = Probe(died), &worker] { worker = std::this_thread::get_id(); })
                .addCallback([&] {
                    dead = died == worker;
                    reactor().stop();
                });
        });
        run();
        QVERIFY(dead);
        QVERIFY(worker != std::this_thread::get_id());
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<DeferToThreadTest>(argc, argv); }
#include "defer_to_thread.moc"
