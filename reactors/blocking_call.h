#pragma once
// blockingCallFromThread: a thread asks the reactor and waits for the answer.
//
//     const int users = bine::blockingCallFromThread(reactor, [&] { return connections.size(); });
//     std::string page = bine::blockingCallFromThread(reactor, [&] { return fetch(url); });    // waits for the Deferred
//
// For threads that have nothing else to do: workers of a pool, a thread of a library. Any thread but the reactor's. Cost: a few allocations, one wake-up of the
// loop, and one of the thread.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/mailbox.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0 {
namespace detail {

/// The thread's side: it waits until nothing of the call is left on the reactor's. So references to its locals are good for as long as somebody may use them.
class BINE_EXPORT WaitingCall : public BlockingCall {
public:
    WaitingCall() = default;
    ~WaitingCall() override;
    /// Posts the call and waits for its end. Throws std::logic_error on the reactor's thread, ReactorNotRunning if that has stopped.
    static void perform(Mailbox& mailbox, const std::shared_ptr<WaitingCall>& call);

    // --- Reactor's thread.

    void refuse() override { end(); }
    /// The last thing that happens to it on this thread: drops the function, wakes the other thread.
    void end() noexcept;

private:
    virtual void dropFunction() noexcept = 0;

    std::mutex mutex_;
    std::condition_variable ended_;
    bool isOver_ = false;  // guarded by mutex_
};

/// What the reactor's thread has of a call that has begun holds one of these; the last of them ends the call.
class BlockingCallUse {
public:
    explicit BlockingCallUse(std::shared_ptr<WaitingCall> call) noexcept : call_(std::move(call)) {}
    BlockingCallUse(const BlockingCallUse&) = delete;
    BlockingCallUse& operator=(const BlockingCallUse&) = delete;
    ~BlockingCallUse() { call_->end(); }

private:
    std::shared_ptr<WaitingCall> call_;
};

template <class F, class T>
class BlockingCallOf final : public WaitingCall, public std::enable_shared_from_this<BlockingCallOf<F, T>> {
public:
    template <class ForF>
    BlockingCallOf(Mailbox& mailbox, ForF&& f) : mailbox_(mailbox), f_(std::forward<ForF>(f)) {}

    void begin() override {
        const auto use = std::make_shared<BlockingCallUse>(this->shared_from_this());
        if constexpr (IsDeferred<std::remove_cvref_t<std::invoke_result_t<F&>>>::value) {
            Deferred<> began = succeed();
            began.ownedBy(mailbox_.blockingCalls());
            std::move(began).addCallback([this, use] { return (*f_)(); }).addBoth([this, use](Result<T> result) { result_.emplace(std::move(result)); });
        } else {
            Failure failure;
            if (!guarded(failure, [this] { result_.emplace(resultOf<T>(*f_)); })) result_.emplace(std::move(failure));
        }
    }
    /// The other thread, when the wait is over.
    T take() {
        if (!result_) throw ReactorNotRunning("blockingCallFromThread: the reactor has stopped, and not answered");
        return *std::move(*result_);
    }

private:
    void dropFunction() noexcept override { f_.reset(); }

    Mailbox& mailbox_;
    std::optional<F> f_;
    std::optional<Result<T>> result_;
};

}  // namespace detail

/// Runs f on the thread of the reactor whose mailbox this is (Reactor::mailbox(): for threads that may outlive the reactor), in a later turn, and waits. Returns
/// what f returns, or what the Deferred that it returns comes to; throws what that throws or fails with. When this returns, f and all that it began is over: it may
/// use what stands around the call by reference.
///
/// Throws std::logic_error on the reactor's own thread, which would wait for itself. Before the reactor runs, it waits for that. If it stops or dies before it has
/// answered: ReactorNotRunning, f unrun or what it waits for ended as by its owner's death; the same if it has stopped, until it runs again. A worker that waits
/// here does therefore not hold the shutdown of its pool up. A dialog that f opened does, up to the deadline: while f is on the stack nobody leaves.
template <class F>
auto blockingCallFromThread(const std::shared_ptr<detail::Mailbox>& mailbox, F&& f) {
    using Callable = std::decay_t<F>;
    using T = typename detail::NextType<std::remove_cvref_t<std::invoke_result_t<Callable&>>, void>::type;
    const auto call = std::make_shared<detail::BlockingCallOf<Callable, T>>(*mailbox, std::forward<F>(f));
    detail::WaitingCall::perform(*mailbox, call);
    return call->take();
}

/// The reactor must live until this has its mailbox.
template <class F>
auto blockingCallFromThread(const Reactor& reactor, F&& f) {
    return blockingCallFromThread(reactor.mailbox(), std::forward<F>(f));
}

}  // namespace bine::inline v0
