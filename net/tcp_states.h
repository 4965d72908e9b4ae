#pragma once
// ConnectorState and PortState: what Connector and ListeningPort are handles to. Internal; reactor's thread.
//
// They stand above the Network seam, and know the reactor only through a weak_ptr to its Room: after its
// death they are inert.

#include <memory>
#include <vector>

#include "bine/defer/owner_links.h"
#include "bine/net/connect_attempt.h"
#include "bine/net/factory.h"
#include "bine/net/network.h"
#include "bine/net/room.h"
#include "bine/net/tcp.h"

namespace bine::inline v0::detail {

class ConnectorState final : public std::enable_shared_from_this<ConnectorState> {
public:
    ConnectorState(const std::shared_ptr<Room>& room, Address destination,
                   std::shared_ptr<ClientFactory> factory, const TCPClientOptions& options);

    void connect();
    void stopConnecting();
    void disconnect();
    const Address& destination() const noexcept { return destination_; }
    Connector::State state() const noexcept { return state_; }
    void own(OwnerHook& hook) { owners_.add(*this, hook); }
    void ownerDies() noexcept;
    void ownerDied();

private:
    void connected(const std::shared_ptr<Transport>& transport);
    void failed(const Failure& reason);
    void lost(const Failure& reason);
    void stopFactoryUnlessReconnecting();

    std::weak_ptr<Room> room_;
    Address destination_;
    std::shared_ptr<ClientFactory> factory_;
    TCPClientOptions options_;
    Connector::State state_ = Connector::State::disconnected;
    bool factoryStarted_ = false;
    bool silent_ = false;                     // an owner died
    std::shared_ptr<ConnectAttempt> attempt_; // while connecting
    std::weak_ptr<Transport> transport_;      // while connected
    OwnerLinks<ConnectorState> owners_;
};

class PortState final : public Room::Member, public std::enable_shared_from_this<PortState> {
public:
    PortState(const std::shared_ptr<Room>& room, Address address, int backlog,
              std::shared_ptr<Factory> factory);

    /// Throws CannotListenError and what startFactory() throws.
    void start();
    Deferred<> stop();
    bool listening() const noexcept { return listener_ != nullptr && !stopping_; }
    const Address& address() const noexcept { return address_; }
    void own(OwnerHook& hook) { owners_.add(*this, hook); }
    void ownerDies() noexcept { stopping_ = true; }
    void ownerDied() { closeNow(); }
    void reactorStopped() override { closeNow(); }

private:
    void closeNow();
    void accepted(const std::shared_ptr<Transport>& transport);

    std::weak_ptr<Room> room_;
    Address address_;
    int backlog_;
    std::shared_ptr<Factory> factory_;
    std::unique_ptr<StreamListener> listener_;
    bool stopping_ = false;
    std::vector<Resolver<>> waiting_; // for the end
    OwnerLinks<PortState> owners_;
};

} // namespace bine::inline v0::detail
