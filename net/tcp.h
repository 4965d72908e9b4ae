#pragma once
// TCP: connectors and listening ports (IReactorTCP).
//
// Reactor's thread only. Connector and ListeningPort are handles: copies mean the same thing, dropping them
// changes nothing, and they are safe to use after the reactor's death. TCP_NODELAY is on for all connections
// (Twisted has it off: with small writes coalesced by the reactor, Nagle's algorithm only adds latency);
// transport().as<TCPTransport>() changes it.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "bine/base/text_traits.h"
#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/mistakes.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/factory.h"
#include "bine/net/half_close.h"
#include "bine/net/protocol.h"

namespace bine::inline v0 {

class Reactor;

namespace detail {
class ConnectorState;
class PortState;
} // namespace detail

/// What a TCP transport can do beyond others: transport().as<TCPTransport>(). Of a closed one: false, and no
/// effect.
class BINE_EXPORT TCPTransport : public HalfCloseableTransport {
public:
    virtual bool getTcpNoDelay() const = 0;
    virtual void setTcpNoDelay(bool on) = 0;
    virtual bool getTcpKeepAlive() const = 0;
    virtual void setTcpKeepAlive(bool on) = 0;

protected:
    ~TCPTransport() = default;
};

class BINE_EXPORT TCPClientOptions {
public:
    TCPClientOptions() {}
    /// For the whole attempt, name resolution included: 30 s unless set.
    TCPClientOptions& connectTimeout(Delay time);
    /// The local address to connect from; port 0: any.
    TCPClientOptions& bindAddress(const TextArgument& host, Port port = 0) {
        bindAddress_ = Address::of(host, port);
        return *this;
    }
    /// How long Connector::disconnect() lets the connection send what waits: 10 s unless set.
    TCPClientOptions& closeTimeout(Delay timeout);
    Duration connectTimeout() const noexcept { return timeout_; }
    Duration closeTimeout() const noexcept { return closeTimeout_; }
    const std::optional<Address>& bindAddress() const noexcept { return bindAddress_; }

private:
    Duration timeout_ = std::chrono::seconds(30);
    Duration closeTimeout_ = std::chrono::seconds(10);
    std::optional<Address> bindAddress_;
};

class BINE_EXPORT TCPServerOptions {
public:
    TCPServerOptions() {}
    /// The address to listen on, a literal: "0.0.0.0" unless set; "::1" and the like make an IPv6 port.
    TCPServerOptions& listenOn(const TextArgument& host) {
        host_ = host.view();
        return *this;
    }
    /// How many connections the kernel holds ready for accepting: 50 unless set.
    TCPServerOptions& backlog(int connections) {
        backlog_ = connections;
        return *this;
    }
    /// How many connections of the port may live at a time, half-closed ones too; 0 (the default): no limit. At the
    /// limit the port stops accepting until one has ended. New clients wait in the backlog, and one warning is logged;
    /// the next one only after the number has fallen to half.
    TCPServerOptions& maximumConnections(std::size_t connections) {
        maximumConnections_ = connections;
        return *this;
    }
    const std::string& listenOn() const noexcept { return host_; }
    int backlog() const noexcept { return backlog_; }
    std::size_t maximumConnections() const noexcept { return maximumConnections_; }

private:
    std::string host_ = "0.0.0.0";
    int backlog_ = 50;
    std::size_t maximumConnections_ = 0;
};

/// A client's way to its server, for one connection after the other (IConnector).
class BINE_EXPORT Connector {
public:
    enum class State { disconnected, connecting, connected };

    Connector() = default;
    explicit Connector(std::shared_ptr<detail::ConnectorState> state) : state_(std::move(state)) {}

    /// Begins an attempt, in the place of a retry that waits. Throws std::logic_error unless disconnected, and
    /// what startFactory() throws. Once the reactor is gone, while its shutdown ends connections, and after an
    /// owner's death it does nothing.
    void connect() const;
    /// Connects now, in every state. Disconnected: begins an attempt, in the place of a retry that waits.
    /// Connecting: the attempt goes on. Connected: aborts the connection and connects again as soon as the
    /// factory has heard clientConnectionLost(). Does nothing where connect() does nothing.
    void reconnect() const;
    /// Ends the attempt: clientConnectionFailed(UserError), now; in buildProtocol(), when that has returned.
    /// Ends a retry that waits, without a call. No retry follows. Does nothing if there is neither.
    void stopConnecting() const;
    /// Ends the attempt or the retry as stopConnecting(); or loseConnection() of the connection, which is
    /// aborted if it has not ended after the given time (TCPClientOptions::closeTimeout()). No retry follows
    /// until connect() or reconnect() is called. Throws std::invalid_argument if the time is negative.
    void disconnect() const;
    void disconnect(Delay within) const;
    /// As disconnect(), without patience: the connection is aborted.
    void abort() const;
    /// What was asked for: a name stays a name.
    Address getDestination() const;
    State state() const;
    /// When `owner` dies: the attempt or the connection is aborted, and neither factory nor protocol hears
    /// more.
    template <class X>
    const Connector& ownedBy(X& owner) const {
        own(detail::hookOf(owner));
        return *this;
    }
    template <class X>
    const Connector& ownedBy(X* owner) const {
        return ownedBy(detail::ownerAt(owner));
    }
    explicit operator bool() const noexcept { return state_ != nullptr; }
    /// The same connector.
    bool operator==(const Connector&) const = default;

private:
    friend class detail::ConnectorState;
    void own(detail::OwnerHook& hook) const;
    std::shared_ptr<detail::ConnectorState> state_;
};

/// A port that accepts connections (IListeningPort).
class BINE_EXPORT ListeningPort {
public:
    ListeningPort() = default;
    explicit ListeningPort(std::shared_ptr<detail::PortState> state) : state_(std::move(state)) {}

    /// The address it listens on, or last did.
    Address getHost() const;
    bool listening() const;
    /// Closes the port in a later turn, then fires; established connections stay. Fails if stopFactory()
    /// threw. Fires at once if it does not listen.
    Deferred<> stopListening(std::source_location where = std::source_location::current()) const;
    /// Listens again after stopListening(), on the port number it had. Throws CannotListenError;
    /// std::logic_error if it listens. Does nothing where Connector::connect() does nothing.
    void startListening() const;
    /// Accepts no more until resumeAccepting(), in the present turn too: new clients wait in the backlog of the kernel, which
    /// refuses or ignores them when it is full. Established connections go on. Counts beyond stopListening(). No effect
    /// the second time.
    void pauseAccepting() const;
    void resumeAccepting() const;
    /// As stopListening(), at once, when `owner` dies. Established connections stay.
    template <class X>
    const ListeningPort& ownedBy(X& owner) const {
        own(detail::hookOf(owner));
        return *this;
    }
    template <class X>
    const ListeningPort& ownedBy(X* owner) const {
        return ownedBy(detail::ownerAt(owner));
    }
    explicit operator bool() const noexcept { return state_ != nullptr; }
    bool operator==(const ListeningPort&) const = default;

private:
    void own(detail::OwnerHook& hook) const;
    std::shared_ptr<detail::PortState> state_;
};

/// Connects to a host, a literal or a name, and goes on for as long as the factory asks for it. The attempt
/// begins in a later turn.
BINE_EXPORT Connector connectTCP(Reactor& reactor, const TextArgument& host, Port port,
                                 std::shared_ptr<ClientFactory> factory,
                                 const TCPClientOptions& options = TCPClientOptions(),
                                 std::source_location where = std::source_location::current());

/// Refused in words: no factory for clients.
template <class X>
requires(!std::convertible_to<X, std::shared_ptr<ClientFactory>>)
Connector connectTCP(Reactor&, const TextArgument&, Port, X&&, const TCPClientOptions& = TCPClientOptions()) {
    if constexpr (std::convertible_to<X, std::shared_ptr<Protocol>>)
        static_assert(detail::accepted<X>, "connectTCP: takes a factory, and this is a protocol: write "
                                           "connectProtocol(reactor, host, port, protocol)");
    else if constexpr (std::convertible_to<X, std::shared_ptr<Factory>>)
        static_assert(detail::accepted<X>, "connectTCP: takes a ClientFactory, and this is a Factory: write "
                                           "ClientFactory::forProtocol<P>(), or connectFactory() for one connection");
    else
        static_assert(detail::accepted<X>, "connectTCP: takes a std::shared_ptr to a ClientFactory: write "
                                           "ClientFactory::forProtocol<P>()");
    return {};
}

/// Listens; port 0 picks one (see getHost()). Throws CannotListenError, InvalidAddressError.
BINE_EXPORT ListeningPort listenTCP(Reactor& reactor, Port port, std::shared_ptr<Factory> factory,
                                    const TCPServerOptions& options = TCPServerOptions(),
                                    std::source_location where = std::source_location::current());

/// Refused in words: no factory.
template <class X>
requires(!std::convertible_to<X, std::shared_ptr<Factory>>)
ListeningPort listenTCP(Reactor&, Port, X&&, const TCPServerOptions& = TCPServerOptions()) {
    static_assert(detail::accepted<X>, "listenTCP: takes a factory, which makes a protocol for each connection: write "
                                       "Factory::forProtocol<P>()");
    return {};
}

/// One connection: fires with the protocol that the factory built, after its connectionMade(). Fails with
/// ConnectErrors, DNSLookupError, NoProtocol or what buildProtocol() threw. Cancelling ends the attempt with
/// ConnectingCancelledError; in buildProtocol() or connectionMade() it aborts the connection.
///
/// The owners of the Deferred own the connection too, as by Transport::ownedBy(): when the first of them dies, the
/// attempt ends or the connection is aborted, and the protocol hears nothing more. The owners of a coroutine that
/// awaits the Deferred, and of a chain that waits for it, count as well. An owner added after the Deferred has fired
/// does not: write transport().ownedBy(owner).
BINE_EXPORT Deferred<std::shared_ptr<Protocol>>
connectFactory(Reactor& reactor, const TextArgument& host, Port port, std::shared_ptr<Factory> factory,
               const TCPClientOptions& options = TCPClientOptions(),
               std::source_location where = std::source_location::current());

/// Refused in words: no factory.
template <class X>
requires(!std::convertible_to<X, std::shared_ptr<Factory>>)
detail::Refused connectFactory(Reactor&, const TextArgument&, Port, X&&,
                               const TCPClientOptions& = TCPClientOptions()) {
    static_assert(detail::accepted<X>,
                  "connectFactory: takes a std::shared_ptr to a Factory: write Factory::forProtocol<P>(), or "
                  "connectProtocol(reactor, host, port, std::make_shared<P>())");
    return {};
}

/// One connection for one protocol: fires with it, after its connectionMade(). Fails, and has owners, as
/// connectFactory().
template <class P>
requires std::derived_from<P, Protocol> Deferred<std::shared_ptr<P>>
connectProtocol(Reactor& reactor, const TextArgument& host, Port port, std::shared_ptr<P> protocol,
                const TCPClientOptions& options = TCPClientOptions(),
                std::source_location where = std::source_location::current()) {
    // Hands the protocol over: a factory that kept it would keep itself, through the protocol's factory().
    auto factory = Factory::make([protocol = std::move(protocol)](const Address&) mutable {
        return std::exchange(protocol, nullptr);
    });
    factory->noisy = false;
    return connectFactory(reactor, host, port, std::move(factory), options, where)
        .addCallback(
            [](std::shared_ptr<Protocol> made) { return std::static_pointer_cast<P>(std::move(made)); });
}

/// Refused in words: no std::shared_ptr to a protocol.
template <class X>
requires(!std::convertible_to<X, std::shared_ptr<Protocol>>)
detail::Refused connectProtocol(Reactor&, const TextArgument&, Port, X&&,
                                const TCPClientOptions& = TCPClientOptions()) {
    static_assert(detail::accepted<X>, "connectProtocol: takes a std::shared_ptr to a protocol: write "
                                       "connectProtocol(reactor, host, port, std::make_shared<P>())");
    return {};
}

} // namespace bine::inline v0
