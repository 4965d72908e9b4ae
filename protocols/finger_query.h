#pragma once
// FingerQuery: who is asked, and about whom (RFC 1288, section 2.3). A value; any thread.
//
// People write "user@host", "@host" (who is there?), a port behind the host ("user@host:7979", "@[::1]:7979") and "/W" in front (the long
// answer). Links are read too: "finger://host[:port]/user" (draft-ietf-uri-url-finger). What goes over the wire is a line without the host; see line(). Forwarding, "user@a@b", is refused: it would make `b` ask `a` on
// behalf of somebody `a` cannot see.

#include <cstdint>
#include <string>
#include <string_view>

#include "bine/defer/errors.h"
#include "bine/log/export.h"
#include "bine/net/address.h"

namespace bine::inline v0 {

/// A query that cannot be asked. userMessage() says why, and what to write instead.
class BINE_EXPORT InvalidFingerQuery : public Error {
public:
    using Error::Error;
    ~InvalidFingerQuery() override;
};

class BINE_EXPORT FingerQuery {
public:
    static constexpr std::uint16_t defaultPort = 79;
    /// Longer queries are refused, links after decoding.
    static constexpr std::size_t maximumLength = 512;

    /// What a person wrote, or a link. `port` is used when the text names none. Throws InvalidFingerQuery.
    static FingerQuery parse(std::string_view text, Port port = defaultPort);
    /// What a server received, without the end of the line: "", "alice", "/W alice", "alice@elsewhere" (then isForwarding()). Throws InvalidFingerQuery.
    static FingerQuery parseLine(std::string_view line);

    /// Empty: everybody.
    const std::string& user() const noexcept { return user_; }
    /// A name or an address without brackets; empty in a query that a server received, unless it is to be forwarded.
    const std::string& host() const noexcept { return host_; }
    std::uint16_t port() const noexcept { return port_; }
    /// "/W" was given: the long answer is wanted.
    bool verbose() const noexcept { return verbose_; }
    /// The server is asked to ask another one.
    bool isForwarding() const noexcept { return forwarding_; }

    /// What is sent to the host: "/W alice\r\n".
    std::string line() const;
    /// As a person would write it, the port only when it is not 79.
    std::string text() const;

private:
    FingerQuery() = default;
    void setDestination(std::string_view text);
    void readLink(std::string_view link);

    std::string user_, host_;
    std::uint16_t port_ = defaultPort;
    bool verbose_ = false;
    bool forwarding_ = false;
};

}  // namespace bine::inline v0
