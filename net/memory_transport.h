#pragma once
// MemoryTransport: a transport for tests. It records what a protocol writes and asks for, and hands it what
// the test feeds. MemoryPipe: two of them with a wire between, so that two protocols talk; deterministic, on
// a clock that the test advances.
//
// Belongs to the thread that made it; a call from another thread ends the program with a message. No reactor is needed. Hold the transport (or the pipe): it holds the protocol. A transport that
// is dropped while connected leaves its protocol unconnected, silently.
//
//     auto transport = std::make_shared<bine::MemoryTransport>();
//     auto echo = std::make_shared<Echo>();
//     echo->makeConnection(transport);
//     transport->feed("hello");
//     QCOMPARE(transport->value(), "hello");
//
// It tells of an end only when the test says so: finish() after loseConnection() or abortConnection() (also
// the one that follows an exception or a bound that has passed), end() for others. After feedEof() it ends by itself
// when nothing is owed any more.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "bine/defer/clock.h"
#include "bine/defer/home_thread.h"
#include "bine/log/export.h"
#include "bine/net/half_close.h"
#include "bine/net/protocol.h"
#include "bine/net/transport.h"
#include "bine/reactors/manual_clock.h"

namespace bine::inline v0 {

class BINE_EXPORT MemoryTransport : public Transport, public HalfCloseableTransport {
public:
    MemoryTransport();
    MemoryTransport(Address peer, Address host);
    ~MemoryTransport() override;

    // --- The test's side.

    /// Everything written so far, less what clear() and takeOutput() removed.
    const std::string& value() const noexcept { return value_; }
    void clear() noexcept { value_.clear(); }
    /// value(), and clears it: it has been sent. Producers go on, drained() fires, writeConnectionLost()
    /// follows loseWriteConnection().
    std::string takeOutput();
    /// The protocol receives this: now, or when it resumes if it has paused. Nothing once the connection is
    /// being closed. With a chunk size, in pieces.
    void feed(std::string_view data);
    void feed(std::string_view data, std::size_t chunk);
    template <ForeignText Text>
    void feed(const Text& data) {
        feed(std::string_view(TextTraits<Text>::read(data)));
    }
    /// The peer ends its writing: readConnectionLost() of a half-closeable protocol, else the connection ends
    /// with ConnectionDone as soon as nothing is queued (see blockOutput()), registered or owed. After what was fed.
    void feedEof();
    /// Writing fails from now on, as to a peer that is gone: what waits is lost. What was fed is still delivered, then
    /// the connection ends with this reason.
    void breakOutput(const Failure& reason);
    /// The connection ends with this reason, whatever was fed and not delivered.
    void end(const Failure& reason);
    /// The connection ends as the protocol asked for: ConnectionDone after loseConnection(),
    /// ConnectionAborted after abortConnection().
    void finish();
    /// While true, what is written counts as waiting to be sent (buffered(), producers, maxBuffered()); false
    /// drains it.
    void blockOutput(bool on);

    /// What clock() is, unless this is an end of a MemoryPipe: advance it, and bounds pass.
    ManualClock& manualClock() noexcept { return clock_; }

    bool paused() const noexcept { return paused_; }
    bool aborted() const noexcept { return aborted_; }
    bool writeEnded() const noexcept { return writeEnded_; }
    /// loseConnection() was called.
    bool closing() const noexcept { return everDisconnecting(); }
    bool ended() const noexcept { return ended_; }

    // --- Transport.

    using Transport::write;
    void write(std::string_view data) override;
    std::size_t buffered() const noexcept override { return blocked_ ? value_.size() : 0; }
    using Transport::loseConnection;
    void loseConnection() override;
    using Transport::abortConnection;
    void abortConnection() override;
    void pauseProducing() override;
    void resumeProducing() override;
    void loseWriteConnection() override;
    Address getPeer() const override { return peer_; }
    Address getHost() const override { return host_; }

protected:
    void* capability(std::type_index type) override;
    void assertThread(const char* call) const override;
    void handlersReturned() override { pump(); }
    bool inputPaused() const noexcept override { return paused_; }
    void closeFinished() override;
    Clock* clockOrNull() const noexcept override { return &clock_; }
    /// Something happened that the other end may want to know of. For MemoryPipe.
    virtual void changed() {}
    std::string& output() noexcept { return value_; }

private:
    void pump();
    void tellWriteEnded();

    const detail::HomeThread home_;
    mutable ManualClock clock_;

    Address peer_;
    Address host_;
    std::string value_;
    std::string input_; // fed, not delivered
    std::size_t chunk_ = 0;
    bool paused_ = false;
    bool aborted_ = false;
    bool blocked_ = false;
    bool writeEnded_ = false;
    bool writeEndTold_ = false;
    bool inputEnds_ = false;
    bool inputEnded_ = false;
    bool ended_ = false;
    bool pumping_ = false;
};

/// A wire between two protocols. Bytes, ends and resets arrive after the latency, never synchronously; each
/// end is a MemoryTransport.
class BINE_EXPORT MemoryPipe {
public:
    /// The clock must outlive the pipe.
    explicit MemoryPipe(Clock& clock, Delay latency = Duration::zero());
    ~MemoryPipe();
    MemoryPipe(const MemoryPipe&) = delete;
    MemoryPipe& operator=(const MemoryPipe&) = delete;

    /// Deliver in pieces of at most so many bytes, one piece per call of the clock; 0: everything at once.
    MemoryPipe& chunk(std::size_t bytes);
    /// Connects the two, the client first.
    void connect(const std::shared_ptr<Protocol>& client, const std::shared_ptr<Protocol>& server);
    MemoryTransport& client() const noexcept;
    MemoryTransport& server() const noexcept;
    /// Both protocols have heard connectionLost().
    bool finished() const noexcept;

    class End;
    struct Wire;

private:
    std::shared_ptr<Wire> wire_;
};

} // namespace bine::inline v0
