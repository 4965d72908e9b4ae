#include "bine/net/filter.h"

#include <stdexcept>
#include <utility>

#include "bine/net/errors.h"
#include "bine/net/log_prefix.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0 {

// Registered below while a producer is registered above: so the connection below waits for it, too. Its pace is set above,
// by buffered(), which counts what waits below.
class Filter::Placeholder final : public Producer {
public:
    void pauseProducing() override {}
    void resumeProducing() override {}
    void stopProducing() override {}
};

Filter::Filter(std::shared_ptr<Protocol> above) : above_(std::move(above)) {
    if (!above_)
        throw std::invalid_argument("Filter: there is no protocol above");
}

Filter::~Filter() = default;

void Filter::assertThread(const char* call) const { below().assertThread(call); }

// A handler above keeps the transport below as busy as its own does.
void Filter::aroundHandler(void (*call)(void*), void* object) {
    const auto transport = below().shared_from_this();
    if (transport)
        transport->aroundHandler(call, object);
    else
        call(object);
}

Clock* Filter::clockOrNull() const noexcept { return below().clockOrNull(); }
std::size_t Filter::unsent() const noexcept { return keptOutput() + below().unsent(); }
Address Filter::getPeer() const { return below().getPeer(); }
Address Filter::getHost() const { return below().getHost(); }
std::string Filter::describe() const { return below().describe(); }

std::string Filter::prefixForAbove() const { return detail::prefixOf(below()); }

std::string Filter::prefixForBelow() const {
    if (const Protocol* const above = Transport::protocol())
        return detail::prefixOf(*above);
    return above_ ? detail::prefixOf(*above_) : detail::className(typeid(*this));
}

void* Filter::abilityForAbove(std::type_index type) {
    void* const known = below().capability(type);
    if (known && type == typeid(HalfCloseableTransport))
        return static_cast<HalfCloseableTransport*>(this);
    return known;
}

void* Filter::abilityForBelow(std::type_index type) {
    if (type == typeid(HalfCloseableProtocol))
        return static_cast<HalfCloseableProtocol*>(this);
    Protocol* const above = Transport::protocol();
    return above ? above->capability(type) : nullptr;
}

// --- From below

void Filter::connectionMade() {
    detail::TransportAccess::afterLoss(below(), [weak = weak_from_this()](const Failure& reason) {
        if (const auto filter = std::static_pointer_cast<Filter>(weak.lock()))
            filter->endedBelow(reason);
    });
    connectedBelow();
}

void Filter::connectAbove() {
    const auto self = std::static_pointer_cast<Filter>(Protocol::shared_from_this());
    if (const auto above = std::exchange(above_, nullptr))
        above->makeConnection(self);
}

void Filter::dataReceived(std::string_view data) { dataFromBelow(data); }

void Filter::deliverAbove(std::string_view data) {
    if (paused_)
        keepInput(data);
    else
        deliverData(data);
}

void Filter::readConnectionLost() { endFromBelow(); }

void Filter::endAbove() {
    if (Transport::protocol())
        deliverEof();
    else
        below().loseConnection();
}

void Filter::writeConnectionLost() {
    if (auto* const halfCloseable = Transport::protocol() ? Transport::protocol()->as<HalfCloseableProtocol>() : nullptr)
        callHandler("writeConnectionLost()", [halfCloseable] { halfCloseable->writeConnectionLost(); });
}

void Filter::reactorStopping() { deliverStopping(); }

bool Filter::holdsInput() const noexcept {
    return keepsInput() || (Transport::protocol() && Transport::protocol()->holdsInput());
}

// The protocol above may ask for addresses until it has heard of the loss.
void Filter::connectionLost(const Failure& reason) {
    lost_ = true;
    kept_ = Protocol::transport().shared_from_this();
    detail::TransportAccess::afterLoss(*this, [this](const Failure&) { kept_ = nullptr; });
    detail::guarded("Unhandled error in lostBelow()", [&] { lostBelow(reason); });
    deliverLoss(reason);
}

// Without connectionLost(), if an owner of the transport below has died.
void Filter::endedBelow(const Failure& reason) {
    if (lost_)
        return;
    lost_ = true;
    detail::TransportAccess::hush(*this);
    deliverLoss(reason);
}

// --- From above

void Filter::write(std::string_view data) {
    if (data.empty())
        return;
    if (!acceptsWrites())
        return writeDropped(data.size());
    const auto self = weak_from_this().lock();
    dataFromAbove(data);
    outputGrew();
    watchOutput();
}

void Filter::writeBelow(std::string_view data) {
    below().write(data);
    watchOutput();
}

void Filter::writeBelow(std::string&& data) {
    below().write(std::move(data));
    watchOutput();
}

std::size_t Filter::buffered() const noexcept { return keptOutput() + below().buffered(); }
void Filter::readWhileBlocked(bool on) { below().readWhileBlocked(on); }

void Filter::loseConnection() {
    assertThread("loseConnection()");
    const bool again = everDisconnecting();
    markDisconnecting();
    if (hasProducer())
        return; // producerGone() goes on
    if (!again)
        loseFromAbove();
    else if (lingering())
        loseBelow();
}

void Filter::loseBelow() {
    if (lingering())
        below().loseConnection(Linger(endBound()));
    else
        below().loseConnection();
}

void Filter::abortConnection() {
    const auto self = weak_from_this().lock();
    below().abortConnection();
    if (Transport::connected())
        markEnded();
}

void Filter::loseWriteConnection() {
    assertThread("loseWriteConnection()");
    if (Transport::connected() && !everDisconnecting())
        endFromAbove();
}

void Filter::endBelow() {
    if (auto* const halfCloseable = below().as<HalfCloseableTransport>())
        halfCloseable->loseWriteConnection();
}

void Filter::pauseProducing() {
    paused_ = true;
    below().pauseProducing();
}

void Filter::resumeProducing() {
    const auto self = weak_from_this();
    paused_ = false;
    Clock* const clock = clockOrNull();
    if (keepsInput() && clock)
        clock->callLater(Duration::zero(), [self] {
            if (const auto filter = std::static_pointer_cast<Filter>(self.lock()))
                filter->deliverKept();
        });
    below().resumeProducing();
}

// --- What waits

void Filter::registerProducer(std::shared_ptr<Producer> producer, bool streaming) {
    const auto self = weak_from_this().lock();
    Transport::registerProducer(std::move(producer), streaming);
    if (hasProducer() && Transport::connected())
        below().registerProducer(std::make_shared<Placeholder>(), true);
    watchOutput();
}

void Filter::unregisterProducer() {
    const auto self = weak_from_this().lock();
    if (!hasProducer())
        return;
    Transport::unregisterProducer();
    below().unregisterProducer();
}

// The protocol above, its producer or its end wait for the output: hears when nothing waits below any more.
void Filter::watchOutput() {
    Clock* const clock = clockOrNull();
    if (watching_ || !outputWatched() || !clock)
        return;
    watching_ = true;
    const auto weak = weak_from_this();
    const auto went = [weak] {
        if (const auto filter = std::static_pointer_cast<Filter>(weak.lock()))
            filter->outputWentOut();
    };
    if (below().buffered() == 0)
        clock->callLater(Duration::zero(), went);
    else
        below().drained().addCallbacks(went, [](const Failure&) {}); // the loss follows
}

void Filter::outputWentOut() {
    watching_ = false;
    if (buffered() == 0)
        outputDrained();
    else if (below().buffered() != 0)
        watchOutput();
}

} // namespace bine::inline v0
