#pragma once
// ConnectorState and PortState: what Connector and ListeningPort are handles to. OneConnection: what
// connectFactory() has under way. Internal; reactor's thread.
//
// They stand above the Network seam, and know the reactor only through its Room: after its death they are
// inert. Each call of user code may end them, their owners or the reactor: they look again after it.

#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <vector>

#include "bine/defer/home_thread.h"
#include "bine/defer/owner_links.h"
#include "bine/net/connect_attempt.h"
#include "bine/net/factory.h"
#include "bine/net/network.h"
#include "bine/net/room.h"
#include "bine/net/tcp.h"

namespace bine::inline v0::detail {

class ConnectorState final : public Room::Member, public std::enable_shared_from_this<ConnectorState> {
public:
    ConnectorState(const std::shared_ptr<Room>& room, Address destination,
                   std::shared_ptr<ClientFactory> factory, const TCPClientOptions& options,
                   std::source_location where);

    /// Ends the program if `call` of the handle came from another thread.
    void assertThread(const char* call) const {
        home_.check([&] { return std::string(call) + " of the connector to " + destination_.text(); });
    }
    static std::shared_ptr<ConnectorState> of(const Connector& connector) { return connector.state_; }

    void connect();
    void reconnect();
    void stopConnecting();
    void disconnect(Duration within);
    void abort();
    const Address& destination() const noexcept { return destination_; }
    Duration closeTimeout() const noexcept { return options_.closeTimeout(); }
    Connector::State state() const noexcept { return state_; }
    void own(OwnerHook& hook) { owners_.add(*this, hook); }
    void ownerDies() noexcept;
    void ownerDied();
    void reactorStopped() override { stopWaiting(); }

    // --- For factories that try again.

    /// Whether an attempt may follow: the connector is disconnected, and neither its user nor an owner nor the
    /// reactor has ended it, nor has it something else to do next.
    bool mayRetry() const noexcept;
    /// An attempt after that time, unless something else begins or ends before. REQUIRES: mayRetry().
    void connectLater(Clock& clock, Duration delay);
    /// Ends what waits and what is under way; a connection stays. No attempt follows until it is asked for.
    void giveUp();
    bool stopped() const noexcept { return stopped_; }
    /// Whether a callback of its protocol is on the stack.
    bool inHandler() const noexcept;
    /// Whether `protocol` is the one that its factory built for the present connection, or is connected by it.
    bool serves(const Protocol& protocol) const noexcept;

private:
    void begin(const std::shared_ptr<Room>& room);
    void connected(std::shared_ptr<Transport> transport);
    void failed(Failure reason);
    void lost(std::uint64_t connection, Failure reason);
    void over();
    void stopWaiting();

    std::weak_ptr<Room> room_;
    Address destination_;
    std::shared_ptr<ClientFactory> factory_;
    TCPClientOptions options_;
    const std::source_location where_; // of connectTCP()
    Connector::State state_ = Connector::State::disconnected;
    bool starting_ = false; // startFactory() is on the stack
    bool factoryStarted_ = false;
    bool silent_ = false;  // an owner died
    bool stopped_ = false; // its user ended it, and has asked for nothing since
    bool again_ = false;   // reconnect(): connect when this connection or attempt has ended
    std::shared_ptr<ConnectAttempt> attempt_; // while connecting, but for the time of buildProtocol()
    std::optional<Failure> cut_;              // what ended it during buildProtocol()
    std::weak_ptr<Transport> transport_;      // while connected
    std::weak_ptr<Protocol> protocol_;        // the same
    std::uint64_t connections_ = 0;           // so far: their ends may come late
    DelayedCall waiting_;                     // for the next attempt
    DelayedCall closing_;                     // the end of disconnect()'s patience
    const HomeThread home_;
    OwnerLinks<ConnectorState> owners_;
};

class PortState final : public Room::Member, public std::enable_shared_from_this<PortState> {
public:
    PortState(const std::shared_ptr<Room>& room, Address address, const TCPServerOptions& options,
              std::shared_ptr<Factory> factory, std::source_location where);

    /// Ends the program if `call` of the handle came from another thread.
    void assertThread(const char* call) const {
        home_.check([&] { return std::string(call) + " of the port " + address_.text(); });
    }
    /// Throws CannotListenError and what startFactory() throws.
    void start();
    Deferred<> stop(std::source_location where);
    void pause(bool on);
    bool listening() const noexcept { return listener_ != nullptr && !stopping_; }
    const Address& address() const noexcept { return address_; }
    void own(OwnerHook& hook) { owners_.add(*this, hook); }
    void ownerDies() noexcept { ownerless_ = stopping_ = true; }
    void ownerDied() { closeNow(); }
    void reactorStopped() override { closeNow(); }

private:
    void closeLater();
    void closeNow();
    static void tell(std::vector<Resolver<>> waiting, const std::optional<Failure>& failure);
    void accepted(const std::shared_ptr<Transport>& transport);
    /// One of the connections that may live.
    class Place;
    bool full() const noexcept { return maximum_ != 0 && connections_ >= maximum_; }
    void updateAccepting();

    std::weak_ptr<Room> room_;
    Address address_;
    int backlog_;
    std::size_t maximum_;         // of connections; 0: any number
    std::size_t connections_ = 0; // counted if there is a maximum
    bool paused_ = false;
    bool warned_ = false; // that it is full
    std::shared_ptr<Factory> factory_;
    const std::source_location where_; // of listenTCP()
    std::unique_ptr<StreamListener> listener_;
    bool starting_ = false; // start() is on the stack
    bool stopping_ = false;
    bool ownerless_ = false;          // an owner died
    std::vector<Resolver<>> waiting_; // for the end
    const HomeThread home_;
    OwnerLinks<PortState> owners_;
};

/// connectFactory(): one connection for one Deferred.
class OneConnection final : public std::enable_shared_from_this<OneConnection> {
public:
    using Made = std::shared_ptr<Protocol>;

    OneConnection(const std::shared_ptr<Room>& room, Address destination, std::shared_ptr<Factory> factory,
                  const TCPClientOptions& options, std::source_location where);
    /// Throws what startFactory() throws.
    Deferred<Made> start();

private:
    void cancel();
    void connected(std::shared_ptr<Transport> transport);
    Result<Made> attach(const std::shared_ptr<Transport>& transport);
    void failed(Failure reason);
    void stopFactory();
    void answer(Result<Made> outcome);

    std::weak_ptr<Room> room_;
    Address destination_;
    std::shared_ptr<Factory> factory_;
    TCPClientOptions options_;
    const std::source_location where_; // of connectFactory()
    std::unique_ptr<Resolver<Made>> answer_;  // null once it has fired
    DeferredRef given_;                       // the Deferred of answer_
    std::shared_ptr<ConnectAttempt> attempt_; // null once it has ended
    bool factoryStarted_ = false;
    bool attached_ = false;
    bool cancelled_ = false;
    bool ownerDied_ = false; // cancelled by that
};

} // namespace bine::inline v0::detail
