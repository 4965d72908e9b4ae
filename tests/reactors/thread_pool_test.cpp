// deferToThread and the pool: results come home, cancelled work is taken back, and a stuck worker holds nobody up.

#include <QtTest/QtTest>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "bine/defer/owner.h"
#include "bine/log/recorder.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

// Keeps a worker at work until it is opened.
class Gate {
public:
    void open() { promise_.set_value(); }
    std::shared_future<void> future() const { return future_; }

private:
    std::promise<void> promise_;
    std::shared_future<void> future_ = promise_.get_future().share();
};

class ThreadPoolTest : public QObject {
    Q_OBJECT

private slots:
    void r081_theResultComesHome() {
        bine::EpollReactor reactor;
        std::thread::id worker, home;
        int answer = 0;
        bine::deferToThread(reactor, [&] {
            worker = std::this_thread::get_id();
            return 42;
        }).addCallback([&](int value) {
            home = std::this_thread::get_id();
            answer = value;
            reactor.stop();
        });
        reactor.run();
        QCOMPARE(answer, 42);
        QVERIFY(home == std::this_thread::get_id());
        QVERIFY(worker != home);
    }

    void r081_anExceptionComesHome() {
        bine::EpollReactor reactor;
        std::string text;
        bine::deferToThread(reactor, []() -> int { throw std::runtime_error("no luck"); })
            .addCallback([](int) {})
            .addErrback([&](const bine::Failure& failure) { text = failure.getErrorMessage(); })
            .addCallback([&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(text, std::string("no luck"));
    }

    void r087_cancellingAQueuedJobTakesItBack() {
        bine::EpollReactor reactor;
        bine::ThreadPool pool(0, 1);
        Gate gate;
        auto running = bine::deferToThread(reactor, pool, [future = gate.future()] { future.wait(); });
        auto held = std::make_shared<int>(1);
        std::atomic<bool> ran{false};
        bool cancelled = false;
        auto queued = bine::deferToThread(reactor, pool, [held, &ran] { ran = true; });
        QCOMPARE(held.use_count(), 2l);
        queued.addErrback([&](const bine::Failure& failure) { cancelled = failure.check<bine::CancelledError>() != nullptr; });
        queued.cancel();
        QVERIFY(cancelled);
        QCOMPARE(held.use_count(), 1l);
        gate.open();
        running.addCallback([&] { reactor.stop(); });
        reactor.run();
        QVERIFY(!ran);
    }

    void r087_cancellingARunningJobAsksItToStopAndDropsItsResult() {
        bine::EpollReactor reactor;
        std::atomic<bool> started{false};
        int results = 0;
        int cancellations = 0;
        bine::ThreadPool pool;
        auto job = bine::deferToThread(reactor, pool, [&started](std::stop_token stop) {
            started = true;
            while (!stop.stop_requested()) std::this_thread::yield();
        });
        job.addCallback([&] { ++results; });
        job.addErrback([&](const bine::Failure&) { ++cancellations; });
        while (!started) std::this_thread::yield();
        job.cancel();
        QCOMPARE(cancellations, 1);
        // The one worker is free again once the job has seen its token; what it posts before is dropped.
        pool.adjustPoolsize(0, 1);
        bine::deferToThread(reactor, pool, [] {}).addCallback([&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(results, 0);
    }

    void r268_anOwnersDeathAsksARunningJobToStop() {
        bine::EpollReactor reactor;
        bine::ThreadPool pool;
        std::atomic<bool> started{false}, asked{false};
        int results = 0;
        {
            bine::Scope scope;
            bine::deferToThread(reactor, pool, [&](std::stop_token stop) {
                started = true;
                while (!stop.stop_requested()) std::this_thread::yield();
                asked = true;
            }).ownedBy(scope).addBoth([&](bine::Result<void>) { ++results; });
            while (!started) std::this_thread::yield();
        }
        while (!asked) reactor.iterate(1ms);
        reactor.iterate();
        QCOMPARE(results, 0);
    }

    // Whatever waits for the answer is told on the reactor's thread, and what it captured dies there; the worker finds nobody.
    void r268_aReactorThatDiesFirstEndsTheWaitOnItsOwnThread() {
        Gate gate;
        std::atomic<bool> done{false};
        struct Probe {
            std::thread::id* where;
            ~Probe() { *where = std::this_thread::get_id(); }
        };
        std::thread::id died;
        bool abandoned = false;
        bine::ThreadPool pool;
        {
            bine::EpollReactor reactor;
            std::atomic<bool> started{false};
            bine::deferToThread(reactor, pool, [&started, &done, future = gate.future()] {
                started = true;
                future.wait();
                done = true;
                return 1;
            }).addBoth([&, probe = std::make_unique<Probe>(Probe{&died})](bine::Result<int> result) {
                abandoned = result.isFailure() && result.failure().check<bine::AbandonedError>() != nullptr;
            });
            while (!started) std::this_thread::yield();
        }
        QVERIFY(abandoned);
        QVERIFY(died == std::this_thread::get_id());
        gate.open();
        while (!done) std::this_thread::yield();
    }

    void r268_aQueuedJobIsAbandonedWhenAPoolIsStoppedByAnotherThread() {
        bine::EpollReactor reactor;
        bine::ThreadPool pool(0, 1);
        Gate gate;
        bine::deferToThread(reactor, pool, [future = gate.future()] { future.wait(); }).addBoth([](bine::Result<void>) {});
        std::thread::id told;
        bine::deferToThread(reactor, pool, [] {}).addErrback([&](const bine::Failure& failure) {
            failure.trap<bine::AbandonedError>();
            told = std::this_thread::get_id();
            reactor.stop();
        });
        std::thread([&] { pool.stop(0s); }).join();
        gate.open();
        reactor.run();
        QVERIFY(told == std::this_thread::get_id());
    }

    void r089_capturesDieOnTheWorkerBeforeTheResultIsSeen() {
        bine::EpollReactor reactor;
        struct Probe {
            std::thread::id* where;
            ~Probe() { *where = std::this_thread::get_id(); }
        };
        std::thread::id died;
        bool deadWhenSeen = false;
        auto probe = std::make_shared<Probe>(Probe{&died});
        bine::deferToThread(reactor, [probe = std::move(probe)] {}).addCallback([&] {
            deadWhenSeen = died != std::thread::id() && died != std::this_thread::get_id();
            reactor.stop();
        });
        reactor.run();
        QVERIFY(deadWhenSeen);
    }

    void r086_aJobMayWaitForAnother() {
        bine::EpollReactor reactor;
        Gate gate;
        int done = 0;
        const auto finished = [&] {
            if (++done == 2) reactor.stop();
        };
        bine::deferToThread(reactor, [future = gate.future()] { future.wait(); }).addCallback(finished);
        bine::deferToThread(reactor, [&gate] { gate.open(); }).addCallback(finished);
        reactor.run();
        QCOMPARE(done, 2);
    }

    void r088_aStuckWorkerHoldsTheEndUpForTheDeadlineOnly() {
        bine::LogRecorder recorder;
        Gate gate;
        {
            bine::EpollReactor reactor;
            reactor.setShutdownDeadline(20ms);
            reactor.threadPool().callInThread([future = gate.future(), &reactor] {
                reactor.callFromThread([&] { reactor.stop(); });
                future.wait();
            });
            reactor.run();
        }
        const auto events = recorder.flush();
        QCOMPARE(events.size(), std::size_t(1));
        QVERIFY(events.front().message.find("1 thread") != std::string::npos);
        gate.open();
    }

    void r083_workersKeepNothingOfAJob() {
        bine::EpollReactor reactor;
        auto held = std::make_shared<int>(1);
        bine::deferToThread(reactor, [held] { return held; }).addCallback([&](std::shared_ptr<int>) { reactor.stop(); });
        reactor.run();
        QCOMPARE(held.use_count(), 1l);
    }
};

QTEST_GUILESS_MAIN(ThreadPoolTest)
#include "thread_pool_test.moc"
