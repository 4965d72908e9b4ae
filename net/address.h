#pragma once
// Addresses: where a peer is. Values; any thread. Addresses are checked when they are made, never when they
// are used.
//
// IPv4Address, IPv6Address, UNIXAddress and HostnameAddress are the kinds; Address holds one of them, or
// nothing (the peer of a transport that has no address). Hosts of IP addresses are numeric and in canonical
// text form; a name is a HostnameAddress.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "bine/base/text_traits.h"
#include "bine/log/export.h"

struct sockaddr;

namespace bine::inline v0 {

namespace detail {
struct KernelAddress;
}

/// A TCP or UDP port, by number or by a service's name ("http"). Throws InvalidAddressError or
/// ServiceNameUnknownError when made.
class BINE_EXPORT Port {
public:
    Port(int number);
    Port(std::string_view nameOrNumber);
    Port(const char* nameOrNumber) : Port(std::string_view(nameOrNumber)) {}
    Port(const std::string& nameOrNumber) : Port(std::string_view(nameOrNumber)) {}
    std::uint16_t number() const noexcept { return number_; }
    bool operator==(const Port&) const = default;

private:
    std::uint16_t number_;
};

class BINE_EXPORT IPv4Address {
public:
    /// "127.0.0.1"; throws InvalidAddressError for anything but four numbers with dots.
    IPv4Address(std::string_view host, Port port);
    const std::string& host() const noexcept { return host_; }
    std::uint16_t port() const noexcept { return port_; }
    bool operator==(const IPv4Address&) const = default;

private:
    friend struct detail::KernelAddress;
    IPv4Address() noexcept = default;
    std::string host_;
    std::uint16_t port_ = 0;
};

class BINE_EXPORT IPv6Address {
public:
    /// "::1", "[::1]", "fe80::1%eth0" or "fe80::1%2" (a scope in the text overrides scopeID); throws
    /// InvalidAddressError.
    IPv6Address(std::string_view host, Port port, std::uint32_t flowInfo = 0, std::uint32_t scopeID = 0);
    /// Without the scope.
    const std::string& host() const noexcept { return host_; }
    std::uint16_t port() const noexcept { return port_; }
    std::uint32_t flowInfo() const noexcept { return flowInfo_; }
    std::uint32_t scopeID() const noexcept { return scopeID_; }
    bool operator==(const IPv6Address&) const = default;

private:
    friend struct detail::KernelAddress;
    IPv6Address() noexcept = default;
    std::string host_;
    std::uint16_t port_ = 0;
    std::uint32_t flowInfo_ = 0;
    std::uint32_t scopeID_ = 0;
};

class BINE_EXPORT UNIXAddress {
public:
    /// A path, "" (an unnamed peer), or an abstract name: a NUL followed by at most 107 bytes. Throws
    /// InvalidAddressError when too long.
    explicit UNIXAddress(std::string_view path);
    const std::string& path() const noexcept { return path_; }
    bool operator==(const UNIXAddress&) const = default;

private:
    std::string path_;
};

/// A name that has not been resolved.
class BINE_EXPORT HostnameAddress {
public:
    /// At most 1024 bytes, without NUL, colon and brackets; else throws InvalidAddressError.
    HostnameAddress(std::string_view hostname, Port port);
    const std::string& hostname() const noexcept { return hostname_; }
    std::uint16_t port() const noexcept { return port_; }
    bool operator==(const HostnameAddress&) const = default;

private:
    std::string hostname_;
    std::uint16_t port_;
};

enum class AddressKind : std::uint8_t { unspecified, ipv4, ipv6, path, hostname };

class BINE_EXPORT Address {
public:
    Address() = default;
    Address(IPv4Address address) : value_(std::move(address)) {}
    Address(IPv6Address address) : value_(std::move(address)) {}
    Address(UNIXAddress address) : value_(std::move(address)) {}
    Address(HostnameAddress address) : value_(std::move(address)) {}
    /// An IP literal becomes that kind of address, anything else a HostnameAddress. An IPv6 literal may stand
    /// in brackets: "[::1]". Throws InvalidAddressError, whose text says what to write instead.
    static Address of(const TextArgument& host, Port port);

    AddressKind kind() const noexcept { return static_cast<AddressKind>(value_.index()); }
    /// "127.0.0.1", "fe80::1%2", a name, or a path; empty when unspecified.
    std::string host() const;
    /// 0 for kinds without ports.
    std::uint16_t port() const noexcept;
    /// "127.0.0.1:80", "[::1]:80", "example.org:80", "/run/x", "unspecified".
    std::string text() const;
    /// The same with another port; unchanged for kinds without ports.
    Address withPort(Port port) const;
    /// The address if it is of that kind, else null: get<IPv4Address>().
    template <class Kind>
    const Kind* get() const noexcept {
        return std::get_if<Kind>(&value_);
    }
    bool operator==(const Address&) const = default;
    std::size_t hash() const noexcept;

private:
    std::variant<std::monostate, IPv4Address, IPv6Address, UNIXAddress, HostnameAddress> value_;
};

namespace detail {

/// Room for any address the kernel knows here, and how much of it is used.
class BINE_EXPORT SocketAddress {
public:
    SocketAddress() noexcept;
    /// Throws InvalidAddressError for names and unspecified addresses.
    explicit SocketAddress(const Address& address);
    Address address() const;

    sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(room_); }
    const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(room_); }
    int family() const noexcept;
    static constexpr std::uint32_t capacity = 128;
    std::uint32_t length = 0; ///< in: what the kernel may write; out: what it wrote

private:
    alignas(8) unsigned char room_[capacity];
};

/// The Address in `length` bytes that the kernel wrote; unspecified for unknown families and truncated data.
BINE_EXPORT Address addressFromSockaddr(const sockaddr* data, std::size_t length);
/// The address of this end or, with peer, of the other end of a socket; unspecified if the kernel does not
/// say.
BINE_EXPORT SocketAddress socketName(int fd, bool peer) noexcept;
BINE_EXPORT Address socketAddress(int fd, bool peer);
/// Whether the text is an IPv4 or IPv6 literal, the latter with or without a scope or brackets.
BINE_EXPORT bool isAddressLiteral(std::string_view host) noexcept;

} // namespace detail
} // namespace bine::inline v0

template <>
struct std::hash<bine::Address> {
    std::size_t operator()(const bine::Address& address) const noexcept { return address.hash(); }
};
