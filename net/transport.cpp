#include "bine/net/transport.h"

#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/half_close.h"
#include "bine/net/protocol.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0 {

Producer::~Producer() = default;
Consumer::~Consumer() = default;
HalfCloseableProtocol::~HalfCloseableProtocol() = default;

namespace detail {

class OwnedTransport final : public Owned {
public:
    explicit OwnedTransport(Transport& transport) : transport_(transport) {}
    using Owned::bindTo;

private:
    void ownerDies() noexcept override { TransportAccess::hush(transport_); }
    void ownerDied() noexcept override { TransportAccess::silence(transport_); }

    Transport& transport_;
};

struct TransportExtras {
    std::shared_ptr<Producer> producer;
    bool streaming = false;
    bool producerPaused = false;
    bool resuming = false;           // resumeProducing() is on the stack
    bool resumeAgain = false;        // and was due once more meanwhile
    std::vector<Resolver<>> waiters; // of drained()
    std::size_t maxBuffered = 0;
    std::optional<Failure> error;       // the reason, whatever others say
    std::optional<Failure> pendingLoss; // waits for the handler on the stack
    std::string held;                   // delivered in spite of a handler on the stack
    std::vector<Function<void(const Failure&)>> afterLoss;
    std::vector<std::unique_ptr<OwnedTransport>> owners;
};

void TransportAccess::afterLoss(Transport& transport, Function<void(const Failure&)> call) {
    transport.extras().afterLoss.push_back(std::move(call));
}

void TransportAccess::endNow(Transport& transport, const Failure& reason) {
    const auto keep = transport.shared_from_this();
    transport.failConnection(reason);
    transport.deliverLoss(reason);
}

bool TransportAccess::keptAlive(const Transport& transport) noexcept { return transport.keptAlive(); }

void TransportAccess::hush(Transport& transport) noexcept { transport.silent_ = true; }

void TransportAccess::silence(Transport& transport) { transport.ownerDied(); }

} // namespace detail

namespace {

const Logger& logger() {
    static const Logger log("bine.net");
    return log;
}

LogContext contextOf(void* transport) { return LogContext(static_cast<Transport*>(transport)->logPrefix()); }

class NullTransport final : public Transport {
public:
    NullTransport() { markEnded(); }
    using Transport::write;
    void write(std::string_view) override {}
    std::size_t buffered() const noexcept override { return 0; }
    void loseConnection() override {}
    void abortConnection() override {}
    void pauseProducing() override {}
    void resumeProducing() override {}
    std::string logPrefix() const override { return "-"; }
    std::string describe() const override { return "<not connected>"; }
};

} // namespace

Transport& nullTransport() {
    static NullTransport* const transport =
        new NullTransport; // never destroyed: static protocols may still ask
    return *transport;
}

Transport::Transport() = default;

Transport::~Transport() { releaseProtocol(nullptr); }

detail::TransportExtras& Transport::extras() {
    if (!extras_)
        extras_ = std::make_unique<detail::TransportExtras>();
    return *extras_;
}

void Transport::readWhileBlocked(bool) {}
void Transport::stopProducing() { loseConnection(); }
void Transport::writeOwned(std::string&& data) { write(std::string_view(data)); }
void* Transport::capability(std::type_index) { return nullptr; }
void Transport::producerGone() { loseConnection(); }
std::string Transport::logPrefix() const { return protocol_ ? protocol_->logPrefix() : "transport"; }
std::string Transport::describe() const { return "<" + logPrefix() + ">"; }

// --- The protocol

void Transport::attachProtocol(std::shared_ptr<Transport> self, std::shared_ptr<Protocol> protocol) {
    if (state_ != State::unattached)
        throw std::logic_error("makeConnection: the transport had a protocol before, or has ended");
    if (protocol->transport_)
        throw std::logic_error("makeConnection: the protocol is connected already");
    self_ = self;
    protocol_ = std::move(protocol);
    protocol_->transport_ = this;
    state_ = State::connected;
    try {
        protocolAttached();
    } catch (...) {
        state_ = State::ended;
        releaseProtocol(nullptr);
        throw;
    }
    callHandler([this] { protocol_->connectionMade(); });
}

std::shared_ptr<Protocol> Transport::replaceProtocol(std::shared_ptr<Protocol> next) {
    if (state_ != State::connected || !next || next->transport_)
        throw std::logic_error("replaceProtocol: not connected, or the new protocol already is");
    next->transport_ = this;
    std::swap(protocol_, next);
    next->transport_ = nullptr;
    return next;
}

void Transport::releaseProtocol(const Failure* loss) {
    const std::shared_ptr<Protocol> protocol = std::move(protocol_);
    protocol_ = nullptr;
    if (!protocol)
        return;
    if (protocol->transport_ == this)
        protocol->transport_ = nullptr;
    protocol->endScope(loss);
}

bool Transport::runHandler(void (*call)(void*), void* object) {
    const auto self = self_.lock();
    const auto protocol = protocol_;
    bool fine = true;
    {
        struct Depth {
            std::uint32_t& handlers;
            explicit Depth(std::uint32_t& handlers) : handlers(handlers) { ++handlers; }
            ~Depth() { --handlers; }
        } depth(handlers_);
        const LogScope scope(contextOf, this);
        try {
            aroundHandler(call, object);
        } catch (...) {
            fine = false;
            handlerFailed(detail::failureOfCurrentException());
        }
    }
    if (handlers_ == 0)
        settle();
    return fine;
}

void Transport::handlerFailed(const Failure& failure) {
    logger().failure(failure.exceptionPtr(),
                     "Unhandled error in " + logPrefix() + "; the connection is aborted", LogLevel::critical,
                     failure.getTraceback());
    failConnection(failure);
}

void Transport::failConnection(const Failure& reason) {
    auto& more = extras();
    if (!more.error)
        more.error = reason;
    abortConnection();
}

// The last handler on the stack has returned: what waited for it.
// REQUIRES: no handler is on the stack. What is called here leaves it at that.
void Transport::settle() {
    if (extras_) {
        while (!extras_->held.empty() && !silent_ && state_ != State::lost) {
            const std::string data = std::exchange(extras_->held, {});
            callHandler([&] { protocol_->dataReceived(data); });
        }
        if (extras_->pendingLoss) {
            const Failure reason = *std::exchange(extras_->pendingLoss, std::nullopt);
            lossNow(reason);
            return;
        }
    }
    if (state_ == State::connected && !silent_)
        handlersReturned();
}

void Transport::deliverData(std::string_view data) {
    if (!protocol_ || silent_ || state_ != State::connected || disconnecting_ || data.empty())
        return;
    if (handlers_ != 0) {
        extras().held.append(data);
        return;
    }
    callHandler([&] { protocol_->dataReceived(data); });
}

void Transport::markEnded() noexcept {
    if (state_ == State::lost)
        return;
    state_ = State::ended;
    if (extras_)
        extras_->held.clear();
}

void Transport::deliverLoss(const Failure& reason) {
    if (state_ == State::lost || (extras_ && extras_->pendingLoss))
        return;
    state_ = State::ended;
    if (handlers_ != 0)
        extras().pendingLoss = reason;
    else
        lossNow(reason);
}

void Transport::lossNow(const Failure& given) {
    const auto self = self_.lock();
    const auto protocol = protocol_;
    const Failure reason = extras_ && extras_->error ? *extras_->error : given;
    state_ = State::lost;
    ++handlers_;
    {
        detail::Activity activity(contextOf, this);
        if (extras_) {
            const auto producer = std::exchange(extras_->producer, nullptr);
            if (producer && !silent_)
                activity.call("Unhandled error in stopProducing()", [&] { producer->stopProducing(); });
            for (auto& waiter : std::exchange(extras_->waiters, {}))
                if (!waiter.called())
                    waiter.errback(reason);
        }
        if (protocol && !silent_) {
            auto tell = [&] { protocol->connectionLost(reason); };
            activity.call("Unhandled error in connectionLost()", [&] {
                aroundHandler([](void* f) { (*static_cast<decltype(tell)*>(f))(); }, &tell);
            });
        }
        releaseProtocol(&reason);
    }
    --handlers_;
    if (!extras_)
        return;
    extras_->owners.clear();
    for (auto& after : std::exchange(extras_->afterLoss, {}))
        detail::guarded("Unhandled error after the end of a connection", [&] { after(reason); });
}

// --- Owners

void Transport::own(detail::OwnerHook& hook) {
    if (state_ == State::ended || state_ == State::lost)
        return;
    auto& owners = extras().owners;
    owners.push_back(std::make_unique<detail::OwnedTransport>(*this));
    owners.back()->bindTo(hook);
}

void Transport::ownerDied() {
    const auto self = self_.lock();
    if (state_ == State::lost)
        return;
    silent_ = true;
    abortConnection();
}

// --- Flow control

bool Transport::hasProducer() const noexcept { return extras_ && extras_->producer; }

bool Transport::watched() const noexcept {
    return (extras_->producer && (!extras_->streaming || extras_->producerPaused)) ||
           !extras_->waiters.empty();
}

void Transport::registerProducer(std::shared_ptr<Producer> producer, bool streaming) {
    if (!producer)
        throw std::invalid_argument("registerProducer: there is no producer");
    if (state_ == State::ended || state_ == State::lost) {
        producer->stopProducing();
        return;
    }
    auto& more = extras();
    if (more.producer)
        throw ProducerAlreadyRegistered("registerProducer: " + describe() +
                                        " has a producer, which is not unregistered yet");
    more.producer = std::move(producer);
    more.streaming = streaming;
    more.producerPaused = false;
    if (streaming)
        outputGrew();
    else
        resumeProducer();
}

void Transport::unregisterProducer() {
    if (!hasProducer())
        return;
    const auto old = std::exchange(extras_->producer, nullptr);
    if (disconnecting_ && state_ == State::connected)
        producerGone();
}

void Transport::stopConsuming() {
    unregisterProducer();
    loseConnection();
}

void Transport::resumeProducer() {
    const auto self = self_.lock();
    auto& more = *extras_;
    if (more.resuming) {
        more.resumeAgain = true;
        return;
    }
    do {
        const auto producer = more.producer;
        more.resumeAgain = false;
        more.producerPaused = false;
        more.resuming = true;
        const bool fine = callHandler([&] { producer->resumeProducing(); });
        more.resuming = false;
        if (!fine)
            return;
    } while (more.resumeAgain && more.producer && buffered() == 0);
}

void Transport::outputGrew() {
    if (!extras_)
        return;
    const auto self = self_.lock();
    auto& more = *extras_;
    const std::size_t waiting = buffered();
    if (more.maxBuffered != 0 && waiting > more.maxBuffered) {
        const std::string why = "the peer does not read: " + std::to_string(waiting) +
                                " bytes wait to be sent, " + std::to_string(more.maxBuffered) + " may";
        logger().warn("Aborting " + describe() + ": " + why);
        failConnection(ConnectionAborted(why));
        return;
    }
    if (!more.producer || !more.streaming || more.producerPaused || waiting <= highWater)
        return;
    more.producerPaused = true;
    const auto producer = more.producer;
    callHandler([&] { producer->pauseProducing(); });
}

void Transport::outputDrained() {
    if (!extras_ || state_ != State::connected || silent_)
        return;
    const auto self = self_.lock();
    auto& more = *extras_;
    if (more.producer && (!more.streaming || more.producerPaused))
        resumeProducer();
    if (more.waiters.empty() || state_ != State::connected || buffered() != 0)
        return;
    for (auto& waiter : std::exchange(more.waiters, {}))
        if (!waiter.called())
            waiter.callback();
}

Deferred<> Transport::drained() {
    if (state_ == State::ended || state_ == State::lost)
        return fail<void>(ConnectionLost("the connection has ended"));
    if (buffered() == 0)
        return succeed();
    return extras().waiters.emplace_back().deferred();
}

void Transport::maxBuffered(std::size_t bytes) {
    if (state_ == State::ended || state_ == State::lost)
        return;
    extras().maxBuffered = bytes;
    outputGrew();
}

} // namespace bine::inline v0
