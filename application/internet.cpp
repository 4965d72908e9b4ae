#include "bine/application/internet.h"

#include <stdexcept>
#include <utility>

#include "bine/defer/waiting_line.h"
#include "bine/log/log.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0 {

// --- TCPServer

TCPServer::TCPServer(Reactor& reactor, Port port, std::shared_ptr<Factory> factory, TCPServerOptions options)
    : reactor_(reactor), port_(port), factory_(std::move(factory)), options_(std::move(options)) {
    if (!factory_)
        throw std::invalid_argument("TCPServer: there is no factory");
}

TCPServer::~TCPServer() { *course_ = false; }

void TCPServer::privilegedStartService() {
    Service::privilegedStartService();
    listen();
}

void TCPServer::startService() {
    Service::startService();
    listen();
}

// startFactory() may stop or destroy this service, and a log observer may.
void TCPServer::listen() {
    if (listening_.listening())
        return;
    const auto course = course_ = std::make_shared<bool>(true);
    const ListeningPort port = listenTCP(reactor_, port_, factory_, options_);
    if (!*course) {
        Scope gone;
        port.ownedBy(gone);
        return;
    }
    listening_ = port;
    listening_.ownedBy(scope_);
}

Deferred<> TCPServer::stopService() {
    Service::stopService();
    *course_ = false;
    return listening_.stopListening();
}

// --- TCPClient

/// One start of it: stands between the connector and the factory, which may ask for a connection at any time.
class TCPClient::Link final : public ClientFactory {
public:
    explicit Link(std::shared_ptr<ClientFactory> factory) : factory_(std::move(factory)) { noisy = false; }

    void connect(Reactor& reactor, const std::string& host, Port port, const TCPClientOptions& options) {
        const auto self = std::static_pointer_cast<Link>(shared_from_this());
        connectTCP(reactor, host, port, self, options).ownedBy(scope_);
        if (ended_)
            scope_.cancel();
    }
    Deferred<> disconnect() {
        const auto self = shared_from_this();
        stopping_ = true;
        Deferred<> over = over_.join(std::source_location::current());
        if (connector_.state() == Connector::State::disconnected)
            end();
        else
            connector_.disconnect();
        return over;
    }
    /// Nobody hears anything any more; attempts that the factory has put off come to nothing.
    void end() {
        const auto self = shared_from_this();
        ended_ = true;
        scope_.cancel();
        connector_ = {};
        over_.serve([] { return true; }, [] { return Result<>(); });
    }

    std::shared_ptr<Protocol> buildProtocol(const Address& peer) override {
        auto protocol = factory_->buildProtocol(peer);
        if (protocol && !protocol->factory())
            protocol->setFactory(factory_);
        return protocol;
    }
    void startFactory() override { factory_->doStart(); }
    void stopFactory() override { factory_->doStop(); }
    std::string logPrefix() const override { return factory_->logPrefix(); }
    void startedConnecting(Connector& connector) override {
        if (ended_)
            return;
        connector_ = connector;
        factory_->startedConnecting(connector);
    }
    void clientConnectionFailed(Connector& connector, const Failure& reason) override {
        tell(&ClientFactory::clientConnectionFailed, connector, reason);
    }
    void clientConnectionLost(Connector& connector, const Failure& reason) override {
        tell(&ClientFactory::clientConnectionLost, connector, reason);
    }

private:
    void tell(void (ClientFactory::*what)(Connector&, const Failure&), Connector& connector, const Failure& reason) {
        const auto self = shared_from_this();
        Connector none;
        try {
            (factory_.get()->*what)(stopping_ ? none : connector, reason);
        } catch (...) {
            if (stopping_)
                end();
            throw;
        }
        if (stopping_)
            end();
    }

    std::shared_ptr<ClientFactory> factory_;
    Connector connector_;
    bool stopping_ = false;
    bool ended_ = false;
    detail::WaitingLine<void> over_;
    Scope scope_; // owns the connector
};

TCPClient::TCPClient(Reactor& reactor, const TextArgument& host, Port port, std::shared_ptr<ClientFactory> factory,
                     TCPClientOptions options)
    : reactor_(reactor), host_(host.view()), port_(port), factory_(std::move(factory)), options_(std::move(options)) {
    if (!factory_)
        throw std::invalid_argument("TCPClient: there is no factory");
}

TCPClient::~TCPClient() {
    if (link_)
        link_->end();
}

void TCPClient::startService() {
    Service::startService();
    if (link_)
        link_->end();
    const auto link = link_ = std::make_shared<Link>(factory_);
    link->connect(reactor_, host_, port_, options_); // which may destroy this
}

Deferred<> TCPClient::stopService() {
    Service::stopService();
    const auto link = link_;
    return link ? link->disconnect() : succeed();
}

// --- TimerService

TimerService::~TimerService() = default;

void TimerService::startService() {
    Service::startService();
    static const Logger& log = *new Logger("bine.service");
    finished_ = loop_.start(step_).ownedBy(scope_).addErrback([](const Failure& failure) {
        log.failure(failure.exceptionPtr(), "Unhandled error in a TimerService", LogLevel::critical, failure.getTraceback());
    });
}

Deferred<> TimerService::stopService() {
    Service::stopService();
    loop_.stop();
    auto finished = std::exchange(finished_, std::nullopt);
    return finished ? std::move(*finished) : succeed();
}

// --- CooperatorService

CooperatorService::CooperatorService(Clock& clock) : cooperator_(clock, Cooperator::Start::later) {}

CooperatorService::~CooperatorService() = default;

void CooperatorService::startService() {
    Service::startService();
    cooperator_.start();
}

Deferred<> CooperatorService::stopService() {
    Service::stopService();
    cooperator_.stop();
    return succeed();
}

} // namespace bine::inline v0
