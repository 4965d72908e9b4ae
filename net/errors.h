#pragma once
// What can go wrong on the way to a peer, and how a connection can end. Twisted's tree, in Twisted's
// spelling.
//
// what() is for logs and names addresses and system errors; userMessage() is a sentence a person can act on;
// isTransient() says whether trying again later makes sense. Any thread.

#include <string>

#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/log/export.h"
#include "bine/reactors/errors.h"

namespace bine::inline v0 {

// --- Connecting.

/// A connection could not be made. `destination` is what was asked for, as text; osError() is the errno, or
/// 0.
class BINE_EXPORT ConnectError : public Error {
public:
    ConnectError(std::string destination, int osError, std::string why = {});
    ~ConnectError() override;
    int osError() const noexcept { return osError_; }
    const std::string& destination() const noexcept { return destination_; }
    std::string userMessage() const override;
    bool isTransient() const override;
    std::string phase() const override;

private:
    std::string destination_;
    int osError_;
};

/// The socket could not be made or not be bound to the address asked for.
class BINE_EXPORT ConnectBindError : public ConnectError {
public:
    using ConnectError::ConnectError;
    ~ConnectBindError() override;
    std::string userMessage() const override;
};

class BINE_EXPORT UnknownHostError : public ConnectError {
public:
    using ConnectError::ConnectError;
    ~UnknownHostError() override;
    std::string userMessage() const override;
};

class BINE_EXPORT NoRouteError : public ConnectError {
public:
    using ConnectError::ConnectError;
    ~NoRouteError() override;
    std::string userMessage() const override;
    bool isTransient() const override;
};

class BINE_EXPORT ConnectionRefusedError : public ConnectError {
public:
    using ConnectError::ConnectError;
    ~ConnectionRefusedError() override;
    std::string userMessage() const override;
    bool isTransient() const override;
};

/// The kernel gave up; see ConnectTimeoutError for the connector's own deadline.
class BINE_EXPORT TCPTimedOutError : public ConnectError {
public:
    using ConnectError::ConnectError;
    ~TCPTimedOutError() override;
    std::string userMessage() const override;
    bool isTransient() const override;
};

/// A port was given by a name that no service has.
class BINE_EXPORT ServiceNameUnknownError : public ConnectError {
public:
    explicit ServiceNameUnknownError(std::string name);
    ~ServiceNameUnknownError() override;
    std::string userMessage() const override;
};

/// The program itself gave up: stopConnecting().
class BINE_EXPORT UserError : public ConnectError {
public:
    explicit UserError(std::string destination, std::string why = {});
    ~UserError() override;
    std::string userMessage() const override;
};

/// The attempt, name resolution included, took longer than its timeout.
class BINE_EXPORT ConnectTimeoutError : public UserError {
public:
    explicit ConnectTimeoutError(std::string destination);
    ~ConnectTimeoutError() override;
    std::string userMessage() const override;
    bool isTransient() const override;
};

/// The Deferred of a connection attempt was cancelled.
class BINE_EXPORT ConnectingCancelledError : public CancelledError {
public:
    explicit ConnectingCancelledError(std::string destination);
    ~ConnectingCancelledError() override;
    const std::string& destination() const noexcept { return destination_; }
    std::string userMessage() const override;

private:
    std::string destination_;
};

/// A name has no address, or nobody could be asked.
class BINE_EXPORT DNSLookupError : public Error {
public:
    DNSLookupError(std::string name, std::string why, bool transient);
    ~DNSLookupError() override;
    const std::string& name() const noexcept { return name_; }
    std::string userMessage() const override;
    bool isTransient() const override;
    std::string phase() const override;

private:
    std::string name_;
    bool transient_;
};

/// stopConnecting() while not connecting. Thrown.
class BINE_EXPORT NotConnectingError : public Error {
public:
    using Error::Error;
    ~NotConnectingError() override;
};

/// The factory built no protocol for a connection.
class BINE_EXPORT NoProtocol : public Error {
public:
    using Error::Error;
    ~NoProtocol() override;
};

/// An address is malformed, or of a kind that does not fit here. Thrown by constructors and by calls that
/// take addresses.
class BINE_EXPORT InvalidAddressError : public Error {
public:
    InvalidAddressError(std::string address, std::string why);
    ~InvalidAddressError() override;
    const std::string& address() const noexcept { return address_; }
    std::string userMessage() const override;

private:
    std::string address_;
};

class BINE_EXPORT UnsupportedAddressFamily : public Error {
public:
    using Error::Error;
    ~UnsupportedAddressFamily() override;
};

// --- Listening.

/// A port could not be opened. Thrown by the call that listens.
class BINE_EXPORT CannotListenError : public Error {
public:
    CannotListenError(std::string interface, int port, int osError);
    ~CannotListenError() override;
    const std::string& interface() const noexcept { return interface_; }
    int port() const noexcept { return port_; }
    int osError() const noexcept { return osError_; }
    std::string userMessage() const override;
    bool isTransient() const override;
    std::string phase() const override;

private:
    std::string interface_;
    int port_;
    int osError_;
};

// --- The end of a connection: reasons of connectionLost(). The others, which descriptors have too, are in
// bine/reactors/errors.h: ConnectionClosed, ConnectionDone, ConnectionLost, ConnectionFdescWentAway.

/// abortConnection() was called here.
class BINE_EXPORT ConnectionAborted : public ConnectionLost {
public:
    explicit ConnectionAborted(std::string why = {});
    ~ConnectionAborted() override;
    std::string userMessage() const override;
    bool isTransient() const override;
};

// --- Misuse of flow control.

/// registerProducer() while another producer is registered. Thrown.
class BINE_EXPORT ProducerAlreadyRegistered : public Error {
public:
    using Error::Error;
    ~ProducerAlreadyRegistered() override;
};

namespace detail {
/// The error that fits an errno of connect(2).
BINE_EXPORT Failure connectFailure(std::string destination, int osError);
} // namespace detail

} // namespace bine::inline v0
