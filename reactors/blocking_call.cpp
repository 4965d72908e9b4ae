#include "bine/reactors/blocking_call.h"

#include <stdexcept>

namespace bine::inline v0::detail {

WaitingCall::~WaitingCall() = default;

void WaitingCall::perform(Mailbox& mailbox, const std::shared_ptr<WaitingCall>& call) {
    if (mailbox.isHome()) throw std::logic_error("blockingCallFromThread: this is the reactor's own thread, which would wait for itself; call the function");
    if (!mailbox.postBlocking(call)) throw ReactorNotRunning("blockingCallFromThread: the reactor has stopped");
    std::unique_lock lock(call->mutex_);
    call->ended_.wait(lock, [&] { return call->isOver_; });
}

void WaitingCall::end() noexcept {
    dropFunction();
    const std::lock_guard lock(mutex_);
    isOver_ = true;
    ended_.notify_one();
}

}  // namespace bine::inline v0::detail
