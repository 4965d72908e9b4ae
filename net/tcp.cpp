#include "bine/net/tcp.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/tcp_states.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0 {

namespace {

const Logger& logger() {
    static const Logger log("bine.tcp");
    return log;
}

/// What connects when the factory has no protocol: it hears nothing and says nothing.
class NobodyHome final : public Protocol {};

StreamOptions streamOptions(const TCPClientOptions& options) {
    StreamOptions stream;
    if (options.bindAddress())
        stream.bindAddress(*options.bindAddress());
    return stream;
}

std::shared_ptr<Protocol> build(const std::shared_ptr<Factory>& factory, const Address& peer) {
    auto protocol = factory->buildProtocol(peer);
    if (protocol && !protocol->factory())
        protocol->setFactory(factory);
    return protocol;
}

} // namespace

namespace detail {

// --- Connecting

ConnectorState::ConnectorState(const std::shared_ptr<Room>& room, Address destination,
                               std::shared_ptr<ClientFactory> factory, const TCPClientOptions& options)
    : room_(room), destination_(std::move(destination)), factory_(std::move(factory)), options_(options) {}

void ConnectorState::connect() {
    if (state_ != Connector::State::disconnected)
        throw std::logic_error("connect: the connector is connecting or connected already");
    const auto self = shared_from_this();
    const auto room = room_.lock();
    if (!room || silent_)
        return logger().debug("Not connecting to " + destination_.text() +
                              ": the reactor or an owner is gone");
    if (!factoryStarted_) {
        factory_->doStart();
        factoryStarted_ = true;
    }
    state_ = Connector::State::connecting;
    attempt_ = std::make_shared<ConnectAttempt>(room, destination_, streamOptions(options_));
    attempt_->start(options_.timeout())
        .addCallbacks([self](std::shared_ptr<Transport> transport) { self->connected(transport); },
                      [self](const Failure& reason) { self->failed(reason); });
    Connector connector(self);
    guarded("Unhandled error in startedConnecting()", [&] { factory_->startedConnecting(connector); });
}

void ConnectorState::stopConnecting() {
    if (state_ != Connector::State::connecting)
        throw NotConnectingError("stopConnecting: the connector is not connecting");
    const auto attempt = attempt_;
    attempt->fail(UserError(destination_.text()));
}

void ConnectorState::disconnect() {
    if (state_ == Connector::State::connecting)
        return stopConnecting();
    if (const auto transport = transport_.lock(); transport && state_ == Connector::State::connected)
        transport->loseConnection();
}

void ConnectorState::ownerDies() noexcept {
    silent_ = true;
    if (const auto transport = transport_.lock())
        TransportAccess::hush(*transport);
}

void ConnectorState::ownerDied() {
    const auto self = shared_from_this();
    silent_ = true;
    if (const auto attempt = attempt_)
        attempt->fail(UserError(destination_.text(), "the owner is gone"));
    if (const auto transport = transport_.lock())
        TransportAccess::silence(*transport);
}

void ConnectorState::connected(const std::shared_ptr<Transport>& transport) {
    attempt_ = nullptr;
    const auto room = room_.lock();
    if (!room || silent_)
        return failed(UserError(destination_.text(), "nobody waits for it any more"));
    std::optional<Failure> failure;
    try {
        auto protocol = build(factory_, transport->getPeer());
        const bool refused = !protocol;
        if (refused)
            protocol = std::make_shared<NobodyHome>();
        state_ = Connector::State::connected;
        transport_ = transport;
        TransportAccess::afterLoss(
            *transport, [self = shared_from_this()](const Failure& reason) { self->lost(reason); });
        room->attach(transport, protocol);
        if (refused)
            transport->loseConnection();
    } catch (...) {
        logCurrentException("Unhandled error in building a protocol");
        failure = failureOfCurrentException();
    }
    if (failure)
        failed(*failure);
}

void ConnectorState::failed(const Failure& reason) {
    const auto self = shared_from_this();
    attempt_ = nullptr;
    state_ = Connector::State::disconnected;
    Connector connector(self);
    if (!silent_)
        guarded("Unhandled error in clientConnectionFailed()",
                [&] { factory_->clientConnectionFailed(connector, reason); });
    stopFactoryUnlessReconnecting();
}

void ConnectorState::lost(const Failure& reason) {
    const auto self = shared_from_this();
    transport_.reset();
    state_ = Connector::State::disconnected;
    Connector connector(self);
    if (!silent_)
        guarded("Unhandled error in clientConnectionLost()",
                [&] { factory_->clientConnectionLost(connector, reason); });
    stopFactoryUnlessReconnecting();
}

void ConnectorState::stopFactoryUnlessReconnecting() {
    if (state_ != Connector::State::disconnected || !std::exchange(factoryStarted_, false))
        return;
    guarded("Unhandled error in stopFactory()", [&] { factory_->doStop(); });
}

// --- Listening

PortState::PortState(const std::shared_ptr<Room>& room, Address address, int backlog,
                     std::shared_ptr<Factory> factory)
    : room_(room), address_(std::move(address)), backlog_(backlog), factory_(std::move(factory)) {}

void PortState::start() {
    const auto room = room_.lock();
    if (!room)
        return logger().debug("Not listening on " + address_.text() + ": the reactor is gone");
    if (listener_)
        throw std::logic_error("startListening: the port listens already");
    auto listener = networkOf(room->reactor())
                        ->listenStream(address_, backlog_,
                                       [weak = weak_from_this()](std::shared_ptr<Transport> transport) {
                                           if (const auto port = weak.lock())
                                               port->accepted(transport);
                                       });
    factory_->doStart();
    listener_ = std::move(listener);
    address_ = listener_->address();
    stopping_ = false;
    room->add(shared_from_this());
    const LogScope scope(LogContext(factory_->logPrefix()));
    logger().info("starting on " + std::to_string(address_.port()));
}

Deferred<> PortState::stop() {
    if (!listener_)
        return succeed();
    auto result = waiting_.emplace_back().deferred();
    if (std::exchange(stopping_, true))
        return result;
    const auto room = room_.lock();
    if (room)
        room->reactor().callLater(Duration::zero(), [self = shared_from_this()] { self->closeNow(); });
    else
        closeNow();
    return result;
}

void PortState::closeNow() {
    const auto self = shared_from_this();
    if (const auto room = room_.lock())
        room->remove(*this);
    if (!listener_)
        return;
    auto listener = std::move(listener_);
    listener_ = nullptr;
    stopping_ = false;
    auto waiting = std::exchange(waiting_, {});
    std::optional<Failure> failure;
    {
        const LogScope scope(LogContext(factory_->logPrefix()));
        listener.reset();
        logger().info("port " + std::to_string(address_.port()) + " closed");
        try {
            factory_->doStop();
        } catch (...) {
            failure = failureOfCurrentException();
            if (waiting.empty())
                logCurrentException("Unhandled error in stopFactory()");
        }
    }
    for (auto& resolver : waiting) {
        if (resolver.called())
            continue;
        if (failure)
            resolver.errback(*failure);
        else
            resolver.callback();
    }
}

// An exception of buildProtocol() is caught and logged by the listener; the transport closes as it is
// dropped.
void PortState::accepted(const std::shared_ptr<Transport>& transport) {
    const auto self = shared_from_this();
    const auto room = room_.lock();
    if (!room || !listening())
        return;
    const auto factory = factory_;
    std::shared_ptr<Protocol> protocol;
    LogScope scope([](void* factory) { return LogContext(static_cast<Factory*>(factory)->logPrefix()); }, factory.get());
    if (!guarded("Unhandled error in buildProtocol()",
                 [&] { protocol = build(factory, transport->getPeer()); }) ||
        !protocol)
        return;
    room->attach(transport, protocol);
}

} // namespace detail

// --- The handles

TCPClientOptions& TCPClientOptions::timeout(Delay timeout) {
    if (timeout.value() < Duration::zero())
        throw std::invalid_argument("TCPClientOptions: the timeout is negative");
    timeout_ = timeout.value();
    return *this;
}

void Connector::connect() const {
    if (state_)
        state_->connect();
}
void Connector::stopConnecting() const {
    if (!state_)
        throw NotConnectingError("stopConnecting: there is no connector");
    state_->stopConnecting();
}
void Connector::disconnect() const {
    if (state_)
        state_->disconnect();
}
Address Connector::getDestination() const { return state_ ? state_->destination() : Address(); }
Connector::State Connector::state() const { return state_ ? state_->state() : State::disconnected; }
void Connector::own(detail::OwnerHook& hook) const {
    if (state_)
        state_->own(hook);
}

Address ListeningPort::getHost() const { return state_ ? state_->address() : Address(); }
bool ListeningPort::listening() const { return state_ && state_->listening(); }
Deferred<> ListeningPort::stopListening() const { return state_ ? state_->stop() : succeed(); }
void ListeningPort::startListening() const {
    if (state_)
        state_->start();
}
void ListeningPort::own(detail::OwnerHook& hook) const {
    if (state_)
        state_->own(hook);
}

Connector connectTCP(Reactor& reactor, std::string_view host, Port port,
                     std::shared_ptr<ClientFactory> factory, const TCPClientOptions& options) {
    if (!factory)
        throw std::invalid_argument("connectTCP: there is no factory");
    auto state = std::make_shared<detail::ConnectorState>(detail::Room::of(reactor), Address::of(host, port),
                                                          std::move(factory), options);
    state->connect();
    return Connector(std::move(state));
}

ListeningPort listenTCP(Reactor& reactor, Port port, std::shared_ptr<Factory> factory,
                        const TCPServerOptions& options) {
    if (!factory)
        throw std::invalid_argument("listenTCP: there is no factory");
    Address address = Address::of(options.interface().empty() ? "0.0.0.0" : options.interface(), port);
    auto state = std::make_shared<detail::PortState>(detail::Room::of(reactor), std::move(address),
                                                     options.backlog(), std::move(factory));
    state->start();
    return ListeningPort(std::move(state));
}

namespace {

std::shared_ptr<Protocol> connectOnce(const std::shared_ptr<detail::Room>& room,
                                      const std::shared_ptr<Factory>& factory,
                                      const std::shared_ptr<Transport>& transport) {
    auto protocol = build(factory, transport->getPeer());
    if (!protocol)
        throw NoProtocol("the factory built no protocol for " + transport->getPeer().text());
    detail::TransportAccess::afterLoss(*transport, [factory](const Failure&) { factory->doStop(); });
    room->attach(transport, protocol);
    return protocol;
}

} // namespace

Deferred<std::shared_ptr<Protocol>> connectFactory(Reactor& reactor, std::string_view host, Port port,
                                                   std::shared_ptr<Factory> factory,
                                                   const TCPClientOptions& options) {
    using Made = std::shared_ptr<Protocol>;
    if (!factory)
        throw std::invalid_argument("connectFactory: there is no factory");
    try {
        const auto room = detail::Room::of(reactor);
        auto attempt =
            std::make_shared<detail::ConnectAttempt>(room, Address::of(host, port), streamOptions(options));
        factory->doStart();
        // The factory is stopped once: after the loss of a connection that came about, else by whatever went
        // wrong.
        return attempt->start(options.timeout())
            .addCallbacks(
                [factory,
                 weak = std::weak_ptr<detail::Room>(room)](std::shared_ptr<Transport> transport) -> Made {
                    const auto room = weak.lock();
                    if (!room)
                        throw ConnectingCancelledError(transport->getPeer().text());
                    return connectOnce(room, factory, transport);
                },
                [](const Failure& reason) -> Result<Made> { return reason; })
            .addErrback([factory](const Failure& reason) -> Result<Made> {
                factory->doStop();
                return reason;
            });
    } catch (...) {
        return fail<Made>(detail::failureOfCurrentException());
    }
}

} // namespace bine::inline v0
