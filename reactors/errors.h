#pragma once
// What can go wrong with a reactor itself. Thrown at the call that is at fault.

#include "bine/defer/errors.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// stop() before run(), after the end, or a second time.
class BINE_EXPORT ReactorNotRunning : public Error {
public:
    using Error::Error;
    ~ReactorNotRunning() override;
};

/// run() or attach() while it runs.
class BINE_EXPORT ReactorAlreadyRunning : public Error {
public:
    using Error::Error;
    ~ReactorAlreadyRunning() override;
};

/// run() from an 'after shutdown' trigger.
class BINE_EXPORT ReactorNotRestartable : public Error {
public:
    using Error::Error;
    ~ReactorNotRestartable() override;
};

/// A host's reactor was made on a thread on which that host has no loop.
class BINE_EXPORT NoHostLoop : public Error {
public:
    using Error::Error;
    ~NoHostLoop() override;
};

}  // namespace bine::inline v0
