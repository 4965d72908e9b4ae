#pragma once
// Filter: stands between a transport and a protocol, and may change what passes: encryption, compression, a PROXY header,
// a log of the traffic, a limit of the rate.
//
// To the protocol above it is a Transport, to the transport below a Protocol. As it is, it passes everything through
// unchanged: bytes, both ends of the stream, losses with their reasons, flow control, addresses, log prefix, clock and
// optional abilities. Derive from it and override dataFromBelow() and dataFromAbove():
//
//     class Rot13 : public bine::Filter {
//     public:
//         using Filter::Filter;
//
//     protected:
//         void dataFromBelow(std::string_view data) override { deliverAbove(rot13(data)); }
//         void dataFromAbove(std::string_view data) override { writeBelow(rot13(data)); }
//     };
//     bine::connectProtocol(reactor, host, port, std::make_shared<Rot13>(std::make_shared<Chat>())); // docs/examples/filters.cpp
//
// Filters may be stacked. Reactor's thread only. The transport below holds the filter, the filter holds the protocol above.
// What an override throws is handled as what a callback of a protocol throws. See docs/filters.md.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>

#include "bine/log/export.h"
#include "bine/net/half_close.h"
#include "bine/net/protocol.h"
#include "bine/net/transport.h"

namespace bine::inline v0 {

namespace detail {

/// What Transport and Protocol both ask, told apart by who asks.
class BINE_EXPORT FilterTransport : public Transport {
public:
    std::string logPrefix() const final { return prefixForAbove(); }

protected:
    void* capability(std::type_index type) final { return abilityForAbove(type); }
    virtual std::string prefixForAbove() const = 0;
    virtual void* abilityForAbove(std::type_index type) = 0;
};

class BINE_EXPORT FilterProtocol : public Protocol {
public:
    std::string logPrefix() const final { return prefixForBelow(); }

protected:
    void* capability(std::type_index type) final { return abilityForBelow(type); }
    virtual std::string prefixForBelow() const = 0;
    virtual void* abilityForBelow(std::type_index type) = 0;
};

} // namespace detail

class BINE_EXPORT Filter : public detail::FilterTransport,
                           public detail::FilterProtocol,
                           public HalfCloseableTransport,
                           public HalfCloseableProtocol {
public:
    /// Throws std::invalid_argument if there is no protocol.
    explicit Filter(std::shared_ptr<Protocol> above);
    ~Filter() override;

    using Transport::connected;

    // --- Transport: what the protocol above calls.

    using Transport::write;
    void write(std::string_view data) final;
    std::size_t buffered() const noexcept final;
    void readWhileBlocked(bool on) final;
    using Transport::loseConnection;
    void loseConnection() final;
    using Transport::abortConnection;
    void abortConnection() final;
    void loseWriteConnection() final;
    void pauseProducing() final;
    void resumeProducing() final;
    void registerProducer(std::shared_ptr<Producer> producer, bool streaming) final;
    void unregisterProducer() final;
    Address getPeer() const override;
    Address getHost() const override;
    std::string describe() const override;

    // --- Protocol: what the transport below calls.

    void connectionMade() final;
    void dataReceived(std::string_view data) final;
    void readConnectionLost() final;
    void writeConnectionLost() final;
    void reactorStopping() final;
    void connectionLost(const Failure& reason) final;
    bool holdsInput() const noexcept final;

protected:
    // --- For derived classes: override these ...

    /// The transport below is connected. The default connects the protocol above; a filter with a handshake calls
    /// connectAbove() later, or never.
    virtual void connectedBelow() { connectAbove(); }
    virtual void dataFromBelow(std::string_view data) { deliverAbove(data); }
    virtual void dataFromAbove(std::string_view data) { writeBelow(data); }
    /// The peer has ended its writing. Everything before has passed dataFromBelow().
    virtual void endFromBelow() { endAbove(); }
    /// loseWriteConnection() above. Everything before has passed dataFromAbove().
    virtual void endFromAbove() { endBelow(); }
    /// loseConnection() above, and a producer that was registered has finished. An override sends what it keeps, then calls
    /// loseBelow().
    virtual void loseFromAbove() { loseBelow(); }
    /// The connection below has ended; the protocol above hears connectionLost() next. With what it throws the connection
    /// ends no sooner: it is logged.
    virtual void lostBelow(const Failure&) {}
    /// How many bytes of what was written above the filter itself keeps: part of buffered(). Call writeBelow() or
    /// keptOutputChanged() when it has become less.
    virtual std::size_t keptOutput() const noexcept { return 0; }
    /// An optional ability of the transport, for the protocol above. The default asks below.
    void* abilityForAbove(std::type_index type) override;
    /// An optional ability of the protocol, for the transport below. The default asks above what its capability() says.
    void* abilityForBelow(std::type_index type) override;

    // --- ... and call these.

    /// Calls connectionMade() of the protocol above. Once.
    void connectAbove();
    /// Calls dataReceived() of the protocol above, as Transport::deliverData(). What comes while the input is paused is kept
    /// until it is resumed.
    void deliverAbove(std::string_view data);
    /// The stream from the peer ends for the protocol above, as Transport::deliverEof().
    void endAbove();
    void writeBelow(std::string_view data);
    void writeBelow(std::string&& data);
    /// Ends the writing below.
    void endBelow();
    /// loseConnection() of the transport below, with the Linger that was asked for.
    void loseBelow();
    /// keptOutput() has become less, and nothing was written below.
    void keptOutputChanged() { watchOutput(); }
    /// The transport below; the null transport if there is none.
    Transport& below() const noexcept { return kept_ ? *kept_ : Protocol::transport(); }

private:
    class Placeholder;

    std::string prefixForAbove() const final;
    std::string prefixForBelow() const final;
    void closeFinished() final { loseConnection(); }
    void producerGone() final { loseFromAbove(); }
    void outputAwaited() final { watchOutput(); }
    bool inputPaused() const noexcept final { return paused_; }
    bool keptAlive() const noexcept final { return true; }
    void aroundHandler(void (*call)(void*), void* object) final;
    Clock* clockOrNull() const noexcept final;
    std::size_t unsent() const noexcept final;
    void assertThread(const char* call) const final;
    void watchOutput();
    void outputWentOut();
    void endedBelow(const Failure& reason);

    std::shared_ptr<Protocol> above_; // until it is connected
    std::shared_ptr<Transport> kept_; // the transport below, while a loss waits for a handler above
    bool paused_ = false;
    bool watching_ = false; // for the end of the output below
    bool lost_ = false;     // the transport below has said so
};

} // namespace bine::inline v0
