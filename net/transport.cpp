#include "bine/net/transport.h"

#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/half_close.h"
#include "bine/net/log_prefix.h"
#include "bine/net/protocol.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0 {

Producer::~Producer() = default;
Consumer::~Consumer() = default;
HalfCloseableProtocol::~HalfCloseableProtocol() = default;

namespace detail {

/// How long an orderly end may take where the program sets no other time.
constexpr Duration kEndBound = std::chrono::seconds(30);

class OwnedTransport final : public Owned {
public:
    explicit OwnedTransport(Transport& transport, bool shared = false) : transport_(transport), shared_(shared) {}
    using Owned::bindBeside;
    using Owned::bindTo;
    /// By shareOwners().
    bool shared() const noexcept { return shared_; }

private:
    void ownerDies() noexcept override { TransportAccess::hush(transport_); }
    void ownerDied() noexcept override { TransportAccess::silence(transport_); }

    Transport& transport_;
    const bool shared_;
};

struct TransportExtras {
    TransportExtras() = default;
    TransportExtras(const TransportExtras&) = delete;
    TransportExtras& operator=(const TransportExtras&) = delete;
    ~TransportExtras() { endBound(); }

    void endBound() noexcept {
        if (bound.active())
            bound.cancel();
    }
    /// The reason of the end, if others say `given`.
    const Failure& reasonOr(const Failure& given) const {
        if (error)
            return *error;
        return outputError && !given.check<ConnectionAborted>() ? *outputError : given;
    }

    std::shared_ptr<Producer> producer;
    bool streaming = false;
    bool producerPaused = false;
    bool resuming = false;           // resumeProducing() is on the stack
    bool resumeAgain = false;        // and was due once more meanwhile
    std::vector<Resolver<>> waiters; // of drained()
    std::size_t maxBuffered = 0;
    std::optional<Failure> error;       // the reason, whatever others say
    std::optional<Failure> outputError; // why writing failed; input may still come
    std::optional<Failure> pendingLoss; // waits for the handler on the stack
    bool stopping = false;              // reactorStopping() waits for the handler on the stack
    std::string held;                   // delivered in spite of a handler on the stack
    bool heldEof = false;               // and the end of the input behind it
    Clock* clock = nullptr;             // of the reactor in attach()
    std::size_t holds = 0;              // answers that are owed
    Duration halfClosedTimeout = kEndBound;
    Duration boundTime{0};
    DelayedCall bound; // of an end that is under way
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

void TransportAccess::deliverStopping(Transport& transport) { transport.deliverStopping(); }

bool TransportAccess::keptAlive(const Transport& transport) noexcept { return transport.keptAlive(); }

void TransportAccess::hush(Transport& transport) noexcept { transport.silent_ = true; }

void TransportAccess::useClock(Transport& transport, Clock& clock) { transport.extras().clock = &clock; }

void TransportAccess::releaseHold(Transport& transport) noexcept { transport.holdReleased(); }

Failure TransportAccess::truthful(const Failure& reason, std::size_t unsent) {
    if (unsent == 0 || !reason.check<ConnectionDone>())
        return reason;
    return ConnectionLost("the connection ended before everything was sent: " + std::to_string(unsent) +
                          " bytes were not sent");
}

void TransportAccess::shareOwners(Transport& transport, const DeferredRef& deferred) {
    if (transport.state_ == Transport::State::ended || transport.state_ == Transport::State::lost)
        return;
    if (transport.extras_)
        std::erase_if(transport.extras_->owners, [](const auto& owner) { return owner->shared(); });
    DeferredOwners::each(
        deferred,
        [](void* object, Owned& link) {
            auto& owned = *static_cast<Transport*>(object);
            auto& owners = owned.extras().owners;
            owners.push_back(std::make_unique<OwnedTransport>(owned, true));
            owners.back()->bindBeside(link);
        },
        &transport);
}

void TransportAccess::silence(Transport& transport) { transport.ownerDied(); }

} // namespace detail

namespace {

const Logger& logger() {
    static const Logger log("bine.net");
    return log;
}

std::string secondsText(Duration time) {
    std::string text = std::to_string(std::chrono::duration<double>(time).count());
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.'))
        text.pop_back();
    return text + " s";
}

// Writes without a connection are a mistake that repeats itself: the log tells of one in a second.
void noteWriteUnconnected(std::size_t bytes) {
    if (!logger().enabled(LogLevel::debug))
        return;
    static std::atomic<TimePoint::rep> quietUntil{(std::numeric_limits<TimePoint::rep>::min)()};
    const TimePoint::rep now = TimePoint(std::chrono::steady_clock::now()).time_since_epoch().count();
    TimePoint::rep until = quietUntil.load(std::memory_order_relaxed);
    constexpr Duration pause = std::chrono::seconds(1);
    if (now < until || !quietUntil.compare_exchange_strong(until, now + pause.count(), std::memory_order_relaxed))
        return;
    logger().debug("Dropping " + std::to_string(bytes) + " bytes: the protocol is not connected");
}

LogContext contextOf(void* transport) { return LogContext(detail::prefixOf(*static_cast<Transport*>(transport))); }

class NullTransport final : public Transport {
public:
    NullTransport() { markEnded(); }
    using Transport::write;
    void write(std::string_view data) override { noteWriteUnconnected(data.size()); }
    std::size_t buffered() const noexcept override { return 0; }
    using Transport::loseConnection;
    void loseConnection() override {}
    using Transport::abortConnection;
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

void Transport::assertThread(const char*) const {}
void Transport::readWhileBlocked(bool) {}
void Transport::stopProducing() { loseConnection(); }
void Transport::writeOwned(std::string&& data) { write(std::string_view(data)); }
void Transport::writeShared(const SharedBytes& data) { write(data.view()); }
void* Transport::capability(std::type_index) { return nullptr; }
void Transport::producerGone() { loseConnection(); }
void Transport::closeFinished() { loseConnection(); }
Clock* Transport::clockOrNull() const noexcept { return extras_ ? extras_->clock : nullptr; }
std::string Transport::logPrefix() const { return protocol_ ? detail::prefixOf(*protocol_) : "transport"; }
std::string Transport::describe() const { return "<" + logPrefix() + ">"; }

// --- The protocol

void Transport::attachProtocol(std::shared_ptr<Transport> self, std::shared_ptr<Protocol> protocol) {
    assertThread("makeConnection()");
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
    callHandler("connectionMade()", [this] { protocol_->connectionMade(); });
}

std::shared_ptr<Protocol> Transport::replaceProtocol(std::shared_ptr<Protocol> next, std::string_view rest) {
    assertThread("replaceProtocol()");
    if (state_ != State::connected || !next || next->transport_)
        throw std::logic_error("replaceProtocol: not connected, or the new protocol already is");
    if (!rest.empty() && !everDisconnecting()) {
        extras().held.insert(0, rest);
        keeps_ = true;
    }
    next->transport_ = this;
    std::swap(protocol_, next);
    next->transport_ = nullptr;
    deliverKept();
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

bool Transport::runHandler(void (*call)(void*), void* object, const char* name) {
    const auto self = self_.lock();
    if (extras_) // without them nothing owns it
        detail::endDeadOwners();
    if (silent_)
        return true;
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
            handlerFailed(detail::failureOfCurrentException(), name);
        }
    }
    if (handlers_ == 0)
        settle();
    return fine;
}

void Transport::handlerFailed(const Failure& failure, const char* name) {
    if (failure.check<ProtocolError>())
        return abortConnection(failure);
    logger().failure(failure.exceptionPtr(),
                     std::string("Unhandled error in ") + name + " of " + detail::prefixOf(*this) +
                         "; the connection is aborted",
                     LogLevel::critical, failure.getTraceback());
    failConnection(failure);
}

void Transport::abortConnection(Failure reason) {
    assertThread("abortConnection()");
    if (state_ == State::ended || state_ == State::lost || (extras_ && extras_->error))
        return;
    logger().info("Aborting " + describe() + ": " + reason.getErrorMessage());
    failConnection(reason);
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
        if (keeps_)
            deliverHeld();
        if (!keeps_ && std::exchange(extras_->heldEof, false))
            deliverEof();
        if (std::exchange(extras_->stopping, false))
            deliverStopping();
        if (extras_->pendingLoss) {
            const Failure reason = *std::exchange(extras_->pendingLoss, std::nullopt);
            lossNow(reason);
            return;
        }
    }
    if (state_ == State::connected && !silent_)
        handlersReturned();
    if (peerEnded_ && state_ == State::connected)
        endIfFinishedLater();
}

void Transport::deliverHeld() {
    while (keeps_ && !inputPaused()) {
        keeps_ = false;
        const std::string data = std::exchange(extras_->held, {});
        if (!silent_ && state_ != State::lost && !everDisconnecting())
            callHandler("dataReceived()", [&] { protocol_->dataReceived(data); });
    }
}

void Transport::deliverKept() {
    const auto self = self_.lock();
    if (keeps_ && handlers_ == 0 && !inputPaused())
        settle();
}

void Transport::keepInput(std::string_view data) {
    if (!protocol_ || state_ != State::connected || everDisconnecting() || data.empty())
        return;
    extras().held.append(data);
    keeps_ = true;
}

void Transport::deliverData(std::string_view data) {
    if (!protocol_ || state_ != State::connected || everDisconnecting() || data.empty())
        return;
    if (silent_ || keeps_) [[unlikely]]
        return silent_ ? void() : keepInput(data);
    if (handlers_ != 0)
        return keepInput(data);
    callHandler("dataReceived()", [&] { protocol_->dataReceived(data); });
}

void Transport::deliverStopping() {
    if (!protocol_ || silent_ || state_ != State::connected || everDisconnecting())
        return;
    if (handlers_ != 0) {
        extras().stopping = true;
        return;
    }
    callHandler("reactorStopping()", [&] { protocol_->reactorStopping(); });
}

void Transport::markEnded() noexcept {
    if (state_ == State::lost)
        return;
    state_ = State::ended;
    if (!extras_)
        return;
    extras_->held.clear();
    keeps_ = extras_->heldEof = false;
    extras_->endBound();
}

void Transport::deliverLoss(const Failure& reason) {
    if (state_ == State::lost || (extras_ && extras_->pendingLoss))
        return;
    const Failure told = detail::TransportAccess::truthful(reason, buffered());
    state_ = State::ended;
    if (extras_)
        extras_->endBound();
    if (handlers_ != 0)
        extras().pendingLoss = told;
    else
        lossNow(told);
}

void Transport::lossNow(const Failure& given) {
    const auto self = self_.lock();
    detail::endDeadOwners();
    if (state_ == State::lost)
        return;
    const auto protocol = protocol_;
    const Failure reason = extras_ ? extras_->reasonOr(given) : given;
    state_ = State::lost;
    if (extras_) {
        extras_->endBound();
        extras_->clock = nullptr;
    }
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

// --- The end

void Transport::deliverEof() {
    if (!protocol_ || silent_ || state_ != State::connected || everDisconnecting() || eofCame_)
        return;
    if (handlers_ != 0 || keeps_) {
        extras().heldEof = true;
        return;
    }
    eofCame_ = true;
    if (outputFailed())
        return closeFinished();
    if (auto* const halfCloseable = protocol_->as<HalfCloseableProtocol>()) {
        inputOver();
        callHandler("readConnectionLost()", [halfCloseable] { halfCloseable->readConnectionLost(); });
        return;
    }
    if (finished())
        return closeFinished();
    if (!clockOrNull()) // nothing bounds the wait
        return loseConnection();
    peerEnded_ = true;
    bindEnd(extras().halfClosedTimeout);
    inputOver();
    outputAwaited();
}

bool Transport::finished() const noexcept {
    return buffered() == 0 && (!extras_ || (!extras_->producer && extras_->holds == 0));
}

void Transport::endIfFinished() {
    if (state_ == State::connected && handlers_ == 0 && !everDisconnecting() && finished())
        closeFinished();
}

void Transport::endIfFinishedLater() {
    Clock* const clock = clockOrNull();
    if (!clock || !finished())
        return;
    clock->callLater(Duration::zero(), [weak = self_] {
        if (const auto transport = weak.lock())
            transport->endIfFinished();
    });
}

HoldOpen Transport::holdOpen() {
    if (state_ != State::connected)
        return {};
    ++extras().holds;
    return HoldOpen(self_);
}

void Transport::holdReleased() noexcept {
    if (--extras_->holds == 0 && peerEnded_ && state_ == State::connected)
        endIfFinishedLater();
}

void Transport::halfClosedTimeout(Delay time) {
    if (time.value() < Duration::zero())
        throw std::invalid_argument("halfClosedTimeout: the time must not be negative");
    if (state_ != State::ended && state_ != State::lost)
        extras().halfClosedTimeout = time.value();
}

Clock& Transport::clock() const {
    Clock* const clock = state_ == State::ended || state_ == State::lost ? nullptr : clockOrNull();
    if (!clock)
        throw std::logic_error("clock: " + describe() + " has no clock: it is not connected, or was not attached "
                               "to a reactor; use attach()");
    return *clock;
}

void Transport::loseConnection(Linger linger) {
    if (state_ == State::connected && clockOrNull()) {
        lingering_ = true;
        bindEnd(linger.time());
    }
    loseConnection();
}

Duration Transport::endBound() const noexcept { return extras_->boundTime; }

// Of several bounds the earliest counts. REQUIRES: there is a clock.
void Transport::bindEnd(Duration time) {
    Clock& clock = *clockOrNull();
    auto& more = extras();
    if (more.bound.active() && more.bound.getTime() - clock.now() <= time)
        return;
    more.endBound();
    more.boundTime = time;
    more.bound = clock.callLater(time, [weak = self_] {
        if (const auto transport = weak.lock())
            transport->boundPassed();
    });
}

void Transport::boundPassed() {
    if (state_ != State::connected)
        return;
    const std::size_t bytes = unsent();
    if (everDisconnecting() && bytes == 0 && !hasProducer())
        return failConnection(connectionDone());
    failConnection(ConnectionLost((everDisconnecting() ? "closing" : "answering a peer that ended its writing") +
                                  std::string(" took more than ") + secondsText(extras_->boundTime) + ": " +
                                  std::to_string(bytes) + " bytes were not sent"));
}

void Transport::failOutput(const Failure& reason) {
    if (state_ != State::connected || outputFailed())
        return;
    extras().outputError = reason;
    closing_ |= kOutputFailed;
    if (Clock* const clock = clockOrNull(); clock && (hasProducer() || !extras_->waiters.empty()))
        clock->callLater(Duration::zero(), [weak = self_] {
            if (const auto transport = weak.lock())
                transport->tellOutputFailed();
        });
}

void Transport::tellOutputFailed() {
    if (state_ == State::lost)
        return;
    const Failure reason = *extras_->outputError;
    const auto producer = std::exchange(extras_->producer, nullptr);
    auto waiters = std::exchange(extras_->waiters, {});
    if (producer && !silent_)
        callHandler("stopProducing()", [&] { producer->stopProducing(); });
    for (auto& waiter : waiters)
        if (!waiter.called())
            waiter.errback(reason);
    if (producer && everDisconnecting() && state_ == State::connected)
        producerGone();
}

void Transport::writeDropped(std::size_t bytes) {
    if (dropNoted_ || !logger().enabled(LogLevel::debug))
        return;
    dropNoted_ = true;
    const char* const why = state_ == State::ended || state_ == State::lost ? "the connection has ended"
                            : outputFailed()                                ? "an earlier write failed"
                            : everDisconnecting()                           ? "loseConnection() was called"
                                                                            : "loseWriteConnection() was called";
    logger().debug("Dropping " + std::to_string(bytes) + " bytes written to " + describe() + ": " + why);
}

// --- Owners

void Transport::own(detail::OwnerHook& hook) {
    assertThread("ownedBy()");
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
    if (state_ != State::connected || !everDisconnecting() || hasProducer() || !clockOrNull())
        return abortConnection();
    if (!extras().bound.active()) // what was written before is still sent
        bindEnd(detail::kEndBound);
}

// --- Flow control

bool Transport::hasProducer() const noexcept { return extras_ && extras_->producer; }

bool Transport::watched() const noexcept {
    return (extras_->producer && (!extras_->streaming || extras_->producerPaused)) ||
           !extras_->waiters.empty() || peerEnded_;
}

void Transport::registerProducer(std::shared_ptr<Producer> producer, bool streaming) {
    assertThread("registerProducer()");
    if (!producer)
        throw std::invalid_argument("registerProducer: there is no producer");
    if (state_ == State::ended || state_ == State::lost || outputFailed()) {
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
    assertThread("unregisterProducer()");
    if (!hasProducer())
        return;
    const auto old = std::exchange(extras_->producer, nullptr);
    if (state_ != State::connected)
        return;
    if (everDisconnecting())
        producerGone();
    else if (peerEnded_)
        endIfFinishedLater();
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
        const bool fine = callHandler("resumeProducing()", [&] { producer->resumeProducing(); });
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
    callHandler("pauseProducing()", [&] { producer->pauseProducing(); });
}

void Transport::outputDrained() {
    if (!extras_ || state_ != State::connected || silent_ || outputFailed())
        return;
    const auto self = self_.lock();
    auto& more = *extras_;
    if (more.producer && (!more.streaming || more.producerPaused))
        resumeProducer();
    if (state_ != State::connected || buffered() != 0)
        return;
    for (auto& waiter : std::exchange(more.waiters, {}))
        if (!waiter.called())
            waiter.callback();
    if (peerEnded_)
        endIfFinished();
}

Deferred<> Transport::drained(std::source_location where) {
    assertThread("drained()");
    if (state_ == State::ended || state_ == State::lost)
        return fail<void>(ConnectionLost("the connection has ended"), where);
    if (outputFailed())
        return fail<void>(*extras_->outputError, where);
    if (buffered() == 0)
        return succeed();
    auto result = extras().waiters.emplace_back().deferred(where);
    outputAwaited();
    return result;
}

void Transport::maxBuffered(std::size_t bytes) {
    assertThread("maxBuffered()");
    if (state_ == State::ended || state_ == State::lost)
        return;
    extras().maxBuffered = bytes;
    outputGrew();
}

} // namespace bine::inline v0
