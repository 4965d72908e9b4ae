#pragma once
// ThreadPool: threads for blocking calls. deferToThread() is the way to use it.
//
// Its functions may be called on any thread unless said otherwise. Workers are made on demand, kept, and never hold the reactor: one that is
// stuck in a call cannot keep the program from ending (it is counted in the log and left after the shutdown deadline).

#include <cstddef>
#include <memory>

#include "bine/defer/clock.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT ThreadPool {
public:
    /// `most` workers at the most (at least 1).
    explicit ThreadPool(std::size_t most = 10);
    /// stop(zero): does not wait.
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Runs f on a worker; exceptions are logged. After stop() the job is destroyed unrun.
    void callInThread(Function<void()> f);
    /// Changes how many workers there may be. Fewer: workers that are idle or become so end.
    void adjustPoolsize(std::size_t most);
    /// No new work; queued jobs are destroyed; waits at most `deadline` for running ones. Returns how many still run (they are left, detached).
    std::size_t stop(Duration deadline);
    /// Accepts work again after stop().
    void start();

    std::size_t queued() const;
    std::size_t working() const;
    std::size_t threads() const;

    struct State;
    std::shared_ptr<State> state() const { return state_; }

private:
    std::shared_ptr<State> state_;
};

namespace detail {

/// A piece of work for a worker. Shared between the queue and whoever may withdraw it.
class BINE_EXPORT ThreadJob : public std::enable_shared_from_this<ThreadJob> {
public:
    virtual ~ThreadJob();
    /// Worker: does the work. Throws nothing.
    virtual void perform() = 0;
};
BINE_EXPORT void enqueueJob(ThreadPool& pool, std::shared_ptr<ThreadJob> job);
/// True if the job was still queued: then it is out of the queue, and dies with the caller's reference.
BINE_EXPORT bool withdrawJob(ThreadPool::State& pool, const ThreadJob& job);

}  // namespace detail
}  // namespace bine::inline v0
