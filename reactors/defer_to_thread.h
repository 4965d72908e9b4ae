#pragma once
// deferToThread: the one door for blocking calls.
//
//     bine::deferToThread(reactor, [path](std::stop_token stop) { return hashOf(path, stop); })
//         .ownedBy(this)
//         .addCallback([this](Digest digest) { show(digest); });
//
// Called on the reactor's thread; the function runs on a worker of the reactor's pool, its result or exception comes home in a later turn. Cost: three
// allocations, one wake-up of the loop.

#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/errors.h"
#include "bine/defer/mistakes.h"
#include "bine/defer/owner.h"
#include "bine/reactors/mailbox.h"
#include "bine/reactors/reactor.h"
#include "bine/reactors/thread_pool.h"

namespace bine::inline v0 {
namespace detail {

template <class F>
struct ThreadResult : std::invoke_result<F&> {};
template <class F>
    requires std::is_invocable_v<F&, std::stop_token>
struct ThreadResult<F> : std::invoke_result<F&, std::stop_token> {};

/// The end of a job that stays on the loop's thread: made, fired and destroyed there, whatever the worker does meanwhile.
template <class T>
class ThreadAnswer final : public Owned {
public:
    ThreadAnswer(Resolver<T>&& resolver, Mailbox& home) : resolver_(std::move(resolver)) { home.waiting().add(*this); }
    void fire(Result<T>&& result) {
        const std::unique_ptr<ThreadAnswer> self(this);
        unlink();
        if (!resolver_.called()) resolver_.callback(std::move(result));
    }

private:
    void ownerDied() override { delete this; }

    Resolver<T> resolver_;
};

template <class F, class T>
class DeferredThreadJob final : public ThreadJob {
public:
    DeferredThreadJob(F&& f, std::shared_ptr<Mailbox> home, std::source_location where)
        : ThreadJob(where), f_(std::move(f)), home_(std::move(home)) {}
    /// Unrun: the answer goes, if the mailbox has not ended it already.
    ~DeferredThreadJob() override {
        if (!answer_) return;
        if (home_->isHome()) {
            if (!home_->closed()) delete answer_;
        } else {
            home_->post([answer = answer_] { delete answer; });
        }
    }

    std::stop_source stop;

    /// Loop's thread, before the job is enqueued.
    void setAnswer(Resolver<T>&& resolver) { answer_ = new ThreadAnswer<T>(std::move(resolver), *home_); }

    void perform() override {
        const auto call = [this]() -> T { return run(); };
        result_.emplace(resultOfCall<T>(call));
        f_.reset();  // the captures die here, on the worker, before anybody sees the result
        home_->post([answer = std::exchange(answer_, nullptr), self = std::static_pointer_cast<DeferredThreadJob>(shared_from_this())] {
            Result<T> result = std::move(*self->result_);
            self->result_.reset();  // the worker may be the last to let go of the job
            answer->fire(std::move(result));
        });
    }

private:
    T run() {
        if constexpr (std::is_invocable_v<F&, std::stop_token>)
            return (*f_)(stop.get_token());
        else
            return (*f_)();
    }

    std::optional<F> f_;
    std::optional<Result<T>> result_;
    std::shared_ptr<Mailbox> home_;
    ThreadAnswer<T>* answer_ = nullptr;  // followed on the loop's thread only; the mailbox ends it should it close first
};

enum class ThreadCall { possible, impossible, defers };
template <class F>
constexpr ThreadCall threadCallOf() {
    if constexpr (!std::is_invocable_v<F&> && !std::is_invocable_v<F&, std::stop_token>)
        return ThreadCall::impossible;
    else
        return IsDeferred<typename ThreadResult<F>::type>::value ? ThreadCall::defers : ThreadCall::possible;
}
template <class F>
inline constexpr ThreadCall threadCall = threadCallOf<F>();

template <class F>
auto startInThread(Reactor& reactor, ThreadPool& pool, F&& f, std::source_location where) {
    using Callable = std::decay_t<F>;
    using T = typename ThreadResult<Callable>::type;
    using Job = DeferredThreadJob<Callable, T>;

    auto home = reactor.mailbox();
    if (!home->isHome()) throwMisuse("deferToThread: this is not the reactor's thread, to which the Deferred would belong; see blockingCallFromThread()");
    auto job = std::make_shared<Job>(Callable(std::forward<F>(f)), std::move(home), where);
    Resolver<T> resolver([weak = std::weak_ptr<Job>(job), state = std::weak_ptr<ThreadPoolState>(pool.state())](Resolver<T>& answer) {
        const auto running = weak.lock();  // until it has fired: a job that was still queued dies here, with its captures
        if (!running) return;
        running->stop.request_stop();
        if (const auto workers = state.lock()) withdrawJob(*workers, *running);
        answer.errback(CancelledError());
    }, where);
    DeferredFor<T, Callable> deferred(resolver.deferred(where));
    job->setAnswer(std::move(resolver));
    enqueueJob(*pool.state(), job);
    return deferred;
}

}  // namespace detail

/// Runs f() or f(std::stop_token) on a worker. Cancelling the Deferred (or its owner's death) takes a job that still waits out of the queue; one that
/// runs sees its stop token, and its result is dropped. If the pool stops first it fails with AbandonedError. f must not touch what belongs to the reactor's
/// thread; its captures die on the worker before the result is seen, those of a job that was taken back on the reactor's thread.
template <class F>
auto deferToThread(Reactor& reactor, ThreadPool& pool, F&& f, std::source_location where = std::source_location::current()) {
    constexpr auto verdict = detail::threadCall<std::decay_t<F>>;
    static_assert(verdict != detail::ThreadCall::impossible,
                  "deferToThread: the function takes nothing or a std::stop_token: capture by value what it needs: write [value] { return f(value); }");
    static_assert(verdict != detail::ThreadCall::defers,
                  "deferToThread: the function runs on another thread and returns a plain value, not a Deferred: to wait for a Deferred there, write "
                  "blockingCallFromThread(reactor, f)");
    if constexpr (verdict == detail::ThreadCall::possible)
        return detail::startInThread(reactor, pool, std::forward<F>(f), where);
    else
        return detail::Refused();
}

/// On the reactor's own pool.
template <class F>
auto deferToThread(Reactor& reactor, F&& f, std::source_location where = std::source_location::current()) {
    return deferToThread(reactor, reactor.threadPool(), std::forward<F>(f), where);
}

}  // namespace bine::inline v0
