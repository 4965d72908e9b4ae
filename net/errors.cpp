#include "bine/net/errors.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <typeinfo>
#include <utility>

#include "bine/log/format.h"

namespace bine::inline v0 {

namespace {

constexpr std::size_t longestHost = 300;
constexpr std::size_t longestText = 1024;

std::string shown(std::string_view text) { return detail::escaped(text, longestHost); }

/// A destination, "example.org:80" or "[::1]:80", as its host and its port.
struct HostAndPort {
    std::string host, port;
    explicit HostAndPort(std::string_view destination) {
        const auto colon = destination.rfind(':');
        const auto digits = destination.substr(colon + 1); // npos + 1 is 0
        const bool split = colon != destination.npos && !digits.empty() &&
                           digits.find_first_not_of("0123456789") == digits.npos;
        host = destination.substr(0, split ? colon : destination.npos);
        if (split)
            port = digits;
        if (host.size() > 2 && host.front() == '[' && host.back() == ']')
            host = host.substr(1, host.size() - 2);
    }
    std::string text() const { return port.empty() ? host : host + " port " + port; }
};

std::string reasonText(const std::string& why, int osError) {
    std::string text = detail::escaped(why, longestText);
    if (osError == 0)
        return text.empty() ? "no reason is known" : text;
    std::string system = detail::systemErrorText(osError);
    if (system[0] >= 'A' && system[0] <= 'Z')
        system[0] = static_cast<char>(system[0] - 'A' + 'a');
    return text.empty() ? system : text + ": " + system;
}

/// "192.0.2.1: timed out; 2001:db8::1: network is unreachable (ENETUNREACH)". The only address of a list
/// goes unnamed if it is the destination itself.
std::string reasonText(const std::string& destination, const std::vector<FailedAddress>& addresses) {
    std::string text;
    for (const FailedAddress& each : addresses) {
        if (!text.empty())
            text += "; ";
        if (addresses.size() > 1 || each.address.host() != HostAndPort(destination).host)
            text += shown(each.address.host()) + ": ";
        if (const auto* error = each.reason.check<ConnectError>())
            text += error->why();
        else
            text += detail::escaped(each.reason.getErrorMessage(), longestText);
    }
    return text;
}

std::string shortDuration(Duration duration) {
    using namespace std::chrono;
    const auto milliseconds = round<std::chrono::milliseconds>(duration).count();
    if (milliseconds < 1000)
        return std::to_string(milliseconds) + " ms";
    const auto tenths = (milliseconds + 50) / 100;
    const std::string whole = std::to_string(tenths / 10);
    return (tenths % 10 == 0 ? whole : whole + "." + std::to_string(tenths % 10)) + " s";
}

std::string connectText(const std::string& destination, const std::string& why, Duration duration) {
    std::string text = "connecting to " + HostAndPort(destination).text() + " failed";
    if (duration > Duration::zero())
        text += " after " + shortDuration(duration);
    return text + ": " + why;
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

namespace {

enum class Telling { noRoute, other, timedOut, refused }; // the least first

Telling tellingOf(const Failure& failure) {
    if (failure.check<ConnectionRefusedError>())
        return Telling::refused;
    if (failure.check<TCPTimedOutError>() || failure.check<ConnectTimeoutError>())
        return Telling::timedOut;
    return failure.check<NoRouteError>() ? Telling::noRoute : Telling::other;
}

/// Whether it is an error of this library's kernel network, which can be made anew with another destination.
bool isOfConnecting(const Failure& failure) {
    const auto* error = failure.check<ConnectError>();
    return error &&
           (typeid(*error) == typeid(ConnectError) || typeid(*error) == typeid(ConnectBindError) ||
            typeid(*error) == typeid(NoRouteError) || typeid(*error) == typeid(ConnectionRefusedError) ||
            typeid(*error) == typeid(TCPTimedOutError) || typeid(*error) == typeid(ConnectTimeoutError));
}

} // namespace

Failure connectFailure(std::string destination, std::vector<FailedAddress> addresses, Duration duration) {
    const auto telling = std::max_element(addresses.begin(), addresses.end(), [](const auto& a, const auto& b) {
        return tellingOf(a.reason) < tellingOf(b.reason);
    });
    const Failure reason = telling->reason;
    // An error of another Network's own keeps its type and its text.
    if (addresses.size() == 1 && !isOfConnecting(reason))
        return reason;
    const auto* error = reason.check<ConnectError>();
    const int osError = error ? error->osError() : 0;
    if (reason.check<ConnectionRefusedError>())
        return ConnectionRefusedError(std::move(destination), osError, std::move(addresses), duration);
    if (reason.check<ConnectTimeoutError>())
        return ConnectTimeoutError(std::move(destination), duration, std::move(addresses));
    if (reason.check<TCPTimedOutError>())
        return TCPTimedOutError(std::move(destination), osError, std::move(addresses), duration);
    if (reason.check<NoRouteError>())
        return NoRouteError(std::move(destination), osError, std::move(addresses), duration);
    if (reason.check<ConnectBindError>())
        return ConnectBindError(std::move(destination), osError, std::move(addresses), duration);
    return ConnectError(std::move(destination), osError, std::move(addresses), duration);
}

std::string durationText(Duration duration) {
    std::string text = shortDuration(duration);
    if (text.ends_with(" ms"))
        return text;
    text.pop_back();
    return text + (text == "1 " ? "second" : "seconds");
}

} // namespace detail

FailedAddress::FailedAddress(Address tried, Failure why)
    : address(std::move(tried)), reason(std::move(why)) {}
FailedAddress::FailedAddress(const FailedAddress&) = default;
FailedAddress::FailedAddress(FailedAddress&&) noexcept = default;
FailedAddress& FailedAddress::operator=(const FailedAddress&) = default;
FailedAddress& FailedAddress::operator=(FailedAddress&&) noexcept = default;
FailedAddress::~FailedAddress() = default;

ConnectError::ConnectError(std::string destination, int osError, std::string why)
    : ConnectError(shown(destination), osError, reasonText(why, osError), {}, Duration::zero()) {}

ConnectError::ConnectError(std::string destination, int osError, std::vector<FailedAddress> addresses,
                           Duration duration)
    : ConnectError(shown(destination), osError,
                   addresses.empty() ? reasonText({}, osError) : reasonText(destination, addresses),
                   std::move(addresses), duration) {}

// Both texts are safe to show by now.
ConnectError::ConnectError(std::string destination, int osError, std::string why,
                           std::vector<FailedAddress>&& addresses, Duration duration)
    : Error(connectText(destination, why, duration)),
      destination_(std::move(destination)),
      why_(std::move(why)),
      osError_(osError),
      duration_(duration) {
    if (!addresses.empty())
        addresses_ = std::make_shared<const std::vector<FailedAddress>>(std::move(addresses));
}

ConnectError::~ConnectError() = default;
const std::vector<FailedAddress>& ConnectError::addresses() const noexcept {
    static const std::vector<FailedAddress>* const none = new std::vector<FailedAddress>; // never destroyed
    return addresses_ ? *addresses_ : *none;
}
std::string ConnectError::userMessage() const {
    return "Connecting to " + HostAndPort(destination_).text() + " failed.";
}
bool ConnectError::isTransient() const { return transientErrno(osError_); }
std::string ConnectError::phase() const { return "connect"; }

ConnectBindError::~ConnectBindError() = default;
std::string ConnectBindError::userMessage() const {
    return "This computer could not open a connection to " + HostAndPort(destination()).text() +
           ": its own address or port is not available.";
}

UnknownHostError::~UnknownHostError() = default;
std::string UnknownHostError::userMessage() const {
    return HostAndPort(destination()).host + " is not known. Check the spelling.";
}

NoRouteError::~NoRouteError() = default;
std::string NoRouteError::userMessage() const {
    return HostAndPort(destination()).host + " cannot be reached. Check the network connection.";
}
bool NoRouteError::isTransient() const { return true; }

ConnectionRefusedError::~ConnectionRefusedError() = default;
std::string ConnectionRefusedError::userMessage() const {
    const HostAndPort asked(destination());
    return asked.host + " refused the connection" + (asked.port.empty() ? "" : " to port " + asked.port) +
           ". Check the port, and whether the service is running.";
}
bool ConnectionRefusedError::isTransient() const { return true; }

namespace {

std::string noAnswerText(const std::string& destination, Duration duration) {
    return HostAndPort(destination).host + " did not answer" +
           (duration > Duration::zero() ? " within " + detail::durationText(duration) : "") +
           ". Check the network connection, or try again later.";
}

} // namespace

TCPTimedOutError::~TCPTimedOutError() = default;
std::string TCPTimedOutError::userMessage() const { return noAnswerText(destination(), duration()); }
bool TCPTimedOutError::isTransient() const { return true; }

ServiceNameUnknownError::ServiceNameUnknownError(std::string name)
    : ConnectError("'" + name + "'", 0, "no service has this name") {}
ServiceNameUnknownError::~ServiceNameUnknownError() = default;
std::string ServiceNameUnknownError::userMessage() const {
    return "No service is called " + destination() + ". Use the number of its port.";
}

UserError::UserError(std::string destination, std::string why)
    : ConnectError(std::move(destination), 0, why.empty() ? "stopped by the program" : std::move(why)) {}
UserError::UserError(const std::string& destination, std::string why,
                     std::vector<FailedAddress>&& addresses, Duration duration)
    : ConnectError(shown(destination), 0, std::move(why), std::move(addresses), duration) {}
UserError::~UserError() = default;
std::string UserError::userMessage() const {
    return "Connecting to " + HostAndPort(destination()).text() + " was stopped.";
}

ConnectTimeoutError::ConnectTimeoutError(std::string destination, Duration duration,
                                         std::vector<FailedAddress> addresses, During during)
    : UserError(destination,
                during == During::lookup ? "looking up the name timed out"
                : addresses.empty()      ? "timed out"
                                         : reasonText(destination, addresses),
                std::move(addresses), duration),
      during_(during) {}
ConnectTimeoutError::~ConnectTimeoutError() = default;
std::string ConnectTimeoutError::userMessage() const {
    if (during_ == During::connecting)
        return noAnswerText(destination(), duration());
    return "The address of " + HostAndPort(destination()).host + " could not be looked up" +
           (duration() > Duration::zero() ? " within " + detail::durationText(duration()) : "") +
           ". Check the network connection, or try again later.";
}
bool ConnectTimeoutError::isTransient() const { return true; }
std::string ConnectTimeoutError::phase() const {
    return during_ == During::lookup ? "resolve" : ConnectError::phase();
}

ConnectingCancelledError::ConnectingCancelledError(std::string destination)
    : CancelledError("connecting to " + HostAndPort(shown(destination)).text() + " was cancelled"),
      destination_(shown(destination)) {}
ConnectingCancelledError::~ConnectingCancelledError() = default;
std::string ConnectingCancelledError::userMessage() const {
    return "Connecting to " + HostAndPort(destination_).text() + " was stopped.";
}

DNSLookupError::DNSLookupError(std::string name, std::string why, bool transient)
    : Error("looking up '" + shown(name) + "': " + detail::escaped(why, longestText)), name_(std::move(name)), transient_(transient) {}
DNSLookupError::~DNSLookupError() = default;
std::string DNSLookupError::userMessage() const {
    return transient_ ? "The address of " + shown(name_) +
                            " could not be looked up. Check the network connection, or try again later."
                      : "There is no computer called " + shown(name_) + ". Check the spelling.";
}
bool DNSLookupError::isTransient() const { return transient_; }
std::string DNSLookupError::phase() const { return "resolve"; }

NoProtocol::~NoProtocol() = default;

InvalidAddressError::InvalidAddressError(std::string address, std::string why)
    : Error("'" + shown(address) + "': " + detail::escaped(why, longestText)),
      address_(std::move(address)),
      why_(detail::escaped(why, longestText)) {}
InvalidAddressError::~InvalidAddressError() = default;
std::string InvalidAddressError::userMessage() const {
    return "'" + shown(address_) + "' cannot be used here: " + why_ + ".";
}

UnsupportedAddressFamily::~UnsupportedAddressFamily() = default;

CannotListenError::CannotListenError(std::string host, int port, int osError)
    : Error("listening on " + (host.empty() ? std::string("any address") : shown(host)) + " port " +
            std::to_string(port) + ": " + detail::systemErrorText(osError)),
      host_(std::move(host)),
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
        return "This computer does not have the address " + shown(host_) + ".";
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

static std::string excerpt(std::string_view received) {
    const bool cut = received.size() > ProtocolError::excerptLength;
    return "\"" + detail::escaped(received.substr(0, ProtocolError::excerptLength), 4 * ProtocolError::excerptLength) +
           (cut ? "\"..." : "\"");
}

ProtocolError::ProtocolError(const std::string& what) : Error(what) {}
ProtocolError::ProtocolError(const std::string& what, std::string_view received)
    : Error(what + ": " + excerpt(received)) {}
ProtocolError::~ProtocolError() = default;
std::string ProtocolError::userMessage() const {
    return "The other side sent something that this program does not understand.";
}

ProducerAlreadyRegistered::~ProducerAlreadyRegistered() = default;

} // namespace bine::inline v0
