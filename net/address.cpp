#include "bine/net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "bine/net/errors.h"

namespace bine::inline v0 {

namespace {

bool parseNumber(std::string_view text, unsigned long& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// The bytes of a literal and its scope; false if it is none.
bool parseIPv4(std::string_view host, in_addr& bytes) {
    char text[INET_ADDRSTRLEN];
    if (host.size() >= sizeof text || host.find('\0') != host.npos)
        return false;
    text[host.copy(text, sizeof text - 1)] = '\0';
    return inet_pton(AF_INET, text, &bytes) == 1;
}

bool parseIPv6(std::string_view host, in6_addr& bytes, std::string_view& scope) {
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    const auto percent = host.find('%');
    scope = percent == host.npos ? std::string_view() : host.substr(percent + 1);
    if (percent != host.npos && scope.empty())
        return false;
    host = host.substr(0, percent);
    char text[INET6_ADDRSTRLEN];
    if (host.size() >= sizeof text || host.find('\0') != host.npos)
        return false;
    text[host.copy(text, sizeof text - 1)] = '\0';
    return inet_pton(AF_INET6, text, &bytes) == 1;
}

// inet_ntop() would print them by a format, which is a third of what it takes to accept a connection.
std::string textOf(const in_addr& address) {
    unsigned char bytes[4];
    std::memcpy(bytes, &address, sizeof bytes);
    char text[INET_ADDRSTRLEN];
    char* end = text;
    for (const unsigned char byte : bytes) {
        end = std::to_chars(end, std::end(text), static_cast<unsigned>(byte)).ptr;
        *end++ = '.';
    }
    return std::string(text, end - 1);
}

std::string textOf(const in6_addr& address) {
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, &address, text, sizeof text) ? text : "";
}

[[noreturn]] void refuseHost(std::string_view host, std::string why) {
    throw InvalidAddressError(std::string(host.substr(0, 256)), std::move(why));
}

// Says of what is no literal why it is no name either.
void checkHostname(std::string_view host) {
    if (host.empty())
        refuseHost(host, "there is no host; write a name such as localhost, or an address such as 127.0.0.1");
    if (host.find('\0') != host.npos)
        refuseHost(host, "the name of a host has no NUL in it");
    if (host.size() > 1024)
        refuseHost(host, "the name of a host has at most 1024 bytes");
    const auto opening = host.find('[');
    const auto closing = host.find(']');
    if (opening == 0 && closing == host.npos)
        refuseHost(host, "the bracket is not closed; write [::1] or ::1");
    if (opening == 0 && closing + 1 < host.size() && host[closing + 1] == ':')
        refuseHost(host, "the port is an argument of its own; write the host alone, as in [::1] or ::1");
    if (opening != host.npos || closing != host.npos)
        refuseHost(host, "only a whole IPv6 address stands in brackets; write [::1], or a name without them");
    const auto colon = host.find(':');
    if (colon != host.npos && host.find(':', colon + 1) == host.npos)
        refuseHost(host, "the port is an argument of its own; write the host alone, as in example.org");
    if (colon != host.npos)
        refuseHost(host, "this is not an IPv6 address; write one such as ::1 or 2001:db8::1");
}

} // namespace

Port::Port(int number) : number_(static_cast<std::uint16_t>(number)) {
    if (number < 0 || number > 65535)
        throw InvalidAddressError(std::to_string(number), "a port is a number from 0 to 65535");
}

Port::Port(std::string_view nameOrNumber) {
    unsigned long number = 0;
    if (parseNumber(nameOrNumber, number)) {
        if (number > 65535)
            throw InvalidAddressError(std::string(nameOrNumber), "a port is a number from 0 to 65535");
        number_ = static_cast<std::uint16_t>(number);
        return;
    }
    servent entry{};
    servent* found = nullptr;
    char room[4096];
    const std::string name(nameOrNumber);
    if (name.empty() || getservbyname_r(name.c_str(), "tcp", &entry, room, sizeof room, &found) != 0 ||
        !found)
        throw ServiceNameUnknownError(name);
    number_ = ntohs(static_cast<std::uint16_t>(found->s_port));
}

IPv4Address::IPv4Address(std::string_view host, Port port) : port_(port.number()) {
    in_addr bytes{};
    if (!parseIPv4(host, bytes))
        refuseHost(host, "this is not an IPv4 address; write four numbers, as in 127.0.0.1");
    host_ = textOf(bytes);
}

IPv6Address::IPv6Address(std::string_view host, Port port, std::uint32_t flowInfo, std::uint32_t scopeID)
    : port_(port.number()), flowInfo_(flowInfo), scopeID_(scopeID) {
    in6_addr bytes{};
    std::string_view scope;
    if (!parseIPv6(host, bytes, scope))
        refuseHost(host, "this is not an IPv6 address; write one such as ::1 or 2001:db8::1");
    host_ = textOf(bytes);
    if (scope.empty())
        return;
    unsigned long number = 0;
    if (!parseNumber(scope, number))
        number = if_nametoindex(std::string(scope).c_str());
    if (number == 0 || number > 0xffffffffUL)
        refuseHost(host, "this computer has no network interface " + std::string(scope));
    scopeID_ = static_cast<std::uint32_t>(number);
}

UNIXAddress::UNIXAddress(std::string_view path) : path_(path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path) + (!path.empty() && path[0] == '\0' ? 1 : 0))
        throw InvalidAddressError(path_, "the path of a UNIX socket has at most 107 bytes");
    if (!path.empty() && path.find('\0') != path.npos && path[0] != '\0')
        throw InvalidAddressError(path_, "a path has no NUL in it");
}

HostnameAddress::HostnameAddress(std::string_view hostname, Port port)
    : hostname_(hostname), port_(port.number()) {
    checkHostname(hostname);
}

Address Address::of(const TextArgument& text, Port port) {
    const std::string_view host = text;
    in_addr four{};
    if (parseIPv4(host, four))
        return IPv4Address(host, port);
    in6_addr six{};
    std::string_view scope;
    if (parseIPv6(host, six, scope))
        return IPv6Address(host, port);
    return HostnameAddress(host, port);
}

std::string Address::host() const {
    switch (kind()) {
    case AddressKind::ipv4:
        return get<IPv4Address>()->host();
    case AddressKind::ipv6: {
        const auto& address = *get<IPv6Address>();
        return address.scopeID() == 0 ? address.host()
                                      : address.host() + "%" + std::to_string(address.scopeID());
    }
    case AddressKind::path:
        return get<UNIXAddress>()->path();
    case AddressKind::hostname:
        return get<HostnameAddress>()->hostname();
    case AddressKind::unspecified:
        break;
    }
    return {};
}

std::uint16_t Address::port() const noexcept {
    switch (kind()) {
    case AddressKind::ipv4:
        return get<IPv4Address>()->port();
    case AddressKind::ipv6:
        return get<IPv6Address>()->port();
    case AddressKind::hostname:
        return get<HostnameAddress>()->port();
    default:
        return 0;
    }
}

std::string Address::text() const {
    switch (kind()) {
    case AddressKind::ipv6:
        return "[" + host() + "]:" + std::to_string(port());
    case AddressKind::ipv4:
    case AddressKind::hostname:
        return host() + ":" + std::to_string(port());
    case AddressKind::path: {
        std::string path = host();
        if (!path.empty() && path[0] == '\0')
            path[0] = '@';
        return path.empty() ? "an unnamed socket" : path;
    }
    case AddressKind::unspecified:
        break;
    }
    return "unspecified";
}

Address Address::withPort(Port port) const {
    switch (kind()) {
    case AddressKind::ipv4:
        return IPv4Address(get<IPv4Address>()->host(), port);
    case AddressKind::ipv6: {
        const auto& address = *get<IPv6Address>();
        return IPv6Address(address.host(), port, address.flowInfo(), address.scopeID());
    }
    case AddressKind::hostname:
        return HostnameAddress(get<HostnameAddress>()->hostname(), port);
    default:
        return *this;
    }
}

std::size_t Address::hash() const noexcept {
    const auto mix = [](std::size_t seed, std::size_t value) {
        return seed ^ (value + 0x9e3779b97f4a7c15u + (seed << 6) + (seed >> 2));
    };
    std::size_t hash = value_.index();
    const std::hash<std::string> text;
    switch (kind()) {
    case AddressKind::ipv4:
        hash = mix(hash, text(get<IPv4Address>()->host()));
        break;
    case AddressKind::ipv6:
        hash = mix(mix(hash, text(get<IPv6Address>()->host())), get<IPv6Address>()->scopeID());
        break;
    case AddressKind::path:
        hash = mix(hash, text(get<UNIXAddress>()->path()));
        break;
    case AddressKind::hostname:
        hash = mix(hash, text(get<HostnameAddress>()->hostname()));
        break;
    case AddressKind::unspecified:
        break;
    }
    return mix(hash, port());
}

namespace detail {

SocketAddress::SocketAddress() noexcept : length(capacity) {
    static_assert(capacity >= sizeof(sockaddr_storage));
    std::memset(room_, 0, sizeof room_);
}

SocketAddress::SocketAddress(const Address& address) : SocketAddress() {
    if (const auto* four = address.get<IPv4Address>()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(four->port());
        parseIPv4(four->host(), in.sin_addr);
        std::memcpy(room_, &in, length = sizeof in);
    } else if (const auto* six = address.get<IPv6Address>()) {
        sockaddr_in6 in{};
        std::string_view scope;
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(six->port());
        in.sin6_flowinfo = htonl(six->flowInfo());
        in.sin6_scope_id = six->scopeID();
        parseIPv6(six->host(), in.sin6_addr, scope);
        std::memcpy(room_, &in, length = sizeof in);
    } else if (const auto* local = address.get<UNIXAddress>()) {
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        const std::string& path = local->path();
        std::memcpy(un.sun_path, path.data(), path.size());
        const std::size_t terminator = !path.empty() && path[0] != '\0' ? 1 : 0;
        length = static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + path.size() + terminator);
        std::memcpy(room_, &un, length);
    } else {
        throw InvalidAddressError(address.text(), "a numeric address such as 127.0.0.1 or ::1 is needed here");
    }
}

Address SocketAddress::address() const { return addressFromSockaddr(data(), length); }

int SocketAddress::family() const noexcept { return data()->sa_family; }

/// What the kernel has is no text that would have to be read.
struct KernelAddress {
    static IPv4Address of(const sockaddr_in& in) {
        IPv4Address address;
        address.host_ = textOf(in.sin_addr);
        address.port_ = ntohs(in.sin_port);
        return address;
    }
    static IPv6Address of(const sockaddr_in6& in) {
        IPv6Address address;
        address.host_ = textOf(in.sin6_addr);
        address.port_ = ntohs(in.sin6_port);
        address.flowInfo_ = ntohl(in.sin6_flowinfo);
        address.scopeID_ = in.sin6_scope_id;
        return address;
    }
};

Address addressFromSockaddr(const sockaddr* data, std::size_t length) {
    if (length < sizeof data->sa_family)
        return {};
    if (data->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
        sockaddr_in in;
        std::memcpy(&in, data, sizeof in);
        return KernelAddress::of(in);
    }
    if (data->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
        sockaddr_in6 in;
        std::memcpy(&in, data, sizeof in);
        return KernelAddress::of(in);
    }
    if (data->sa_family == AF_UNIX) {
        sockaddr_un un{};
        const std::size_t used = (std::min)(length, sizeof un);
        std::memcpy(&un, data, used);
        std::size_t path = used - offsetof(sockaddr_un, sun_path);
        if (path > 0 && un.sun_path[0] != '\0')
            path = strnlen(un.sun_path, path);
        const bool abstract = path > 0 && un.sun_path[0] == '\0';
        return UNIXAddress(
            std::string_view(un.sun_path, abstract ? path : (std::min)(path, std::size_t{107})));
    }
    return {};
}

SocketAddress socketName(int fd, bool peer) noexcept {
    SocketAddress name;
    socklen_t length = SocketAddress::capacity;
    if (fd >= 0 && (peer ? getpeername : getsockname)(fd, name.data(), &length) == 0)
        name.length = (std::min)(static_cast<std::uint32_t>(length), SocketAddress::capacity);
    return name;
}

Address socketAddress(int fd, bool peer) { return socketName(fd, peer).address(); }

bool isAddressLiteral(std::string_view host) noexcept {
    in_addr four{};
    in6_addr six{};
    std::string_view scope;
    return parseIPv4(host, four) || parseIPv6(host, six, scope);
}

} // namespace detail
} // namespace bine::inline v0
