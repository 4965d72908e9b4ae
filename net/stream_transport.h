#pragma once
// StreamTransport: a connected stream socket as a Transport. Internal; reactor's thread.
//
// Reads into the reactor's shared buffer, one recv per event. Writes go to a queue that is sent at the end of
// the batch, sooner when there is much, at once outside of callbacks; a large one is sent at once, uncopied.
// The socket's end and the protocol's hearing of it are two things: loseConnection() closes the socket when
// everything is sent, even while a handler of the protocol is on the stack; connectionLost() waits for the
// handler.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bine/net/address.h"
#include "bine/net/tcp.h"
#include "bine/net/transport.h"
#include "bine/net/write_queue.h"
#include "bine/reactors/io_handler.h"

namespace bine::inline v0::detail {

/// An IP address in 24 bytes.
class CompactAddress {
public:
    CompactAddress() = default;
    explicit CompactAddress(const SocketAddress& address) noexcept;
    Address address() const;
    bool known() const noexcept { return family_ != 0; }

private:
    std::uint16_t family_ = 0;
    std::uint16_t port_ = 0;
    std::uint32_t scope_ = 0;
    unsigned char bytes_[16] = {};
};

class StreamTransport final : public Transport, public IoHandler, public TCPTransport {
public:
    /// Takes over a connected, non-blocking socket. Nothing is read until a protocol is attached.
    StreamTransport(ReactorCore& core, int fd, const SocketAddress& peer);
    ~StreamTransport() override;

    /// A connection that a port accepted: for logs.
    void setSession(std::uint32_t session, std::uint16_t port) noexcept {
        session_ = session;
        port_ = port;
    }

    using Transport::write;
    void write(std::string_view data) override;
    std::size_t buffered() const noexcept override { return queue_ ? queue_->size() : 0; }
    void readWhileBlocked(bool on) override;
    using Transport::loseConnection;
    void loseConnection() override;
    using Transport::abortConnection;
    void abortConnection() override;
    void pauseProducing() override;
    void resumeProducing() override;
    Address getPeer() const override;
    Address getHost() const override;
    std::string logPrefix() const override;
    std::string describe() const override;

    void loseWriteConnection() override;
    bool getTcpNoDelay() const override;
    void setTcpNoDelay(bool on) override;
    bool getTcpKeepAlive() const override;
    void setTcpKeepAlive(bool on) override;

    void ioReady(unsigned events) override;
    void readyWhileBusy(unsigned events) override;
    void flush() override;
    void reactorStopping() override { deliverStopping(); }
    std::size_t queued() const noexcept override { return buffered(); }
    void reactorStopped() override;
    LogContext logContext() override { return LogContext(logPrefix()); }
    CallbackName callbackName() const noexcept override;

protected:
    void writeOwned(std::string&& data) override;
    void writeShared(const SharedBytes& data) override;
    void protocolAttached() override;
    void inputOver() override;
    void closeFinished() override;
    Clock* clockOrNull() const noexcept override;
    std::size_t unsent() const noexcept override;
    void* capability(std::type_index type) override;
    bool inputPaused() const noexcept override { return paused_; }
    void handlersReturned() override;
    void producerGone() override;
    void aroundHandler(void (*call)(void*), void* object) override;
    bool keptAlive() const noexcept override { return true; }
    void assertThread(const char* call) const override;

private:
    struct Cold;
    struct Delivery;

    int descriptor() const noexcept;
    bool mayWrite() const noexcept { return acceptsWrites() && !writeEnding_; }
    void written();
    void sendNow(std::string_view more = {});
    void outputWritten();
    void closeWhenSent();
    bool sendQueued(std::string_view more = {});
    void sendAndTellLater(std::string_view more = {});
    void tellLater();
    void tell();
    void readSome();
    void inputEnded();
    void bothEnded();
    void hungUp();
    void updateReading();
    void dropQueue() noexcept;
    void everythingSent();
    void writeFailed(int error);
    void readRestLater();
    void readRest();
    bool restWaits() const;
    void discardInput();
    void endSocket(const Failure& given, bool now = false);
    void closeUnattached() noexcept;
    bool option(int level, int name) const;
    void setOption(int level, int name, bool on);

    std::unique_ptr<WriteQueue> queue_; // while something waits
    std::unique_ptr<Cold> cold_;        // before a protocol is attached, and after the end
    CompactAddress peer_;
    std::uint32_t session_ = 0;
    std::uint16_t port_ = 0;
    bool paused_ : 1 = false;
    bool readWhileBlocked_ : 1 = true;
    bool inputEnded_ : 1 = false;
    bool writeEnding_ : 1 = false; // loseWriteConnection() was called
    bool writeEnded_ : 1 = false;  // and done
    bool writeEndTold_ : 1 = false;
    bool tellQueued_ : 1 = false;
    bool restQueued_ : 1 = false;
};

} // namespace bine::inline v0::detail
