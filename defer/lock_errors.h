#pragma once
// The errors of locks, semaphores and queues. Plain values: any thread.

#include "bine/defer/errors.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// The root of those below.
class BINE_EXPORT ConcurrencyError : public Error {
public:
    using Error::Error;
    ~ConcurrencyError() override;
};

/// release() or unlock() of what is not held. Thrown at the call, which is at fault.
class BINE_EXPORT NotAcquiredError : public ConcurrencyError {
public:
    explicit NotAcquiredError(const std::string& why = "what is to be released has not been acquired");
    ~NotAcquiredError() override;
};

/// DeferredQueue::put(): as many items wait as may. Thrown; the item was not taken.
class BINE_EXPORT QueueOverflow : public ConcurrencyError {
public:
    explicit QueueOverflow(const std::string& why = "the queue is full");
    ~QueueOverflow() override;
    bool isTransient() const override;
};

/// DeferredQueue::get(): as many wait for an item as may.
class BINE_EXPORT QueueUnderflow : public ConcurrencyError {
public:
    explicit QueueUnderflow(const std::string& why = "the queue is empty, and too many wait for an item");
    ~QueueUnderflow() override;
    bool isTransient() const override;
};

/// DeferredFilesystemLock::deferUntilLocked() while it waits already.
class BINE_EXPORT AlreadyTryingToLockError : public ConcurrencyError {
public:
    explicit AlreadyTryingToLockError(const std::string& why = "this lock is being waited for already");
    ~AlreadyTryingToLockError() override;
};

}  // namespace bine::inline v0
