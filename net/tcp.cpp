#include "bine/net/tcp.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/log_prefix.h"
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
                               std::shared_ptr<ClientFactory> factory, const TCPClientOptions& options,
                               std::source_location where)
    : room_(room), destination_(std::move(destination)), factory_(std::move(factory)), options_(options), where_(where) {}

void ConnectorState::connect() {
    if (state_ != Connector::State::disconnected)
        throw std::logic_error("connect: the connector is connecting or connected already");
    const auto self = shared_from_this();
    const auto room = room_.lock();
    endDeadOwners();
    if (!room || !room->reactor() || silent_)
        return logger().debug("Not connecting to " + destination_.text() +
                              ": the reactor or an owner is gone");
    stopWaiting();
    stopped_ = false;
    if (starting_)
        return; // startFactory() is on the stack; the call below it goes on
    if (!factoryStarted_) {
        starting_ = true;
        try {
            factory_->doStart();
        } catch (...) {
            starting_ = false;
            throw;
        }
        starting_ = false;
        factoryStarted_ = true;
    }
    if (!room->reactor() || silent_ || stopped_)
        return over();
    begin(room);
}

void ConnectorState::begin(const std::shared_ptr<Room>& room) {
    const auto self = shared_from_this();
    again_ = false;
    state_ = Connector::State::connecting;
    attempt_ = std::make_shared<ConnectAttempt>(room, destination_, streamOptions(options_), where_);
    try {
        attempt_->start(options_.connectTimeout())
            .addCallbacks(
                [self](std::shared_ptr<Transport> transport) { self->connected(std::move(transport)); },
                [self](const Failure& reason) { self->failed(reason); });
    } catch (...) {
        attempt_ = nullptr;
        state_ = Connector::State::disconnected;
        over();
        throw;
    }
    Connector connector(self);
    if (state_ == Connector::State::connecting)
        guarded("Unhandled error in startedConnecting()", [&] { factory_->startedConnecting(connector); });
}

void ConnectorState::reconnect() {
    const auto self = shared_from_this();
    const auto room = room_.lock();
    if (!room || !room->reactor() || silent_)
        return;
    switch (state_) {
    case Connector::State::disconnected:
        return connect();
    case Connector::State::connecting:
        again_ = cut_.has_value(); // the attempt under way goes on, unless it has been ended already
        stopped_ = false;
        return;
    case Connector::State::connected:
        stopped_ = false;
        again_ = true;
        if (const auto transport = transport_.lock())
            transport->abortConnection();
        return;
    }
}

void ConnectorState::stopConnecting() {
    if (state_ == Connector::State::connecting || waiting_.active())
        giveUp();
}

void ConnectorState::giveUp() {
    const auto self = shared_from_this();
    stopped_ = true;
    again_ = false;
    stopWaiting();
    if (state_ != Connector::State::connecting)
        return;
    const UserError reason(destination_.text());
    if (const auto attempt = attempt_)
        attempt->fail(reason);
    else if (!cut_)
        cut_.emplace(reason); // buildProtocol() is on the stack
}

void ConnectorState::disconnect(Duration within) {
    if (within < Duration::zero())
        throw std::invalid_argument("disconnect: the time is negative");
    const auto self = shared_from_this();
    giveUp();
    const auto transport = transport_.lock();
    if (!transport || state_ != Connector::State::connected)
        return;
    const auto room = room_.lock();
    Reactor* const reactor = room ? room->reactor() : nullptr;
    if (reactor && (!closing_.active() || closing_.getTime() > reactor->now() + within)) {
        if (closing_.active())
            closing_.cancel();
        closing_ = reactor->callLater(Delay(within, where_), [weak = weak_from_this()] {
            if (const auto connector = weak.lock())
                connector->abort();
        });
    }
    transport->loseConnection();
}

void ConnectorState::abort() {
    const auto self = shared_from_this();
    giveUp();
    if (const auto transport = transport_.lock(); transport && state_ == Connector::State::connected)
        transport->abortConnection();
}

void ConnectorState::ownerDies() noexcept {
    silent_ = true;
    if (const auto transport = transport_.lock())
        TransportAccess::hush(*transport);
}

void ConnectorState::ownerDied() {
    const auto self = shared_from_this();
    silent_ = true;
    stopWaiting();
    if (const auto attempt = attempt_)
        attempt->fail(UserError(destination_.text(), "the owner is gone"));
    if (const auto transport = transport_.lock())
        TransportAccess::silence(*transport);
}

void ConnectorState::connected(std::shared_ptr<Transport> transport) {
    const auto self = shared_from_this();
    endDeadOwners();
    attempt_ = nullptr;
    cut_.reset();
    std::shared_ptr<Protocol> protocol;
    std::optional<Failure> failure;
    try {
        if (!silent_)
            protocol = build(factory_, transport->getPeer());
    } catch (...) {
        logCurrentException("Unhandled error in building a protocol");
        failure = failureOfCurrentException();
    }
    const auto room = room_.lock();
    if (!room || !room->reactor())
        failure = UserError(destination_.text(), "the reactor has stopped");
    else if (silent_)
        failure = UserError(destination_.text(), "the owner is gone");
    else if (cut_)
        failure = *cut_;
    cut_.reset();
    if (!failure) {
        const bool refused = !protocol;
        if (refused)
            protocol = std::make_shared<NobodyHome>();
        state_ = Connector::State::connected;
        transport_ = transport;
        protocol_ = protocol;
        const std::uint64_t connection = ++connections_;
        TransportAccess::afterLoss(
            *transport, [self, connection](const Failure& reason) { self->lost(connection, reason); });
        try {
            room->attach(transport, protocol);
            if (refused)
                transport->loseConnection();
            return;
        } catch (...) {
            logCurrentException("Unhandled error in connecting a protocol");
            failure = failureOfCurrentException();
        }
        if (connection != connections_ || state_ != Connector::State::connected)
            return; // it has ended all the same
        transport_.reset();
        protocol_.reset();
    }
    if (silent_)
        transport->abortConnection();
    failed(*failure);
}

void ConnectorState::failed(Failure reason) {
    const auto self = shared_from_this();
    endDeadOwners();
    attempt_ = nullptr;
    state_ = Connector::State::disconnected;
    Connector connector(self);
    if (!silent_)
        guarded("Unhandled error in clientConnectionFailed()",
                [&] { factory_->clientConnectionFailed(connector, reason); });
    over();
}

void ConnectorState::lost(std::uint64_t connection, Failure reason) {
    if (connection != connections_ || state_ != Connector::State::connected)
        return;
    const auto self = shared_from_this();
    endDeadOwners();
    transport_.reset();
    protocol_.reset();
    state_ = Connector::State::disconnected;
    if (closing_.active())
        closing_.cancel();
    Connector connector(self);
    if (!silent_)
        guarded("Unhandled error in clientConnectionLost()",
                [&] { factory_->clientConnectionLost(connector, reason); });
    over();
}

// The factory has heard of the end: what follows it.
void ConnectorState::over() {
    if (state_ != Connector::State::disconnected)
        return;
    if (std::exchange(again_, false))
        guarded("Unhandled error in connecting again", [this] { connect(); });
    if (state_ != Connector::State::disconnected || !std::exchange(factoryStarted_, false))
        return;
    guarded("Unhandled error in stopFactory()", [&] { factory_->doStop(); });
}

bool ConnectorState::mayRetry() const noexcept {
    const auto room = room_.lock();
    return room && room->reactor() && state_ == Connector::State::disconnected && !silent_ && !stopped_ &&
           !again_;
}

// The Room keeps it meanwhile, since a clock may live longer than the reactor.
void ConnectorState::connectLater(Clock& clock, Duration delay) {
    const auto self = shared_from_this();
    stopWaiting();
    if (const auto room = room_.lock())
        room->add(self);
    waiting_ = clock.callLater(Delay(delay, where_), [weak = weak_from_this()] {
        const auto connector = weak.lock();
        if (connector && connector->mayRetry())
            connector->connect();
    });
}

void ConnectorState::stopWaiting() {
    const auto self = shared_from_this();
    if (waiting_.active())
        waiting_.cancel();
    waiting_ = {};
    if (const auto room = room_.lock())
        room->remove(*this);
}

bool ConnectorState::inHandler() const noexcept {
    const auto transport = transport_.lock();
    return transport && TransportAccess::inHandler(*transport);
}

bool ConnectorState::serves(const Protocol& protocol) const noexcept {
    return protocol_.lock().get() == &protocol ||
           (protocol.connected() && transport_.lock().get() == &protocol.transport());
}

// --- One connection

OneConnection::OneConnection(const std::shared_ptr<Room>& room, Address destination,
                             std::shared_ptr<Factory> factory, const TCPClientOptions& options,
                             std::source_location where)
    : room_(room), destination_(std::move(destination)), factory_(std::move(factory)), options_(options), where_(where) {}

Deferred<std::shared_ptr<Protocol>> OneConnection::start() {
    const auto self = shared_from_this();
    factory_->doStart();
    factoryStarted_ = true;
    answer_ = std::make_unique<Resolver<Made>>([weak = weak_from_this()] {
        if (const auto connection = weak.lock())
            connection->cancel();
    });
    auto result = answer_->deferred(where_);
    given_ = result.ref();
    attempt_ = std::make_shared<ConnectAttempt>(room_.lock(), destination_, streamOptions(options_), where_);
    attempt_->start(options_.connectTimeout())
        .addCallbacks([self](std::shared_ptr<Transport> transport) { self->connected(std::move(transport)); },
                      [self](const Failure& reason) { self->failed(reason); });
    return result;
}

void OneConnection::cancel() {
    const auto self = shared_from_this();
    cancelled_ = true;
    ownerDied_ = DeferredOwners::died(given_);
    const ConnectingCancelledError reason(destination_.text());
    if (const auto attempt = attempt_)
        attempt->fail(reason);
    else
        answer(reason); // user code is on the stack; connected() goes on when it has returned
}

void OneConnection::connected(std::shared_ptr<Transport> transport) {
    attempt_ = nullptr;
    Result<Made> outcome = attach(transport);
    // A cancellation has answered. An owner has ended the transport itself: what is to be sent is sent.
    if (cancelled_ && (!attached_ || !ownerDied_))
        transport->abortConnection();
    if (!attached_)
        stopFactory();
    answer(std::move(outcome));
}

Result<OneConnection::Made> OneConnection::attach(const std::shared_ptr<Transport>& transport) {
    try {
        Made protocol = build(factory_, transport->getPeer());
        const auto room = room_.lock();
        endDeadOwners();
        if (cancelled_ || DeferredOwners::died(given_) || !room || !room->reactor())
            return Failure(ConnectingCancelledError(destination_.text()));
        if (!protocol)
            return Failure(NoProtocol("the factory built no protocol for " + transport->getPeer().text()));
        TransportAccess::afterLoss(*transport,
                                   [self = shared_from_this()](const Failure&) { self->stopFactory(); });
        TransportAccess::shareOwners(*transport, given_);
        room->attach(transport, protocol);
        attached_ = true;
        if (!DeferredOwners::died(given_))
            TransportAccess::shareOwners(*transport, given_); // connectionMade() may have given it others
        return protocol;
    } catch (...) {
        return failureOfCurrentException();
    }
}

void OneConnection::failed(Failure reason) {
    attempt_ = nullptr;
    stopFactory();
    answer(std::move(reason));
}

// After the loss of a connection that came about, else by what went wrong.
void OneConnection::stopFactory() {
    if (std::exchange(factoryStarted_, false))
        guarded("Unhandled error in stopFactory()", [&] { factory_->doStop(); });
}

void OneConnection::answer(Result<Made> outcome) {
    const auto answer = std::move(answer_);
    if (answer && !answer->called())
        answer->callback(std::move(outcome));
}

// --- Listening

class PortState::Place {
public:
    explicit Place(PortState& port) : port_(port.weak_from_this()) {
        ++port.connections_;
        port.updateAccepting();
    }
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
        const auto port = port_.lock();
        if (!port)
            return;
        --port->connections_;
        guarded("Unhandled error in accepting again", [&] { port->updateAccepting(); });
    }

private:
    std::weak_ptr<PortState> port_; // empty once moved from
};

PortState::PortState(const std::shared_ptr<Room>& room, Address address, const TCPServerOptions& options,
                     std::shared_ptr<Factory> factory, std::source_location where)
    : room_(room), address_(std::move(address)), backlog_(options.backlog()), maximum_(options.maximumConnections()),
      factory_(std::move(factory)), where_(where) {}

void PortState::pause(bool on) {
    paused_ = on;
    updateAccepting();
}

void PortState::updateAccepting() {
    if (full() && !std::exchange(warned_, true))
        logger().warn("Port " + std::to_string(address_.port()) + " has " + std::to_string(connections_) +
                      " connections (maximum " + std::to_string(maximum_) +
                      "); new clients wait until one ends");
    else if (connections_ <= maximum_ / 2)
        warned_ = false;
    if (listener_)
        listener_->setAccepting(!paused_ && !full());
}

void PortState::start() {
    const auto self = shared_from_this();
    const auto room = room_.lock();
    if (!room || !room->reactor() || ownerless_)
        return logger().debug("Not listening on " + address_.text() + ": the reactor or an owner is gone");
    if (listener_ || starting_)
        throw std::logic_error("startListening: the port listens already");
    std::unique_ptr<StreamListener> listener;
    starting_ = true;
    stopping_ = false;
    try {
        listener = networkOf(*room->reactor())
                       ->listenStream(address_, backlog_,
                                      [weak = weak_from_this()](std::shared_ptr<Transport> transport) {
                                          if (const auto port = weak.lock())
                                              port->accepted(transport);
                                      });
        address_ = listener->address();
        factory_->doStart();
    } catch (...) {
        starting_ = false;
        tell(std::exchange(waiting_, {}), std::nullopt); // of a stopListening() meanwhile
        throw;
    }
    starting_ = false;
    listener_ = std::move(listener);
    updateAccepting();
    room->add(self);
    if (!room->reactor() || ownerless_)
        return closeNow();
    if (stopping_)
        return closeLater();
    const LogScope scope(LogContext(prefixOf(*factory_)));
    logger().info("starting on " + std::to_string(address_.port()));
}

Deferred<> PortState::stop(std::source_location where) {
    if (!listener_ && !starting_)
        return succeed();
    auto result = waiting_.emplace_back().deferred(where);
    if (!std::exchange(stopping_, true) && listener_)
        closeLater();
    return result;
}

void PortState::closeLater() {
    const auto room = room_.lock();
    if (Reactor* const reactor = room ? room->reactor() : nullptr)
        reactor->callLater(Delay(Duration::zero(), where_), [self = shared_from_this()] { self->closeNow(); });
    else
        closeNow();
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
        const LogScope scope(LogContext(prefixOf(*factory_)));
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
    tell(std::move(waiting), failure);
}

void PortState::tell(std::vector<Resolver<>> waiting, const std::optional<Failure>& failure) {
    for (auto& resolver : waiting) {
        if (resolver.called())
            continue;
        if (failure)
            resolver.errback(*failure);
        else
            resolver.callback();
    }
}

// The transport closes as it is dropped.
void PortState::accepted(const std::shared_ptr<Transport>& given) {
    const auto self = shared_from_this();
    const auto transport = given;
    endDeadOwners();
    const auto room = room_.lock();
    if (!room || !room->reactor() || !listening() || paused_ || full())
        return;
    if (maximum_ != 0)
        TransportAccess::afterLoss(*transport, [place = Place(*this)](const Failure&) {});
    const auto factory = factory_;
    std::shared_ptr<Protocol> protocol;
    const LogScope scope([](void* factory) { return LogContext(prefixOf(*static_cast<Factory*>(factory))); },
                         factory.get());
    if (!guarded("Unhandled error in buildProtocol()",
                 [&] { protocol = build(factory, transport->getPeer()); }) ||
        !protocol || !room->reactor())
        return;
    room->attach(transport, protocol);
}

} // namespace detail

// --- The handles

TCPClientOptions& TCPClientOptions::connectTimeout(Delay time) {
    if (time.value() < Duration::zero())
        throw std::invalid_argument("TCPClientOptions: connectTimeout must not be negative");
    timeout_ = time.value();
    return *this;
}

TCPClientOptions& TCPClientOptions::closeTimeout(Delay timeout) {
    if (timeout.value() < Duration::zero())
        throw std::invalid_argument("TCPClientOptions: the closeTimeout is negative");
    closeTimeout_ = timeout.value();
    return *this;
}

// The handle itself may be changed in what it calls: so each pins its state.

void Connector::connect() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("connect()");
    state->connect();
}
void Connector::reconnect() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("reconnect()");
    state->reconnect();
}
void Connector::stopConnecting() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("stopConnecting()");
    state->stopConnecting();
}
void Connector::disconnect() const {
    if (const auto state = state_)
        disconnect(state->closeTimeout());
}
void Connector::disconnect(Delay within) const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("disconnect()");
    state->disconnect(within.value());
}
void Connector::abort() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("abort()");
    state->abort();
}
Address Connector::getDestination() const { return state_ ? state_->destination() : Address(); }
Connector::State Connector::state() const {
    if (!state_)
        return State::disconnected;
    state_->assertThread("state()");
    return state_->state();
}
void Connector::own(detail::OwnerHook& hook) const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("ownedBy()");
    state->own(hook);
}

Address ListeningPort::getHost() const {
    if (!state_)
        return Address();
    state_->assertThread("getHost()");
    return state_->address();
}
bool ListeningPort::listening() const {
    if (!state_)
        return false;
    state_->assertThread("listening()");
    return state_->listening();
}
Deferred<> ListeningPort::stopListening(std::source_location where) const {
    const auto state = state_;
    if (!state)
        return succeed();
    state->assertThread("stopListening()");
    return state->stop(where);
}
void ListeningPort::startListening() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("startListening()");
    state->start();
}
void ListeningPort::pauseAccepting() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("pauseAccepting()");
    state->pause(true);
}
void ListeningPort::resumeAccepting() const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("resumeAccepting()");
    state->pause(false);
}
void ListeningPort::own(detail::OwnerHook& hook) const {
    const auto state = state_;
    if (!state)
        return;
    state->assertThread("ownedBy()");
    state->own(hook);
}

namespace {

void assertThread(const Reactor& reactor, const char* call, std::string_view host, Port port) {
    if (!reactor.isInReactorThread())
        reactor.assertThread(std::string(call) + " with " + std::string(host) + ":" + std::to_string(port.number()));
}

} // namespace

Connector connectTCP(Reactor& reactor, const TextArgument& host, Port port,
                     std::shared_ptr<ClientFactory> factory, const TCPClientOptions& options,
                     std::source_location where) {
    assertThread(reactor, "connectTCP()", host, port);
    if (!factory)
        throw std::invalid_argument("connectTCP: there is no factory");
    auto state = std::make_shared<detail::ConnectorState>(detail::Room::of(reactor), Address::of(host, port),
                                                          std::move(factory), options, where);
    state->connect();
    return Connector(std::move(state));
}

ListeningPort listenTCP(Reactor& reactor, Port port, std::shared_ptr<Factory> factory,
                        const TCPServerOptions& options, std::source_location where) {
    assertThread(reactor, "listenTCP()", options.listenOn(), port);
    if (!factory)
        throw std::invalid_argument("listenTCP: there is no factory");
    Address address = Address::of(options.listenOn().empty() ? "0.0.0.0" : options.listenOn(), port);
    auto state = std::make_shared<detail::PortState>(detail::Room::of(reactor), std::move(address),
                                                     options, std::move(factory), where);
    state->start();
    return ListeningPort(std::move(state));
}

Deferred<std::shared_ptr<Protocol>> connectFactory(Reactor& reactor, const TextArgument& host, Port port,
                                                   std::shared_ptr<Factory> factory,
                                                   const TCPClientOptions& options,
                                                   std::source_location where) {
    assertThread(reactor, "connectFactory()", host, port);
    if (!factory)
        throw std::invalid_argument("connectFactory: there is no factory");
    try {
        return std::make_shared<detail::OneConnection>(detail::Room::of(reactor), Address::of(host, port),
                                                       std::move(factory), options, where)
            ->start();
    } catch (...) {
        return fail<std::shared_ptr<Protocol>>(detail::failureOfCurrentException(), where);
    }
}

} // namespace bine::inline v0
