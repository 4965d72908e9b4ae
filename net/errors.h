#pragma once
// What can go wrong on the way to a peer, and how a connection can end. Twisted's tree, in Twisted's
// spelling.
//
// what() is for logs and names addresses and system errors; userMessage() is a sentence a person can act on;
// isTransient() says whether trying again later makes sense. Both texts, and destination(), show control
// characters, bidirectional overrides and bytes that are not UTF-8 as \n, \x1b, \u202e. Any thread.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bine/defer/clock.h"
#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/reactors/errors.h"

namespace bine::inline v0 {

// --- Connecting.

/// One address of a name, and why connecting to it failed.
class BINE_EXPORT FailedAddress {
public:
    FailedAddress(Address tried, Failure why);
    FailedAddress(const FailedAddress&);
    FailedAddress(FailedAddress&&) noexcept;
    FailedAddress& operator=(const FailedAddress&);
    FailedAddress& operator=(FailedAddress&&) noexcept;
    ~FailedAddress();
    Address address;
    Failure reason;
};

/// A connection could not be made. The text names the host and port of the call, and each address that was
/// tried with its reason: "connecting to example.org port 80 failed after 30 s: 192.0.2.1: timed out;
/// 2001:db8::1: network is unreachable (ENETUNREACH)".
class BINE_EXPORT ConnectError : public Error {
public:
    ConnectError(std::string destination, int osError, std::string why = {});
    /// `duration`: how long the attempt took; zero leaves it out of the text.
    ConnectError(std::string destination, int osError, std::vector<FailedAddress> addresses,
                 Duration duration = Duration::zero());
    ~ConnectError() override;
    /// The errno, or 0.
    int osError() const noexcept { return osError_; }
    /// The host and port of the call, a name as a name: "example.org:80", "[::1]:80".
    const std::string& destination() const noexcept { return destination_; }
    /// The addresses that were tried, in that order. Empty if none was, or if this is about a single address
    /// of another error's list.
    const std::vector<FailedAddress>& addresses() const noexcept;
    /// Why, without the destination: "timed out".
    const std::string& why() const noexcept { return why_; }
    /// How long the attempt took, or zero.
    Duration duration() const noexcept { return duration_; }
    std::string userMessage() const override;
    bool isTransient() const override;
    std::string phase() const override;

private:
    friend class ConnectTimeoutError;
    friend class UserError;
    ConnectError(std::string destination, int osError, std::string why,
                 std::vector<FailedAddress>&& addresses, Duration duration);

    std::string destination_;
    std::string why_;
    int osError_;
    Duration duration_;
    std::shared_ptr<const std::vector<FailedAddress>> addresses_; // null if empty
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

private:
    friend class ConnectTimeoutError;
    UserError(const std::string& destination, std::string why, std::vector<FailedAddress>&& addresses,
              Duration duration);
};

/// The attempt, name resolution included, took longer than its timeout. duration() is that timeout, or the
/// share of it that one of several addresses had. phase() is "resolve" if the name was still being looked
/// up.
class BINE_EXPORT ConnectTimeoutError : public UserError {
public:
    enum class During { lookup, connecting };
    explicit ConnectTimeoutError(std::string destination, Duration duration = Duration::zero(),
                                 std::vector<FailedAddress> addresses = {},
                                 During during = During::connecting);
    ~ConnectTimeoutError() override;
    std::string userMessage() const override;
    bool isTransient() const override;
    std::string phase() const override;

private:
    During during_;
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

/// A name has no address, or no name server could be asked. name() is the name of the call, unescaped.
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

/// The factory built no protocol for a connection.
class BINE_EXPORT NoProtocol : public Error {
public:
    using Error::Error;
    ~NoProtocol() override;
};

/// An address is malformed, or of a kind that does not fit here. Thrown by constructors and by calls that
/// take addresses. address() is the argument, unescaped; the texts say what to write instead.
class BINE_EXPORT InvalidAddressError : public Error {
public:
    InvalidAddressError(std::string address, std::string why);
    ~InvalidAddressError() override;
    const std::string& address() const noexcept { return address_; }
    std::string userMessage() const override;

private:
    std::string address_;
    std::string why_;
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
    CannotListenError(std::string host, int port, int osError);
    ~CannotListenError() override;
    const std::string& host() const noexcept { return host_; }
    int port() const noexcept { return port_; }
    int osError() const noexcept { return osError_; }
    std::string userMessage() const override;
    bool isTransient() const override;
    std::string phase() const override;

private:
    std::string host_;
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

/// The peer broke the rules of the protocol. Pass it to Transport::abortConnection(), or throw it from a callback: either
/// aborts the connection, with one line in the log at info level. Derive from it for errors of your own protocol.
class BINE_EXPORT ProtocolError : public Error {
public:
    /// How many bytes of the peer's are shown at most.
    static constexpr std::size_t excerptLength = 80;

    /// `what` says what was wrong: "the greeting has no name".
    explicit ProtocolError(const std::string& what);
    /// Shows the beginning of what the peer sent, escaped, behind `what`: `the greeting has no name: "HELO \r"`.
    ProtocolError(const std::string& what, std::string_view received);
    ~ProtocolError() override;
    std::string userMessage() const override;
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
/// The error of an attempt all of whose addresses failed. Its type is that of the most telling failure:
/// refused, then timed out, then any other, then no route. REQUIRES: at least one address.
BINE_EXPORT Failure connectFailure(std::string destination, std::vector<FailedAddress> addresses,
                                   Duration duration);
/// "250 ms", "1 second", "30 seconds": for people.
BINE_EXPORT std::string durationText(Duration duration);
} // namespace detail

} // namespace bine::inline v0
