#include "bine/net/memory_transport.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "bine/net/errors.h"

namespace bine::inline v0 {

MemoryTransport::MemoryTransport()
    : MemoryTransport(IPv4Address("192.168.1.1", 54321), IPv4Address("10.0.0.1", 54321)) {}
MemoryTransport::MemoryTransport(Address peer, Address host)
    : peer_(std::move(peer)), host_(std::move(host)) {}
MemoryTransport::~MemoryTransport() = default;

void MemoryTransport::assertThread(const char* call) const {
    home_.check([&] { return std::string(call) + " of " + describe(); });
}

// --- What the peer does

void MemoryTransport::feed(std::string_view data) { feed(data, 0); }

void MemoryTransport::feed(std::string_view data, std::size_t chunk) {
    assertThread("feed()");
    if (ended_ || aborted_ || inputEnds_ || closing())
        return;
    input_.append(data);
    chunk_ = chunk;
    pump();
}

void MemoryTransport::feedEof() {
    inputEnds_ = true;
    pump();
}

void MemoryTransport::pump() {
    if (pumping_)
        return;
    const auto keep = shared_from_this();
    pumping_ = true;
    deliverKept();
    std::size_t at = 0; // erased once, so that feeding byte by byte is linear
    const auto listening = [this] {
        return !paused_ && !keepsInput() && !inHandler() && connected() && !disconnecting();
    };
    while (at < input_.size() && listening()) {
        const std::string piece = input_.substr(at, chunk_ == 0 ? input_.npos : chunk_);
        at += piece.size();
        deliverData(piece);
    }
    input_.erase(0, at);
    pumping_ = false;
    if (!input_.empty() || inHandler() || !connected())
        return;
    if (outputFailed() && (!paused_ || (!keepsInput() && !protocol()->holdsInput())))
        return closeFinished();
    if (inputEnds_ && listening() && !std::exchange(inputEnded_, true)) {
        deliverEof();
        changed();
    }
}

void MemoryTransport::closeFinished() { end(connectionDone()); }

void MemoryTransport::breakOutput(const Failure& reason) {
    if (ended_ || aborted_)
        return;
    const auto keep = shared_from_this();
    value_.clear();
    failOutput(reason);
    if (closing())
        return end(reason);
    pump();
}

void MemoryTransport::end(const Failure& reason) {
    if (ended_)
        return;
    const auto keep = shared_from_this();
    ended_ = true;
    input_.clear();
    deliverLoss(reason);
    changed();
}

void MemoryTransport::finish() {
    if (aborted_)
        end(ConnectionAborted());
    else if (closing())
        end(connectionDone());
}

std::string MemoryTransport::takeOutput() {
    const auto keep = shared_from_this();
    std::string taken = std::exchange(value_, {});
    if (connected())
        outputDrained();
    tellWriteEnded();
    return taken;
}

void MemoryTransport::tellWriteEnded() {
    if (!writeEnded_ || writeEndTold_ || !value_.empty() || inHandler() || !connected())
        return;
    writeEndTold_ = true;
    auto* halfCloseable = protocol() ? protocol()->as<HalfCloseableProtocol>() : nullptr;
    if (halfCloseable)
        callHandler("writeConnectionLost()", [halfCloseable] { halfCloseable->writeConnectionLost(); });
}

void MemoryTransport::blockOutput(bool on) {
    const auto keep = shared_from_this();
    blocked_ = on;
    if (!on && connected())
        outputDrained();
}

// --- What the protocol does

void MemoryTransport::write(std::string_view data) {
    assertThread("write()");
    if (data.empty())
        return;
    if (!acceptsWrites() || writeEnded_)
        return writeDropped(data.size());
    value_.append(data);
    if (blocked_)
        outputGrew();
    changed();
}

void MemoryTransport::loseConnection() {
    assertThread("loseConnection()");
    if (ended_ || aborted_)
        return;
    markDisconnecting();
    changed();
}

void MemoryTransport::abortConnection() {
    assertThread("abortConnection()");
    if (ended_ || aborted_)
        return;
    aborted_ = true;
    input_.clear();
    markEnded();
    changed();
}

void MemoryTransport::pauseProducing() {
    assertThread("pauseProducing()");
    paused_ = true;
}

void MemoryTransport::resumeProducing() {
    assertThread("resumeProducing()");
    paused_ = false;
    pump();
}

void MemoryTransport::loseWriteConnection() {
    assertThread("loseWriteConnection()");
    if (ended_ || aborted_ || writeEnded_)
        return;
    writeEnded_ = true;
    changed();
}

void* MemoryTransport::capability(std::type_index interface) {
    return interface == typeid(HalfCloseableTransport) ? static_cast<HalfCloseableTransport*>(this) : nullptr;
}

// --- The pipe

class MemoryPipe::End final : public MemoryTransport {
public:
    End(std::weak_ptr<Wire> wire, Address peer, Address host)
        : MemoryTransport(std::move(peer), std::move(host)), wire_(std::move(wire)) {
        blockOutput(true); // what is on the wire has not been sent yet
    }

protected:
    void changed() override;
    Clock* clockOrNull() const noexcept override;

private:
    friend struct Wire;
    std::weak_ptr<Wire> wire_;
};

struct MemoryPipe::Wire : std::enable_shared_from_this<Wire> {
    Wire(Clock& clock, Duration latency) : clock(clock), latency(latency) {}
    ~Wire() {
        if (call.active())
            call.cancel();
    }

    void schedule() {
        if (call.active())
            return;
        call = clock.callLater(latency, [weak = weak_from_this()] {
            if (const auto wire = weak.lock())
                wire->run();
        });
    }
    void run() {
        const auto keep = shared_from_this();
        move(*client, *server);
        move(*server, *client);
        if (!client->value().empty() || !server->value().empty())
            schedule();
    }
    // What `from` has done reaches `to`.
    void move(End& from, End& to) {
        if (from.aborted()) {
            to.end(ConnectionLost("the connection was reset by the peer"));
            from.finish();
            return;
        }
        if (to.ended() && !from.ended() && !from.value().empty())
            return from.breakOutput(ConnectionLost("the peer is gone"));
        if (chunk == 0 || from.value().size() <= chunk) {
            to.feed(from.takeOutput());
        } else {
            const std::string piece = from.output().substr(0, chunk);
            from.output().erase(0, chunk);
            to.feed(piece);
        }
        if (!from.value().empty() || from.aborted())
            return;
        if (from.writeEnded() || from.ended())
            to.feedEof();
        if (from.closing() && !from.hasProducer() && !from.ended()) {
            to.feedEof();
            from.finish();
        }
    }

    Clock& clock;
    Duration latency;
    std::size_t chunk = 0;
    DelayedCall call;
    std::shared_ptr<End> client;
    std::shared_ptr<End> server;
};

void MemoryPipe::End::changed() {
    if (const auto wire = wire_.lock())
        wire->schedule();
}

Clock* MemoryPipe::End::clockOrNull() const noexcept {
    const auto wire = wire_.lock();
    return wire ? &wire->clock : nullptr;
}

MemoryPipe::MemoryPipe(Clock& clock, Delay latency) : wire_(std::make_shared<Wire>(clock, latency.value())) {
    const IPv4Address here("127.0.0.1", 40000);
    const IPv4Address there("127.0.0.2", 80);
    wire_->client = std::make_shared<End>(wire_, there, here);
    wire_->server = std::make_shared<End>(wire_, here, there);
}

MemoryPipe::~MemoryPipe() = default;

MemoryPipe& MemoryPipe::chunk(std::size_t bytes) {
    wire_->chunk = bytes;
    return *this;
}

void MemoryPipe::connect(const std::shared_ptr<Protocol>& client, const std::shared_ptr<Protocol>& server) {
    client->makeConnection(wire_->client);
    server->makeConnection(wire_->server);
}

MemoryTransport& MemoryPipe::client() const noexcept { return *wire_->client; }
MemoryTransport& MemoryPipe::server() const noexcept { return *wire_->server; }
bool MemoryPipe::finished() const noexcept { return wire_->client->ended() && wire_->server->ended(); }

} // namespace bine::inline v0
