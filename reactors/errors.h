#pragma once
// What can go wrong with a reactor itself, thrown at the call that is at fault; and how what a reactor watches can end, told to connectionLost().

#include <string>

#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// stop() before the reactor was ever started. A call for a reactor that has stopped.
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

// --- The end of a connection, or of a descriptor: reasons of connectionLost().

class BINE_EXPORT ConnectionClosed : public Error {
public:
    using Error::Error;
    ~ConnectionClosed() override;
    std::string phase() const override;
};

/// Closed cleanly, by either side.
class BINE_EXPORT ConnectionDone : public ConnectionClosed {
public:
    ConnectionDone();
    ~ConnectionDone() override;
    std::string userMessage() const override;
};

/// Broken: reset, a read or write error, the end of the reactor.
class BINE_EXPORT ConnectionLost : public ConnectionClosed {
public:
    explicit ConnectionLost(std::string why = {}, int osError = 0);
    explicit ConnectionLost(int osError);
    ~ConnectionLost() override;
    int osError() const noexcept { return osError_; }
    std::string userMessage() const override;
    bool isTransient() const override;

private:
    int osError_;
};

/// A descriptor is gone: closed behind the reactor's back, or its number means something else by now. Also thrown by addReader() and addWriter().
class BINE_EXPORT ConnectionFdescWentAway : public ConnectionLost {
public:
    explicit ConnectionFdescWentAway(std::string why = {});
    ~ConnectionFdescWentAway() override;
    std::string userMessage() const override;
    bool isTransient() const override;
};

/// The Failure of a clean end. Made once, as most connections end so.
BINE_EXPORT const Failure& connectionDone();

namespace detail {
/// "Connection refused (ECONNREFUSED)".
BINE_EXPORT std::string systemErrorText(int osError);
}  // namespace detail

}  // namespace bine::inline v0
