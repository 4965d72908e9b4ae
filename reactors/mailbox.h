#pragma once
// Mailbox: how other threads reach a reactor's thread. Internal, but for users of Reactor::mailbox().
//
// Shared and thread-safe. It outlives the reactor: once closed, what is posted is destroyed on the poster's thread and post() says so.
// Cost: one lock; one eventfd write per batch.

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bine/defer/function.h"
#include "bine/defer/owner.h"
#include "bine/defer/owner_home.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// A call whose caller, on another thread, waits for its end. See blocking_call.h.
class BINE_EXPORT BlockingCall {
public:
    virtual ~BlockingCall();
    // Reactor's thread, one of them, once.
    virtual void begin() = 0;
    virtual void refuse() = 0;
};

class BINE_EXPORT Mailbox final : private OwnerHome::Waker {
public:
    /// Makes the eventfd; throws std::system_error.
    Mailbox();
    ~Mailbox() override;
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// Any thread. False, and `call` destroyed, once closed.
    bool post(Function<void()> call);
    /// Any thread but the reactor's: as post() of call->begin(). False, and nothing more comes of it, if the reactor has stopped or is gone; should it stop before
    /// the call's turn comes, refuse() is called instead.
    bool postBlocking(const std::shared_ptr<BlockingCall>& call);
    /// Any thread: makes the descriptor readable.
    void wake();
    /// Any thread: whether this is the reactor's.
    bool isHome() const noexcept { return home_ == std::this_thread::get_id(); }

    // --- Reactor's thread.

    int fd() const noexcept { return fd_; }
    /// How many calls wait; takes over what has been posted.
    std::size_t collect();
    /// How many calls were taken over and wait.
    std::size_t collected() const noexcept { return taken_.size(); }
    /// The oldest call. REQUIRES: collect() said there is one. Call acknowledge() before running it.
    Function<void()> take();
    /// Quietens the descriptor if no call is queued. For a turn that has seen to everything else that wake() may have been for.
    void acknowledge();
    bool empty() const noexcept { return taken_.empty() && !posted_.load(std::memory_order_acquire); }
    /// Ends what waits for an answer from another thread when the mailbox is closed: on this thread, while the other one still works.
    OwnerHook& waiting() noexcept { return waiting_; }
    /// Owns what blocking calls have begun.
    Scope& blockingCalls() noexcept { return blockingCalls_; }
    /// The reactor stops: ends what blocking calls have begun, refuses those that wait for their turn, and those that come.
    void refuseThreads();
    /// It starts: they are welcome, as at first.
    void answerThreads();
    /// Destroys what waits and refuses what comes.
    void close();
    bool closed() const noexcept { return closed_; }

    // --- In a child of fork(), on its only thread: nothing reaches the parent from here on, and no lock is taken, which another thread may have held.
    void forked() noexcept { inherited_ = true; }
    void closeInherited() noexcept;

private:
    void ownersDied() noexcept override;
    void raise(std::unique_lock<std::mutex> lock);

    std::mutex mutex_;
    std::vector<Function<void()>> incoming_;  // guarded by mutex_
    bool inherited_ = false;                  // changed where there is no other thread
    bool closed_ = false;                     // guarded by mutex_; changed on the reactor's thread only
    bool refusing_ = false;                   // guarded by mutex_: there is nobody to answer blocking calls
    std::vector<std::shared_ptr<BlockingCall>> blocking_;  // guarded by mutex_: those that have not begun
    bool readable_ = false;                   // guarded by mutex_: the eventfd holds a count, or is about to
    std::atomic<bool> posted_{false};         // incoming_ is not empty; may be read without the lock
    std::deque<Function<void()>> taken_;      // reactor's thread
    OwnerHook waiting_;                       // reactor's thread
    Scope blockingCalls_;                     // reactor's thread
    const std::thread::id home_ = std::this_thread::get_id();
    const std::shared_ptr<OwnerHome> owners_ = OwnerHome::ofThisThread();
    int fd_ = -1;
};

}  // namespace bine::inline v0::detail
