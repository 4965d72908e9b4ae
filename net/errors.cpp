#include "bine/net/errors.h"

#include <cerrno>
#include <utility>

namespace bine::inline v0 {

namespace {

std::string connectText(const std::string& destination, int osError, const std::string& why) {
    std::string text = "connecting to " + destination;
    if (!why.empty())
        text += ": " + why;
    if (osError != 0)
        text += ": " + detail::systemErrorText(osError);
    return text;
}

bool transientErrno(int osError) {
    switch (osError) {
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ETIMEDOUT:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EPIPE:
        return true;
    default:
        return false;
    }
}

} // namespace

namespace detail {

Failure connectFailure(std::string destination, int osError) {
    switch (osError) {
    case ECONNREFUSED:
        return ConnectionRefusedError(std::move(destination), osError);
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
        return NoRouteError(std::move(destination), osError);
    case ETIMEDOUT:
        return TCPTimedOutError(std::move(destination), osError);
    default:
        return ConnectError(std::move(destination), osError);
    }
}

} // namespace detail

ConnectError::ConnectError(std::string destination, int osError, std::string why)
    : Error(connectText(destination, osError, why)),
      destination_(std::move(destination)),
      osError_(osError) {}
ConnectError::~ConnectError() = default;
std::string ConnectError::userMessage() const {
    return "It was not possible to connect to " + destination_ + ".";
}
bool ConnectError::isTransient() const { return transientErrno(osError_); }
std::string ConnectError::phase() const { return "connect"; }

ConnectBindError::~ConnectBindError() = default;
std::string ConnectBindError::userMessage() const {
    return "This computer could not open a connection to " + destination() +
           ": its own address or port is not available.";
}

UnknownHostError::~UnknownHostError() = default;
std::string UnknownHostError::userMessage() const {
    return destination() + " is not known. Check the spelling.";
}

NoRouteError::~NoRouteError() = default;
std::string NoRouteError::userMessage() const {
    return destination() + " cannot be reached. Check the network connection.";
}
bool NoRouteError::isTransient() const { return true; }

ConnectionRefusedError::~ConnectionRefusedError() = default;
std::string ConnectionRefusedError::userMessage() const {
    return destination() + " refused the connection. Check the port, and whether the service is running.";
}
bool ConnectionRefusedError::isTransient() const { return true; }

TCPTimedOutError::~TCPTimedOutError() = default;
std::string TCPTimedOutError::userMessage() const {
    return destination() + " did not answer. Try again later.";
}
bool TCPTimedOutError::isTransient() const { return true; }

ServiceNameUnknownError::ServiceNameUnknownError(std::string name)
    : ConnectError("'" + name + "'", 0, "no service has this name") {}
ServiceNameUnknownError::~ServiceNameUnknownError() = default;
std::string ServiceNameUnknownError::userMessage() const {
    return "No service is called " + destination() + ". Use the number of its port.";
}

UserError::UserError(std::string destination, std::string why)
    : ConnectError(std::move(destination), 0, why.empty() ? "stopped by the program" : std::move(why)) {}
UserError::~UserError() = default;
std::string UserError::userMessage() const { return "Connecting to " + destination() + " was stopped."; }

ConnectTimeoutError::ConnectTimeoutError(std::string destination)
    : UserError(std::move(destination), "no answer in time") {}
ConnectTimeoutError::~ConnectTimeoutError() = default;
std::string ConnectTimeoutError::userMessage() const {
    return destination() + " did not answer in time. Try again later.";
}
bool ConnectTimeoutError::isTransient() const { return true; }

ConnectingCancelledError::ConnectingCancelledError(std::string destination)
    : CancelledError("connecting to " + destination + " was cancelled"),
      destination_(std::move(destination)) {}
ConnectingCancelledError::~ConnectingCancelledError() = default;
std::string ConnectingCancelledError::userMessage() const {
    return "Connecting to " + destination_ + " was stopped.";
}

DNSLookupError::DNSLookupError(std::string name, std::string why, bool transient)
    : Error("looking up '" + name + "': " + why), name_(std::move(name)), transient_(transient) {}
DNSLookupError::~DNSLookupError() = default;
std::string DNSLookupError::userMessage() const {
    return transient_ ? "The address of " + name_ + " could not be looked up. Check the network connection."
                      : "There is no computer called " + name_ + ". Check the spelling.";
}
bool DNSLookupError::isTransient() const { return transient_; }
std::string DNSLookupError::phase() const { return "resolve"; }

NotConnectingError::~NotConnectingError() = default;
NoProtocol::~NoProtocol() = default;

InvalidAddressError::InvalidAddressError(std::string address, std::string why)
    : Error("'" + address + "': " + why), address_(std::move(address)) {}
InvalidAddressError::~InvalidAddressError() = default;
std::string InvalidAddressError::userMessage() const {
    return "'" + address_ + "' is not an address that can be used here.";
}

UnsupportedAddressFamily::~UnsupportedAddressFamily() = default;

CannotListenError::CannotListenError(std::string interface, int port, int osError)
    : Error("listening on " + (interface.empty() ? std::string("any address") : interface) + " port " +
            std::to_string(port) + ": " + detail::systemErrorText(osError)),
      interface_(std::move(interface)),
      port_(port),
      osError_(osError) {}
CannotListenError::~CannotListenError() = default;
std::string CannotListenError::userMessage() const {
    const std::string port = "Port " + std::to_string(port_);
    switch (osError_) {
    case EADDRINUSE:
        return port + " is used by another program.";
    case EACCES:
        return port + " may not be opened by this user; ports from 1024 up may.";
    case EADDRNOTAVAIL:
        return "This computer does not have the address " + interface_ + ".";
    default:
        return port + " could not be opened.";
    }
}
bool CannotListenError::isTransient() const { return transientErrno(osError_); }
std::string CannotListenError::phase() const { return "listen"; }

ConnectionAborted::ConnectionAborted(std::string why)
    : ConnectionLost(why.empty() ? "the connection was aborted" : std::move(why)) {}
ConnectionAborted::~ConnectionAborted() = default;
std::string ConnectionAborted::userMessage() const { return "The connection was broken off."; }
bool ConnectionAborted::isTransient() const { return false; }

ProducerAlreadyRegistered::~ProducerAlreadyRegistered() = default;

} // namespace bine::inline v0
