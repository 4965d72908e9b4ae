#pragma once
// Network: the seam between reactors and networking. Everything in net/ that connects, listens or resolves
// goes through it.
//
// A service of the reactor: the kernel's unless a reactor provides its own (a simulated one, a proxy, a
// completion port). Reactor's thread only. Connectors, ports, timeouts and factories stand above it once, so
// a new Network gets them for nothing.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/transport.h"

namespace bine::inline v0 {

class Reactor;

class BINE_EXPORT StreamOptions {
public:
    StreamOptions() {}
    /// The local address to connect from.
    StreamOptions& bindAddress(Address address) {
        bindAddress_ = std::move(address);
        return *this;
    }
    /// The place in the program that asked for the connection: what reports name.
    StreamOptions& askedAt(std::source_location where) {
        askedAt_ = where;
        return *this;
    }
    const std::optional<Address>& bindAddress() const noexcept { return bindAddress_; }
    const std::source_location& askedAt() const noexcept { return askedAt_; }

private:
    std::optional<Address> bindAddress_;
    std::source_location askedAt_;
};

/// A port that accepts. Its destructor closes it; transports that were accepted live on.
class BINE_EXPORT StreamListener {
public:
    virtual ~StreamListener();
    StreamListener(const StreamListener&) = delete;
    StreamListener& operator=(const StreamListener&) = delete;
    virtual Address address() const = 0;
    /// While false, new connections wait in the medium (the kernel's backlog) and `accepted` is not called. The default
    /// does nothing: the port then closes what comes meanwhile.
    virtual void setAccepting(bool on);

protected:
    StreamListener() = default;
};

class BINE_EXPORT Network {
public:
    virtual ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    /// Connects to a numeric address. The transport reads nothing until a protocol is attached, and closes if
    /// it is dropped before. Fails with the ConnectErrors of errors.h; cancelling ends the attempt. No
    /// deadline but the medium's own.
    virtual Deferred<std::shared_ptr<Transport>> connectStream(const Address& address,
                                                               const StreamOptions& options) = 0;
    /// Throws CannotListenError. `accepted` is called for each connection, in turns of the reactor; it
    /// attaches a protocol, or drops the transport.
    virtual std::unique_ptr<StreamListener>
    listenStream(const Address& address, int backlog,
                 Function<void(std::shared_ptr<Transport>)> accepted) = 0;
    /// The addresses of a name, with port 0, at least one, in the order in which to try them. Fails with
    /// DNSLookupError.
    virtual Deferred<std::vector<Address>> resolve(const std::string& name) = 0;

protected:
    Network() = default;
};

/// The reactor's network: what it provides, else the kernel's, made on first use. Throws Error if the reactor
/// has neither.
BINE_EXPORT std::shared_ptr<Network> networkOf(Reactor& reactor);

/// Connects a protocol with a transport made by somebody else, and keeps both until connectionLost(), or
/// until the reactor stops.
BINE_EXPORT void attach(Reactor& reactor, const std::shared_ptr<Transport>& transport,
                        const std::shared_ptr<Protocol>& protocol);

} // namespace bine::inline v0
