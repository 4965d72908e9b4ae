#pragma once
// FilesystemLock: one process at a time, by a file. DeferredFilesystemLock: the same, and waits for it.
//
//     bine::DeferredFilesystemLock lock(reactor, "/run/user/1000/indexer.lock");
//     auto guard = co_await lock.scoped(30s);
//
// The file is a symbolic link that points at the number of the process that holds the lock, as Twisted makes it. One that was left behind by a process that is
// gone is removed. The processes must see each other's numbers: one machine, one container. Each on one thread at a time, the second on its clock's. Cost: some
// system calls per attempt, one attempt per second.

#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/lock_errors.h"
#include "bine/defer/lock_guard.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT FilesystemLock {
public:
    /// Touches nothing yet.
    explicit FilesystemLock(std::string name) : name_(std::move(name)) {}
    FilesystemLock(const FilesystemLock&) = delete;
    FilesystemLock& operator=(const FilesystemLock&) = delete;
    /// Unlocks it, if it is locked by this object, in the process that locked it. An error is logged.
    ~FilesystemLock();

    /// One attempt: true if it is ours now, false if somebody has it (also another object of this process, or this one). Throws std::system_error for all
    /// else: no such folder, no permission, a file of that name that is no lock.
    bool lock();
    /// Throws NotAcquiredError if this object, in this process, does not hold it (any more); std::system_error if the link cannot be removed.
    void unlock();

    const std::string& name() const noexcept { return name_; }
    /// This object holds it.
    bool locked() const noexcept { return locked_; }
    /// False if the last lock() has removed what a dead process left behind: what the lock guards may be half done.
    bool clean() const noexcept { return clean_; }

    /// Whether anybody holds it now. Throws as lock().
    static bool isLocked(std::string name);

private:
    enum class Finding { free, held, leftBehind };
    Finding look() const;
    bool removeLeftover() const;

    std::string name_;
    bool locked_ = false;
    bool clean_ = true;
    long process_ = 0;  // which locked it
};

class BINE_EXPORT DeferredFilesystemLock {
public:
    DeferredFilesystemLock(Clock& clock, std::string name);
    DeferredFilesystemLock(const DeferredFilesystemLock&) = delete;
    DeferredFilesystemLock& operator=(const DeferredFilesystemLock&) = delete;
    /// Unlocks it; who waits gets AbandonedError.
    ~DeferredFilesystemLock();

    /// Fires when the file is ours: now, or after one of the attempts that are made once a second, without end or until `timeout` is over. Then, and when it is
    /// cancelled, there is a last attempt; without luck it fails with TimeoutError or CancelledError. Fails with AlreadyTryingToLockError while another one
    /// waits, with std::system_error as FilesystemLock::lock() says. Throws std::invalid_argument for a negative timeout. Whoever it fires for has to unlock().
    Deferred<> deferUntilLocked(std::source_location where = std::source_location::current());
    Deferred<> deferUntilLocked(Delay timeout);
    /// The same, with a guard that unlocks at its end.
    Deferred<LockGuard> scoped(std::source_location where = std::source_location::current());
    Deferred<LockGuard> scoped(Delay timeout);
    /// As FilesystemLock::unlock().
    void unlock();

    const std::string& name() const noexcept;
    bool locked() const noexcept;
    bool clean() const noexcept;  ///< as FilesystemLock::clean()

private:
    class State;
    std::shared_ptr<State> state_;
};

}  // namespace bine::inline v0
