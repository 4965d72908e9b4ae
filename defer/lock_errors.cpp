#include "bine/defer/lock_errors.h"

namespace bine::inline v0 {

// The destructors are out of line: one home for each class's type information.
ConcurrencyError::~ConcurrencyError() = default;

NotAcquiredError::NotAcquiredError(const std::string& why) : ConcurrencyError(why) {}
NotAcquiredError::~NotAcquiredError() = default;

QueueOverflow::QueueOverflow(const std::string& why) : ConcurrencyError(why) {}
QueueOverflow::~QueueOverflow() = default;
bool QueueOverflow::isTransient() const { return true; }

QueueUnderflow::QueueUnderflow(const std::string& why) : ConcurrencyError(why) {}
QueueUnderflow::~QueueUnderflow() = default;
bool QueueUnderflow::isTransient() const { return true; }

AlreadyTryingToLockError::AlreadyTryingToLockError(const std::string& why) : ConcurrencyError(why) {}
AlreadyTryingToLockError::~AlreadyTryingToLockError() = default;

}  // namespace bine::inline v0
