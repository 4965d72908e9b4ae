#include "bine/reactors/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace bine::inline v0::detail {

BlockingCall::~BlockingCall() = default;

Mailbox::Mailbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    owners_->addWaker(*this);
}

Mailbox::~Mailbox() {
    owners_->removeWaker(*this);
    if (fd_ >= 0) ::close(fd_);
}

void Mailbox::ownersDied() noexcept {
    post([] { endDeadOwners(); });
}

// Not under the lock: the reactor, which wakes at once, would find it taken and go back to sleep.
void Mailbox::raise(std::unique_lock<std::mutex> lock) {
    if (std::exchange(readable_, true)) return;
    lock.unlock();
    const std::uint64_t one = 1;
    while (::write(fd_, &one, sizeof one) < 0 && errno == EINTR) {}
}

void Mailbox::closeInherited() noexcept {
    closed_ = true;
    ::close(std::exchange(fd_, -1));
}

bool Mailbox::post(Function<void()> call) {
    if (inherited_) return false;
    std::unique_lock lock(mutex_);
    if (closed_) return false;  // `call` is a parameter: it dies after the lock is gone
    incoming_.push_back(std::move(call));
    posted_.store(true, std::memory_order_release);
    raise(std::move(lock));
    return true;
}

bool Mailbox::postBlocking(const std::shared_ptr<BlockingCall>& call) {
    if (inherited_) return false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_ || refusing_) return false;
        blocking_.push_back(call);
    }
    post([this, call] {
        {
            const std::lock_guard lock(mutex_);
            if (std::erase(blocking_, call) == 0) return;  // it has been refused
        }
        call->begin();
    });
    return true;  // if it has been closed meanwhile, the call has been refused
}

void Mailbox::refuseThreads() {
    if (inherited_) return;
    blockingCalls_.cancel();
    std::vector<std::shared_ptr<BlockingCall>> refused;
    {
        const std::lock_guard lock(mutex_);
        refusing_ = true;
        refused.swap(blocking_);
    }
    for (const auto& call : refused) call->refuse();
}

void Mailbox::answerThreads() {
    const std::lock_guard lock(mutex_);
    refusing_ = false;
}

void Mailbox::wake() {
    if (inherited_) return;
    std::unique_lock lock(mutex_);
    if (!closed_) raise(std::move(lock));
}

std::size_t Mailbox::collect() {
    if (posted_.load(std::memory_order_acquire)) {
        const std::lock_guard lock(mutex_);
        for (auto& call : incoming_) taken_.push_back(std::move(call));
        incoming_.clear();
        posted_.store(false, std::memory_order_release);
    }
    return taken_.size();
}

Function<void()> Mailbox::take() {
    Function<void()> call = std::move(taken_.front());
    taken_.pop_front();
    return call;
}

void Mailbox::acknowledge() {
    if (inherited_) return;
    const std::lock_guard lock(mutex_);
    if (!readable_ || !incoming_.empty() || !taken_.empty()) return;
    std::uint64_t count = 0;
    ssize_t got = 0;
    while ((got = ::read(fd_, &count, sizeof count)) < 0 && errno == EINTR) {}
    readable_ = got < 0;  // it will be: somebody is about to write
}

void Mailbox::close() {
    owners_->removeWaker(*this);
    refuseThreads();
    std::vector<Function<void()>> incoming;
    std::deque<Function<void()>> taken;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        incoming.swap(incoming_);
        posted_.store(false, std::memory_order_release);
    }
    taken.swap(taken_);
    waiting_.die();
}

}  // namespace bine::inline v0::detail
