#include "bine/reactors/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "bine/defer/errors.h"
#include "bine/log/log.h"
#include "bine/log/place.h"
#include "bine/reactors/fork.h"

namespace bine::inline v0 {
namespace detail {
namespace {

/// One of the threads. Shared: it may end before it is woken.
struct Worker {
    std::string name;
    bool called = false;                       // while idle: to look again
    bool left = false;                         // the pool has given it up
    std::optional<std::source_location> job;   // who asked for what it is at
    TimePoint since{};                         // when it began that
    std::condition_variable wakeUp;
};

thread_local const Worker* workerOfThisThread = nullptr;

TimePoint now() { return std::chrono::steady_clock::now(); }

TimePoint after(TimePoint begin, Duration duration) {
    return duration > (TimePoint::max)() - begin ? (TimePoint::max)() : begin + duration;
}

/// Waits for `condition`, for ever if the time is TimePoint::max(); false if the time came first.
template <class Condition>
bool waitUntil(std::condition_variable& variable, std::unique_lock<std::mutex>& lock, TimePoint time, Condition condition) {
    if (time != (TimePoint::max)()) return variable.wait_until(lock, time, condition);
    variable.wait(lock, condition);
    return true;
}

std::string inSeconds(Duration duration) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    std::string fraction = std::to_string(milliseconds % 1000);
    fraction.insert(0, 3 - fraction.size(), '0');
    return std::to_string(milliseconds / 1000) + "." + fraction + " s";
}

class PlainJob final : public ThreadJob {
public:
    PlainJob(Function<void()> f, std::source_location where) : ThreadJob(where), f_(std::move(f)) {}
    void perform() override {
        guarded("Unhandled error in a thread of the pool", f_);
        f_ = nullptr;
    }

private:
    Function<void()> f_;
};

}  // namespace

/// Shared with the workers, which are detached threads: a worker that is stuck outlives the pool, and the program's end need not wait for it.
class ThreadPoolState : public std::enable_shared_from_this<ThreadPoolState> {
public:
    enum class Life { onHold, running, stopped };
    using Queue = std::list<std::shared_ptr<ThreadJob>>;

    ThreadPoolState(std::size_t least, std::size_t most, std::string name) : least_(least), most_(most), name_(std::move(name)) {}

    /// In a child of fork(): none of its threads are here, and its lock may be taken.
    bool inherited() const noexcept { return forkGeneration() != process_; }
    void assertNotInherited(const char* what) const {
        if (inherited())
            throw std::logic_error(std::string(what) + ": this thread pool belongs to the parent process; a child of fork() makes a pool of its own");
    }

    void enqueue(std::shared_ptr<ThreadJob> job) {
        assertNotInherited("ThreadPool");
        std::unique_lock lock(mutex_);
        if (life_ == Life::stopped) return;  // `job` is a parameter: it dies after the lock is gone
        job->queuedAt_ = now();
        queue_.push_back(job);
        job->place_ = std::prev(queue_.end());
        try {
            const auto called = summon();
            lock.unlock();  // or the worker, which wakes at once, would find it taken and go back to sleep
            wake(called);
        } catch (const std::system_error&) {
            if (count() != 0) return;  // somebody will come to it
            takeOut(*job);
            lock.unlock();
            throw;
        }
    }
    bool withdraw(ThreadJob& job) {
        if (inherited()) return false;
        const std::lock_guard lock(mutex_);
        if (!job.place_) return false;
        takeOut(job);  // not the last reference: the caller holds one
        return true;
    }

    void start() {
        assertNotInherited("ThreadPool::start");
        const std::lock_guard lock(mutex_);
        life_ = Life::running;
        wake(summon());
    }
    void hold() {
        if (inherited()) return;
        const std::lock_guard lock(mutex_);
        if (life_ == Life::stopped) life_ = Life::onHold;
    }
    std::vector<std::string> stop(Duration deadline);

    void adjust(std::size_t least, std::size_t most) {
        assertNotInherited("ThreadPool::adjustPoolsize");
        const std::lock_guard lock(mutex_);
        least_ = least;
        most_ = most;
        callAll();
        if (life_ == Life::running) wake(summon());
    }
    void setIdleTime(Duration time) {
        assertNotInherited("ThreadPool::setIdleTime");
        const std::lock_guard lock(mutex_);
        idleTime_ = time;
        callAll();
    }
    std::pair<std::size_t, std::size_t> limits() const {
        const std::lock_guard lock(mutex_);
        return {least_, most_};
    }
    ThreadPoolStats stats() const;
    std::vector<std::string> atWork() const {
        const std::lock_guard lock(mutex_);
        return describeWorkers();
    }
    const std::string& name() const noexcept { return name_; }

private:
    class Membership;

    static void work(const std::shared_ptr<ThreadPoolState>& state, unsigned number);
    void startWorker();
    [[nodiscard]] std::shared_ptr<Worker> summon();
    bool waitForWork(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Worker>& worker);
    void perform(std::unique_lock<std::mutex>& lock, Worker& worker);
    bool mustEnd(const Worker& worker) const { return worker.left || life_ != Life::running || count() > most_; }
    std::size_t count() const { return workers_.size() + starting_; }
    void takeOut(ThreadJob& job) {
        queue_.erase(*job.place_);
        job.place_.reset();
    }
    void call(Worker& worker) {
        worker.called = true;
        ++coming_;
    }
    static void wake(const std::shared_ptr<Worker>& worker) {
        if (worker) worker->wakeUp.notify_one();
    }
    void callAll() {
        for (const auto& worker : std::exchange(idle_, {})) {
            call(*worker);
            wake(worker);
        }
    }
    /// What those do that have a job, but for the caller.
    std::vector<std::string> describeWorkers() const;

    mutable std::mutex mutex_;  // guards all of it
    std::condition_variable workerLeft_;
    Queue queue_;
    std::vector<Worker*> workers_;  // those that have begun
    std::size_t starting_ = 0;      // threads that have not
    std::vector<std::shared_ptr<Worker>> idle_;  // the last one was busy last
    std::size_t coming_ = 0;        // called or starting: they will look at the queue
    std::size_t inStop_ = 0;        // workers that wait in stop()
    std::size_t least_;
    std::size_t most_;
    Duration idleTime_ = std::chrono::seconds(10);
    unsigned started_ = 0;
    Life life_ = Life::onHold;
    const std::string name_;
    const unsigned process_ = forkGeneration();
};

/// A thread is a worker for as long as this lives, however it ends.
class ThreadPoolState::Membership {
public:
    Membership(ThreadPoolState& pool, Worker& worker) : pool_(pool), worker_(worker) {
        workerOfThisThread = &worker;
        const std::lock_guard lock(pool.mutex_);
        --pool.starting_;
        pool.workers_.push_back(&worker);
    }
    ~Membership() {
        workerOfThisThread = nullptr;
        const std::lock_guard lock(pool_.mutex_);
        if (worker_.left) return;
        std::erase(pool_.workers_, &worker_);
        try {
            wake(pool_.summon());  // it may leave room for another
        } catch (const std::system_error&) {
            // The other workers come to what waits, or the next enqueue() tries again.
        }
        pool_.workerLeft_.notify_all();
    }
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

private:
    ThreadPoolState& pool_;
    Worker& worker_;
};

// Enough workers for what waits, as far as there may be: one that was busy a moment ago, else a new one. Returns one that the caller is to wake.
std::shared_ptr<Worker> ThreadPoolState::summon() {
    std::shared_ptr<Worker> called;
    if (life_ != Life::running) return called;
    while (count() < least_) startWorker();
    while (queue_.size() > coming_) {
        if (!idle_.empty()) {
            wake(called);
            called = std::move(idle_.back());
            idle_.pop_back();
            call(*called);
        } else if (count() < most_) {
            wake(std::exchange(called, nullptr));  // should no thread be had
            startWorker();
        } else {
            break;
        }
    }
    return called;
}

// Signals are for the application's threads.
void ThreadPoolState::startWorker() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread([state = shared_from_this(), number = started_] { work(state, number); }).detach();
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ++started_;
    ++starting_;  // it waits for the lock
    ++coming_;
}

void ThreadPoolState::work(const std::shared_ptr<ThreadPoolState>& state, unsigned number) {
    const auto me = std::make_shared<Worker>();
    const std::string suffix = "-" + std::to_string(number);
    me->name = state->name_.substr(0, 15 - (std::min<std::size_t>)(suffix.size(), 15)) + suffix;
    pthread_setname_np(pthread_self(), me->name.substr(0, 15).c_str());
    const Membership membership(*state, *me);
    std::unique_lock lock(state->mutex_);
    do {
        --state->coming_;
        while (!state->queue_.empty() && !state->mustEnd(*me)) state->perform(lock, *me);
    } while (!state->mustEnd(*me) && state->waitForWork(lock, me));
}

void ThreadPoolState::perform(std::unique_lock<std::mutex>& lock, Worker& worker) {
    std::shared_ptr<ThreadJob> job = std::move(queue_.front());
    takeOut(*job);
    worker.job = job->where_;
    worker.since = now();
    lock.unlock();
    {
        const LogScope scope(job->context_);
        job->perform();
    }
    job.reset();  // a worker keeps nothing of a job that is done
    lock.lock();
    worker.job.reset();
}

// False if the worker has been idle for long enough.
bool ThreadPoolState::waitForWork(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Worker>& worker) {
    const auto called = [&] { return worker->called; };
    idle_.push_back(worker);
    const TimePoint limit = count() > least_ ? after(now(), idleTime_) : (TimePoint::max)();
    if (!waitUntil(worker->wakeUp, lock, limit, called)) {
        if (count() > least_) {
            std::erase(idle_, worker);
            return false;
        }
        worker->wakeUp.wait(lock, called);
    }
    worker->called = false;
    return true;
}

std::vector<std::string> ThreadPoolState::stop(Duration deadline) {
    if (inherited()) return {};
    const TimePoint began = now();
    Queue unrun;
    std::unique_lock lock(mutex_);
    life_ = Life::stopped;
    for (const auto& job : queue_) job->place_.reset();
    unrun.swap(queue_);
    callAll();
    lock.unlock();
    unrun.clear();  // may run user code
    lock.lock();

    // A job that waits for its own pool waits for the others.
    const bool inJob = std::find(workers_.begin(), workers_.end(), workerOfThisThread) != workers_.end();
    inStop_ += inJob;
    workerLeft_.notify_all();
    // Whoever starts the pool again meanwhile wants its workers.
    const auto gone = [this] { return count() <= inStop_ || life_ != Life::stopped; };
    waitUntil(workerLeft_, lock, after(began, deadline), gone);
    inStop_ -= inJob;
    if (life_ != Life::stopped) return {};
    // They end when their jobs do; what the pool does by then is no business of theirs.
    std::vector<std::string> left = describeWorkers();
    for (Worker* worker : workers_)
        if (worker->job && worker != workerOfThisThread) worker->left = true;
    std::erase_if(workers_, [](const Worker* worker) { return worker->left; });
    return left;
}

ThreadPoolStats ThreadPoolState::stats() const {
    const std::lock_guard lock(mutex_);
    const TimePoint at = now();
    ThreadPoolStats stats;
    stats.threads = count();
    stats.idle = idle_.size();
    stats.working = stats.threads - stats.idle;
    stats.queued = queue_.size();
    if (!queue_.empty()) stats.longestWait = at - queue_.front()->queuedAt_;
    for (const Worker* worker : workers_)
        if (worker->job) stats.longestWork = (std::max)(stats.longestWork, at - worker->since);
    return stats;
}

std::vector<std::string> ThreadPoolState::describeWorkers() const {
    std::vector<std::string> all;
    for (const Worker* worker : workers_)
        if (worker->job && worker != workerOfThisThread)
            all.push_back(worker->name + ", for " + inSeconds(now() - worker->since) + " at the job" + placeAfter("that was asked for at", *worker->job));
    return all;
}

ThreadJob::~ThreadJob() = default;

void enqueueJob(ThreadPoolState& pool, std::shared_ptr<ThreadJob> job) { pool.enqueue(std::move(job)); }

bool withdrawJob(ThreadPoolState& pool, ThreadJob& job) { return pool.withdraw(job); }

}  // namespace detail

static void checkLimits(std::size_t least, std::size_t most) {
    if (most == 0) throw std::invalid_argument("ThreadPool: a pool needs at least one thread");
    if (least > most) throw std::invalid_argument("ThreadPool: the least number of threads is above the most");
}

ThreadPool::ThreadPool() : ThreadPool(0, 10) {}

ThreadPool::ThreadPool(std::size_t least, std::size_t most, std::string name) {
    checkLimits(least, most);
    state_ = std::make_shared<detail::ThreadPoolState>(least, most, std::move(name));
    try {
        state_->start();
    } catch (...) {
        state_->stop(Duration::zero());
        throw;
    }
}

ThreadPool::ThreadPool(OnHold) : state_(std::make_shared<detail::ThreadPoolState>(0, 10, "bine")) {}

ThreadPool::~ThreadPool() {
    if (state_->inherited())
        detail::keepForever(state_);
    else
        stop(Duration::zero());
}

void ThreadPool::enqueue(Function<void()> f, std::source_location where) {
    detail::enqueueJob(*state_, std::make_shared<detail::PlainJob>(std::move(f), where));
}

void ThreadPool::adjustPoolsize(std::size_t least, std::size_t most) {
    checkLimits(least, most);
    state_->adjust(least, most);
}

void ThreadPool::setIdleTime(Delay time) {
    if (time.value() < Duration::zero()) throw std::invalid_argument("setIdleTime: the time is negative");
    state_->setIdleTime(time.value());
}

std::size_t ThreadPool::least() const { return state_->limits().first; }

std::size_t ThreadPool::most() const { return state_->limits().second; }

std::vector<std::string> ThreadPool::stop(Delay deadline) {
    const std::shared_ptr<detail::ThreadPoolState> state = state_;  // what runs here may destroy the pool
    return state->stop(deadline.value());
}

void ThreadPool::start() { state_->start(); }

void ThreadPool::hold() { state_->hold(); }

ThreadPoolStats ThreadPool::stats() const { return state_->stats(); }

void ThreadPool::dumpStats() const {
    static const Logger log("bine.threads");
    const ThreadPoolStats stats = this->stats();
    log.info("Threads of '" + state_->name() + "': " + std::to_string(stats.working) + " at work, " + std::to_string(stats.idle) + " idle; " +
             std::to_string(stats.queued) + " jobs wait, the oldest for " + detail::inSeconds(stats.longestWait));
    for (const std::string& worker : state_->atWork()) log.info("Thread " + worker);
}

}  // namespace bine::inline v0
