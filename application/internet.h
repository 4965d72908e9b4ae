#pragma once
// TCPServer, TCPClient, TimerService, CooperatorService: services for what stands on a reactor
// (twisted.application.internet).
//
// Reactor's thread only. The reactor, or clock, outlives them, or at least does not die before their last start.
// Each may be started again when it has stopped. Destroying one ends what it does at once.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include "bine/application/service.h"
#include "bine/defer/cooperator.h"
#include "bine/defer/looping_call.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/factory.h"
#include "bine/net/tcp.h"

namespace bine::inline v0 {

class Reactor;

/// A listening port.
class BINE_EXPORT TCPServer : public Service {
public:
    /// As listenTCP(), when it starts. Throws std::invalid_argument if there is no factory.
    TCPServer(Reactor& reactor, Port port, std::shared_ptr<Factory> factory,
              TCPServerOptions options = TCPServerOptions());
    ~TCPServer() override;

    /// Listens. Throws what listenTCP() throws.
    void privilegedStartService() override;
    /// Listens, if it does not yet.
    void startService() override;
    /// Fires when the port is closed. Established connections stay.
    Deferred<> stopService() override;

    /// Where it listens, or last did: with the port that the kernel chose for 0.
    Address getHost() const { return listening_.getHost(); }

private:
    void listen();

    Reactor& reactor_;
    Port port_;
    std::shared_ptr<Factory> factory_;
    TCPServerOptions options_;
    ListeningPort listening_;
    std::shared_ptr<bool> course_ = std::make_shared<bool>(false); // whether the present start is not stopped yet
    Scope scope_;
};

/// A connection, for as long as the factory goes on asking for it.
class BINE_EXPORT TCPClient : public Service {
public:
    /// As connectTCP(), when it starts. Throws std::invalid_argument if there is no factory.
    TCPClient(Reactor& reactor, const TextArgument& host, Port port, std::shared_ptr<ClientFactory> factory,
              TCPClientOptions options = TCPClientOptions());
    /// Aborts the attempt or the connection; neither the factory nor the protocol hears of it.
    ~TCPClient() override;

    /// Begins to connect. Throws what connectTCP() throws.
    void startService() override;
    /// Ends the attempt, or closes the connection when all has been sent, or aborts it when
    /// TCPClientOptions::closeTimeout() (10 s) has passed. The factory hears of it, with a connector that does not
    /// connect any more: a ReconnectingClientFactory need not be told. Fires when it is over.
    Deferred<> stopService() override;

private:
    class Link;

    Reactor& reactor_;
    std::string host_;
    Port port_;
    std::shared_ptr<ClientFactory> factory_;
    TCPClientOptions options_;
    std::shared_ptr<Link> link_;
};

/// A function that is called again and again: a LoopingCall.
class BINE_EXPORT TimerService : public Service {
public:
    /// Calls f(), or f(arguments...), when it starts and then once every `step`, as LoopingCall does.
    template <class F, class... A>
        requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<A>&...>
    TimerService(Clock& clock, Delay step, F&& f, A&&... arguments)
        : step_(step), loop_(clock, std::forward<F>(f), std::forward<A>(arguments)...) {}
    ~TimerService() override;

    /// A call that fails is logged, and is the last. Throws std::logic_error if the call in which it was stopped
    /// has not ended.
    void startService() override;
    /// Fires when the call that is under way has ended.
    Deferred<> stopService() override;

private:
    Delay step_;
    LoopingCall loop_;
    std::optional<Deferred<>> finished_;
    Scope scope_;
};

/// A Cooperator, whose tasks wait until it starts, and end with SchedulerStopped when it stops.
class BINE_EXPORT CooperatorService : public Service {
public:
    explicit CooperatorService(Clock& clock);
    ~CooperatorService() override;

    void startService() override;
    Deferred<> stopService() override;

    Cooperator& cooperator() noexcept { return cooperator_; }
    /// Cooperator::coiterate().
    Deferred<> coiterate(Steps steps, std::source_location where = std::source_location::current()) {
        return cooperator_.coiterate(std::move(steps), where);
    }
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>&>
    auto coiterate(F&& f, std::source_location where = std::source_location::current()) {
        return cooperator_.coiterate(std::forward<F>(f), where);
    }

private:
    Cooperator cooperator_;
};

} // namespace bine::inline v0
