// The workers of a pool: how many there are, what they are called, and how they end.

#include <QtTest/QtTest>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>

#include "bine/log/context.h"
#include "bine/log/log.h"
#include "bine/log/recorder.h"
#include "bine/reactors/native_reactors.h"
#include "bine/reactors/thread_pool.h"

using namespace std::chrono_literals;
using bine::Result;
using bine::ThreadPool;

namespace {

constexpr auto forEver = bine::Duration::max();

/// Waits for what another thread is about to do.
template <class Condition>
void until(Condition condition) {
    while (!condition()) std::this_thread::yield();
}

std::string nameOfThisThread() {
    char name[16];
    pthread_getname_np(pthread_self(), name, sizeof name);
    return name;
}

/// Jobs that wait until they are let go.
class Occupied {
public:
    Occupied(ThreadPool& pool, int jobs) : started_(jobs) {
        for (int i = 0; i < jobs; ++i)
            pool.callInThread([this] {
                started_.count_down();
                opened_.wait();
                left_.fetch_add(1);
            });
        jobs_ = jobs;
    }
    ~Occupied() { open(); }
    void waitUntilStarted() { started_.wait(); }
    void open() {
        if (!std::exchange(isOpen_, true)) opened_.count_down();
        until([this] { return left_ == jobs_; });
    }

private:
    std::latch started_;
    std::latch opened_{1};
    std::atomic<int> left_{0};
    int jobs_ = 0;
    bool isOpen_ = false;
};

/// How often the thread went to sleep, and whether it sleeps.
std::pair<long, bool> sleepsOf(pid_t thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/status");
    std::string word;
    std::pair<long, bool> result{-1, false};
    while (file >> word) {
        if (word == "State:") {
            file >> word;
            result.second = word == "S";
        } else if (word == "voluntary_ctxt_switches:") {
            file >> result.first;
        }
    }
    return result;
}

}  // namespace

class WorkersTest : public QObject {
    Q_OBJECT

private slots:
    void init() { log_ = std::make_unique<bine::LogRecorder>(); }
    void cleanup() {
        QVERIFY(log_->empty());
        log_.reset();
    }

    // --- How many

    void r080_aPoolOfItsOwnStartsWithTheLeast() {
        const ThreadPool none, two(2, 5);
        QCOMPARE(none.threads(), std::size_t(0));
        QCOMPARE(two.threads(), std::size_t(2));
        QCOMPARE(two.least(), std::size_t(2));
        QCOMPARE(two.most(), std::size_t(5));
    }

    void r080_workersAreMadeOnDemandUpToTheMost() {
        ThreadPool pool(0, 2);
        Occupied one(pool, 1);
        QCOMPARE(pool.threads(), std::size_t(1));
        one.waitUntilStarted();
        {
            Occupied more(pool, 3);
            until([&] { return pool.queued() == 2; });
            QCOMPARE(pool.threads(), std::size_t(2));
            one.open();
        }
        QVERIFY(pool.stop(forEver).empty());
    }

    void r080_anIdleWorkerIsUsedBeforeANewOneIsMade() {
        ThreadPool pool(0, 5);
        std::set<std::thread::id> workers;
        for (int i = 0; i < 10; ++i) {
            std::atomic<bool> done{false};
            pool.callInThread([&] {
                workers.insert(std::this_thread::get_id());
                done = true;
            });
            until([&] { return done && pool.stats().idle == 1; });
        }
        QCOMPARE(workers.size(), std::size_t(1));
        QCOMPARE(pool.threads(), std::size_t(1));
    }

    void theWorkerThatWasBusyLastIsCalledFirst() {
        ThreadPool pool(3, 3);
        until([&] { return pool.stats().idle == 3; });
        std::set<std::thread::id> workers;
        for (int i = 0; i < 10; ++i) {
            pool.callInThread([&] { workers.insert(std::this_thread::get_id()); });
            until([&] { return pool.stats().idle == 3; });
        }
        QCOMPARE(workers.size(), std::size_t(1));
    }

    void r080_withMoreRoomWhatWaitsGetsItAtOnce() {
        ThreadPool pool(0, 1);
        Occupied jobs(pool, 3);
        pool.adjustPoolsize(0, 3);
        jobs.waitUntilStarted();
        QCOMPARE(pool.threads(), std::size_t(3));
    }

    void r080_withLessRoomThoseTooManyEndWhenTheyAreIdle() {
        ThreadPool pool(0, 3);
        {
            Occupied jobs(pool, 3);
            jobs.waitUntilStarted();
            pool.adjustPoolsize(0, 1);
            QCOMPARE(pool.threads(), std::size_t(3));
        }
        until([&] { return pool.threads() == 1; });
        Occupied job(pool, 1);
        job.waitUntilStarted();
        QCOMPARE(pool.threads(), std::size_t(1));
    }

    void r080_idleWorkersMakeRoomToo() {
        ThreadPool pool(3, 3);
        until([&] { return pool.stats().idle == 3; });
        pool.adjustPoolsize(1, 1);
        until([&] { return pool.threads() == 1; });
        Occupied job(pool, 1);
        job.waitUntilStarted();
    }

    void idleWorkersBeyondTheLeastEnd() {
        ThreadPool pool(2, 5);
        pool.setIdleTime(0s);
        {
            Occupied jobs(pool, 5);
            jobs.waitUntilStarted();
            QCOMPARE(pool.threads(), std::size_t(5));
        }
        until([&] { return pool.threads() == 2 && pool.stats().idle == 2; });
        // They are as good as the others were.
        Occupied jobs(pool, 5);
        jobs.waitUntilStarted();
    }

    void aShorterIdleTimeHoldsForThoseThatAreIdle() {
        ThreadPool pool(0, 2);
        Occupied(pool, 2).waitUntilStarted();
        until([&] { return pool.stats().idle == 2; });
        pool.setIdleTime(0s);
        until([&] { return pool.threads() == 0; });
    }

    void noJobIsForgottenWhileWorkersEnd() {
        ThreadPool pool(0, 3);
        pool.setIdleTime(0s);
        std::atomic<int> ran{0};
        constexpr int kJobs = 3000;
        const auto caller = [&] {
            for (int i = 0; i < kJobs; ++i) {
                pool.callInThread([&] { ++ran; });
                if (i % 3 == 0) std::this_thread::yield();
                if (i % 100 == 0) pool.adjustPoolsize(0, 1 + static_cast<std::size_t>(i / 100 % 3));
            }
        };
        std::jthread first(caller), second(caller);
        until([&] { return ran == 2 * kJobs; });
    }

    void idleWorkersSleep() {
        ThreadPool pool(1, 3);
        std::atomic<pid_t> kept{0};
        Occupied extra(pool, 1);
        pool.callInThread([&] { kept = gettid(); });
        extra.open();
        until([&] { return kept != 0 && pool.stats().idle == 2 && sleepsOf(kept).second; });
        const long before = sleepsOf(kept).first;
        bine::EpollReactor reactor;  // it gives them the time to wake up in
        reactor.callLater(100ms, [&] { reactor.stop(); });
        reactor.run();
        const long after = sleepsOf(kept).first;
        QVERIFY2(after - before <= 1, qPrintable(QString::number(after - before)));
    }

    void limitsThatMakeNoSenseAreRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, ThreadPool(0, 0));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, ThreadPool(3, 2));
        ThreadPool pool;
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, pool.adjustPoolsize(0, 0));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, pool.adjustPoolsize(3, 2));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, pool.setIdleTime(-1s));
    }

    // --- What they are

    void workersHaveNames() {
        ThreadPool pool(0, 2, "hash");
        std::string names[2];
        std::latch both(2);
        for (std::string& name : names)
            pool.callInThread([&] {
                name = nameOfThisThread();
                both.arrive_and_wait();
            });
        both.wait();
        QVERIFY(pool.stop(forEver).empty());
        QCOMPARE((std::set<std::string>(names, names + 2)), (std::set<std::string>{"hash-0", "hash-1"}));
    }

    void longNamesAreCutBeforeTheNumber() {
        ThreadPool pool(0, 1, "thumbnails-of-pictures");
        std::string name;
        pool.callInThread([&] { name = nameOfThisThread(); });
        until([&] { return pool.stats().idle == 1; });
        QCOMPARE(name, std::string("thumbnails-of-0"));
    }

    void signalsAreLeftToOthers() {
        ThreadPool pool;
        std::atomic<int> blocked{-1};
        pool.callInThread([&] {
            sigset_t mask;
            pthread_sigmask(SIG_SETMASK, nullptr, &mask);
            blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
        });
        until([&] { return blocked >= 0; });
        QCOMPARE(blocked.load(), 1);
        sigset_t own;
        pthread_sigmask(SIG_SETMASK, nullptr, &own);
        QVERIFY(!sigismember(&own, SIGTERM));
    }

    void whatTheyLogCarriesThePrefixOfWhoAsked() {
        ThreadPool pool;
        {
            const bine::LogScope scope(bine::LogContext("Asker"));
            pool.callInThread([] { throw std::runtime_error("no luck"); });
        }
        until([&] { return !log_->empty(); });
        const auto events = log_->flush();
        QCOMPARE(events.size(), std::size_t(1));
        QCOMPARE(events.front().prefix, std::string("Asker"));
    }

    void statsTellWhatWaitsAndForHowLong() {
        ThreadPool pool(0, 2);
        QVERIFY(pool.stats().longestWait == 0s && pool.stats().longestWork == 0s);
        Occupied jobs(pool, 3);
        until([&] { return pool.queued() == 1; });
        const auto stats = pool.stats();
        QCOMPARE(stats.threads, std::size_t(2));
        QCOMPARE(stats.working, std::size_t(2));
        QCOMPARE(stats.idle, std::size_t(0));
        QVERIFY(stats.longestWait > 0s && stats.longestWork > 0s);
        const auto later = pool.stats();
        QVERIFY(later.longestWait > stats.longestWait && later.longestWork > stats.longestWork);
    }

    void dumpStatsSaysWhoIsAtWhat() {
        std::vector<std::string> lines;
        auto subscription = bine::addLogObserver([&](const bine::LogEvent& event) {
            if (event.logNamespace == "bine.threads") lines.push_back(event.message);
        });
        ThreadPool pool(0, 1, "hash");
        Occupied jobs(pool, 3);
        until([&] { return pool.queued() == 2; });
        pool.dumpStats();
        QCOMPARE(lines.size(), std::size_t(2));
        QVERIFY2(lines[0].find("'hash': 1 at work, 0 idle; 2 jobs wait") != std::string::npos, lines[0].c_str());
        QVERIFY2(lines[1].find("hash-0") != std::string::npos && lines[1].find("workers_test.cpp:") != std::string::npos, lines[1].c_str());
    }

    // --- callInThreadWithCallback

    void r082_theFunctionIsGoneWhenItsResultIsReported() {
        ThreadPool pool;
        auto held = std::make_shared<int>();  // not const: a const capture is copied where it should be moved, and two hold it for a while
        std::atomic<long> holders{0};
        pool.callInThreadWithCallback([held = std::weak_ptr(held), &holders](Result<int>) { holders = held.use_count(); }, [held] { return 1; });
        until([&] { return holders != 0; });
        QCOMPARE(holders.load(), 1l);
    }

    void r082_aJobThatIsNotRunReportsNothing() {
        ThreadPool pool;
        pool.stop(0s);
        bool reported = false;
        const auto held = std::make_shared<int>();
        pool.callInThreadWithCallback([held, &reported](Result<>) { reported = true; }, [] {});
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(!reported);
    }

    // --- The end

    void stopWaitsForWhoIsAtWorkAndDropsWhatWaits() {
        ThreadPool pool(0, 1);
        std::latch started(1), opened(1);
        std::atomic<bool> done{false};
        pool.callInThread([&] {
            started.count_down();
            opened.wait();
            done = true;
        });
        started.wait();
        // Its end lets the first go on.
        struct Opener {
            std::latch* latch;
            ~Opener() { latch->count_down(); }
        };
        std::atomic<bool> ran{false};
        pool.callInThread([opener = std::unique_ptr<Opener>(new Opener{&opened}), &ran] { ran = true; });
        QVERIFY(pool.stop(forEver).empty());
        QVERIFY(done && !ran);
        QCOMPARE(pool.threads(), std::size_t(0));
        pool.callInThread([&] { ran = true; });
        QCOMPARE(pool.queued(), std::size_t(0));
    }

    void r088_stopNamesThoseItLeavesAndWhoAskedForTheirWork() {
        ThreadPool pool(0, 2, "hash");
        Occupied job(pool, 1);
        job.waitUntilStarted();
        const auto left = pool.stop(0s);
        QCOMPARE(left.size(), std::size_t(1));
        QVERIFY2(left[0].find("hash-0") == 0 && left[0].find("workers_test.cpp:") != std::string::npos, left[0].c_str());
    }

    void startedAgainItHasRoomInSpiteOfThoseThatWereLeft() {
        ThreadPool pool(0, 1);
        Occupied stuck(pool, 1);
        stuck.waitUntilStarted();
        QCOMPARE(pool.stop(0s).size(), std::size_t(1));
        pool.start();
        Occupied(pool, 1).waitUntilStarted();
        stuck.open();
        QVERIFY(pool.stop(forEver).empty());
    }

    void aPoolMayBeStoppedInItsOwnJob() {
        ThreadPool pool(0, 2);
        std::vector<std::string> left{"unknown"};
        std::atomic<bool> done{false};
        Occupied other(pool, 1);
        other.waitUntilStarted();
        std::latch stopping(1);
        const std::jthread opener([&] {
            stopping.wait();
            other.open();
        });
        pool.callInThread([&] {
            stopping.count_down();
            left = pool.stop(forEver);
            done = true;
        });
        until([&] { return done.load(); });
        QVERIFY(left.empty());
        QVERIFY(pool.stop(forEver).empty());
    }

    void twoJobsMayStopThePoolAtOnce() {
        ThreadPool pool(0, 2);
        std::latch both(2);
        std::atomic<int> done{0};
        for (int i = 0; i < 2; ++i)
            pool.callInThread([&] {
                both.arrive_and_wait();
                pool.stop(forEver);
                ++done;
            });
        until([&] { return done == 2; });
    }

    void aPoolMayDieInItsOwnJob() {
        auto pool = std::make_unique<ThreadPool>(0, 2);
        std::atomic<bool> done{false};
        pool->callInThread([&] {
            pool.reset();
            done = true;
        });
        until([&] { return done.load(); });
        QVERIFY(!pool);
    }

    void capturesMayComeBackWhileTheyDie() {
        ThreadPool pool(0, 1);
        struct Caller {
            ThreadPool* pool;
            ~Caller() { pool->callInThread([] {}); }
        };
        Occupied job(pool, 1);
        job.waitUntilStarted();
        pool.callInThread([caller = std::unique_ptr<Caller>(new Caller{&pool})] {});
        pool.stop(0s);
        QCOMPARE(pool.queued(), std::size_t(0));
    }

    void aJobMayEndItsThread() {
        ThreadPool pool(0, 1);
        const auto held = std::make_shared<int>();
        pool.callInThread([held] { pthread_exit(nullptr); });
        std::atomic<bool> ran{false};
        pool.callInThread([&] { ran = true; });
        until([&] { return ran.load(); });
        until([&] { return held.use_count() == 1; });
        QVERIFY(pool.stop(forEver).empty());
    }

private:
    std::unique_ptr<bine::LogRecorder> log_;
};

QTEST_GUILESS_MAIN(WorkersTest)
#include "workers_test.moc"
