#include "bine/reactors/thread_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <stdexcept>
#include <thread>

#include "bine/reactors/activity.h"

namespace bine::inline v0 {

/// Shared with the workers, which are detached threads: a worker that is stuck outlives the pool, and the program's end need not wait for it.
struct ThreadPool::State {
    std::mutex mutex;
    std::condition_variable workOrEnd;
    std::condition_variable workerLeft;
    std::deque<std::shared_ptr<detail::ThreadJob>> queue;
    std::size_t most = 10;
    std::size_t threads = 0;
    std::size_t idle = 0;
    bool stopped = false;
};

namespace detail {
namespace {

class PlainJob final : public ThreadJob {
public:
    explicit PlainJob(Function<void()> f) : f_(std::move(f)) {}
    void perform() override {
        guarded("Unhandled error in a thread of the pool", f_);
        f_ = nullptr;
    }

private:
    Function<void()> f_;
};

void work(const std::shared_ptr<ThreadPool::State>& state) {
    std::unique_lock lock(state->mutex);
    for (;;) {
        ++state->idle;
        state->workOrEnd.wait(lock, [&] { return !state->queue.empty() || state->stopped || state->threads > state->most; });
        --state->idle;
        if (state->queue.empty()) break;
        std::shared_ptr<ThreadJob> job = std::move(state->queue.front());
        state->queue.pop_front();
        lock.unlock();
        job->perform();
        job.reset();  // a worker keeps nothing of a job that is done
        lock.lock();
        if (state->threads > state->most) break;
    }
    --state->threads;
    state->workerLeft.notify_all();
}

}  // namespace

ThreadJob::~ThreadJob() = default;

void enqueueJob(ThreadPool& pool, std::shared_ptr<ThreadJob> job) {
    const auto state = pool.state();
    const std::lock_guard lock(state->mutex);
    if (state->stopped) return;  // `job` is a parameter: it dies after the lock is gone
    state->queue.push_back(std::move(job));
    if (state->queue.size() > state->idle && state->threads < state->most) {
        ++state->threads;
        try {
            std::thread([state] { work(state); }).detach();
        } catch (...) {
            --state->threads;
            if (state->threads == 0) {
                state->queue.pop_back();
                throw;
            }
        }
    }
    state->workOrEnd.notify_one();
}

bool withdrawJob(ThreadPool::State& pool, const ThreadJob& job) {
    const std::lock_guard lock(pool.mutex);
    const auto found = std::find_if(pool.queue.begin(), pool.queue.end(), [&](const auto& queued) { return queued.get() == &job; });
    if (found == pool.queue.end()) return false;
    pool.queue.erase(found);  // not the last reference: the caller holds one
    return true;
}

}  // namespace detail

ThreadPool::ThreadPool(std::size_t most) : state_(std::make_shared<State>()) {
    if (most == 0) throw std::invalid_argument("ThreadPool: a pool needs at least one thread");
    state_->most = most;
}

ThreadPool::~ThreadPool() { stop(Duration::zero()); }

void ThreadPool::callInThread(Function<void()> f) { detail::enqueueJob(*this, std::make_shared<detail::PlainJob>(std::move(f))); }

void ThreadPool::adjustPoolsize(std::size_t most) {
    if (most == 0) throw std::invalid_argument("ThreadPool: a pool needs at least one thread");
    const std::lock_guard lock(state_->mutex);
    state_->most = most;
    state_->workOrEnd.notify_all();
}

std::size_t ThreadPool::stop(Duration deadline) {
    std::deque<std::shared_ptr<detail::ThreadJob>> unrun;
    std::unique_lock lock(state_->mutex);
    state_->stopped = true;
    unrun.swap(state_->queue);
    state_->workOrEnd.notify_all();
    const auto gone = [this] { return state_->threads == 0; };
    if (deadline == Duration::max())
        state_->workerLeft.wait(lock, gone);
    else
        state_->workerLeft.wait_for(lock, deadline, gone);
    const std::size_t left = state_->threads - state_->idle;  // an idle one ends as soon as it gets the lock
    lock.unlock();
    return left;
}

void ThreadPool::start() {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = false;
}

std::size_t ThreadPool::queued() const {
    const std::lock_guard lock(state_->mutex);
    return state_->queue.size();
}

std::size_t ThreadPool::working() const {
    const std::lock_guard lock(state_->mutex);
    return state_->threads - state_->idle;
}

std::size_t ThreadPool::threads() const {
    const std::lock_guard lock(state_->mutex);
    return state_->threads;
}

}  // namespace bine::inline v0
