#pragma once
// ThreadPool: threads for blocking calls. Each reactor has one (Reactor::threadPool()), and deferToThread() is the way to use it.
//
// Its functions may be called on any thread, in jobs of the pool too. A worker is started when a job finds none idle, and ends when it was idle for a while; an
// idle one sleeps until there is work for it. Workers never hold a program: one that is stuck in a call is left when stop() has waited long enough. They have
// names, which debuggers and top show, and all signals are blocked in them. Cost of a job: a few allocations, a lock, and the wake-up of the worker.

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "bine/defer/clock.h"
#include "bine/defer/failure.h"
#include "bine/defer/function.h"
#include "bine/defer/fwd.h"
#include "bine/defer/result.h"
#include "bine/log/context.h"
#include "bine/log/export.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0 {

/// What a pool does at this moment: for "why does my program wait?".
struct ThreadPoolStats {
    std::size_t threads = 0;   ///< working + idle
    std::size_t working = 0;   ///< at a job, or on the way to one
    std::size_t idle = 0;
    std::size_t queued = 0;    ///< jobs that wait for a worker
    Duration longestWait{};    ///< for how long the oldest of these has waited
    Duration longestWork{};    ///< for how long the slowest worker has been at its job
};

namespace detail {
class ThreadJob;
class ThreadPoolState;
}  // namespace detail

class BINE_EXPORT ThreadPool {
public:
    /// No worker yet, ten at the most.
    ThreadPool();
    /// Keeps `least` workers, from now on, and has never more than `most`, which is at least 1. They are called name-0, name-1 and so on, of which the system shows
    /// 15 characters: long names are cut before the number. Throws std::invalid_argument; std::system_error if a thread cannot be had.
    ThreadPool(std::size_t least, std::size_t most, std::string name = "bine");
    /// stop(zero): does not wait.
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Runs f on a worker; exceptions are logged. After stop() f is destroyed unrun, here. Throws std::system_error if there is no worker and none can be had.
    template <class F>
    void callInThread(F&& f, std::source_location where = std::source_location::current()) {
        constexpr auto verdict = detail::laterCall<F>;
        static_assert(verdict != detail::LaterCall::impossible, "callInThread: this callable takes arguments: write [=] { f(argument); }");
        static_assert(verdict != detail::LaterCall::defers,
                      "callInThread: the callable returns a Deferred, which may not be made on another thread: write blockingCallFromThread() in it");
        if constexpr (verdict == detail::LaterCall::possible) enqueue(Function<void()>(std::forward<F>(f)), where);
    }
    /// The same; then calls onResult(Result<R>) with what f returned or threw, on the same worker, when f and its captures are gone. What onResult throws is
    /// logged. A job that is destroyed unrun reports nothing.
    template <class OnResult, class F>
    void callInThreadWithCallback(OnResult&& onResult, F&& f, std::source_location where = std::source_location::current());

    /// How many workers there are always, and at the most. With fewer than before those that are too many end as soon as they are idle, with more the queue gets
    /// them at once. Throws as the constructor does.
    void adjustPoolsize(std::size_t least, std::size_t most);
    /// How long a worker beyond the least is kept when it has nothing to do: 10 s unless set; Duration::max() is for ever. Of several idle ones the one that was
    /// busy last is called first, so that those that are not needed can end.
    void setIdleTime(Delay time);
    std::size_t least() const;
    std::size_t most() const;

    /// Takes no more work, destroys queued jobs, and waits until the workers are done, or until `deadline` has passed; Duration::max() is for ever. Then it leaves
    /// them alone. Returns who that is and what they do: a line for each, for people. Inside a job it does not wait for that job.
    std::vector<std::string> stop(Delay deadline);
    /// Takes work again after stop().
    void start();

    ThreadPoolStats stats() const;
    /// Logs the stats, and what each worker is at, as "bine.threads", level info.
    void dumpStats() const;
    std::size_t queued() const { return stats().queued; }
    std::size_t working() const { return stats().working; }
    std::size_t threads() const { return stats().threads; }

    // --- For the rooms of this library.

    struct OnHold {};
    /// A pool that queues until start().
    explicit ThreadPool(OnHold);
    /// After stop(): queues until start().
    void hold();
    const std::shared_ptr<detail::ThreadPoolState>& state() const { return state_; }

private:
    void enqueue(Function<void()> f, std::source_location where);

    std::shared_ptr<detail::ThreadPoolState> state_;
};

namespace detail {

/// A piece of work for a worker. Shared between the queue and whoever may withdraw it.
class BINE_EXPORT ThreadJob : public std::enable_shared_from_this<ThreadJob> {
public:
    /// `where`: who asked for it.
    explicit ThreadJob(std::source_location where) : where_(where), context_(LogContext::current()) {}
    virtual ~ThreadJob();
    ThreadJob(const ThreadJob&) = delete;
    ThreadJob& operator=(const ThreadJob&) = delete;

    /// Worker: does the work. Throws nothing.
    virtual void perform() = 0;

private:
    friend class ThreadPoolState;

    std::source_location where_;
    LogContext context_;  // what is logged on the worker carries the prefix of who asked
    TimePoint queuedAt_{};
    std::optional<std::list<std::shared_ptr<ThreadJob>>::iterator> place_;  // in the queue; guarded by the pool's lock
};

BINE_EXPORT void enqueueJob(ThreadPoolState& pool, std::shared_ptr<ThreadJob> job);
/// True if the job was still queued: then it is out of the queue, and dies with the caller's reference.
BINE_EXPORT bool withdrawJob(ThreadPoolState& pool, ThreadJob& job);

/// What f() returns or throws.
template <class T, class F>
Result<T> resultOfCall(F& f) {
    try {
        if constexpr (std::is_void_v<T>) {
            f();
            return {};
        } else {
            return f();
        }
    } catch (...) {
        return Result<T>(failureOfCurrentException());
    }
}

template <class OnResult, class F>
class ReportingThreadJob final : public ThreadJob {
public:
    template <class ForOnResult, class ForF>
    ReportingThreadJob(ForOnResult&& onResult, ForF&& f, std::source_location where)
        : ThreadJob(where), onResult_(std::forward<ForOnResult>(onResult)), f_(std::forward<ForF>(f)) {}

    void perform() override {
        using T = std::invoke_result_t<F&>;
        Result<T> result = resultOfCall<T>(*f_);
        f_.reset();
        guarded("Unhandled error in what a thread's job reports to", [&] { (*onResult_)(std::move(result)); });
        onResult_.reset();
    }

private:
    std::optional<OnResult> onResult_;
    std::optional<F> f_;
};

}  // namespace detail

template <class OnResult, class F>
void ThreadPool::callInThreadWithCallback(OnResult&& onResult, F&& f, std::source_location where) {
    using T = std::invoke_result_t<std::decay_t<F>&>;
    static_assert(!detail::IsDeferred<T>::value, "callInThreadWithCallback: the function runs on another thread, where no Deferred may be made");
    static_assert(std::is_invocable_v<std::decay_t<OnResult>&, Result<T>>, "callInThreadWithCallback: onResult must take a Result<R>, R being what f returns");
    using Job = detail::ReportingThreadJob<std::decay_t<OnResult>, std::decay_t<F>>;
    detail::enqueueJob(*state_, std::make_shared<Job>(std::forward<OnResult>(onResult), std::forward<F>(f), where));
}

}  // namespace bine::inline v0
