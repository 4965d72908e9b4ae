#pragma once
// Transport: bytes to a peer. What a Protocol writes to, whatever lies below: a socket, a pipe, memory,
// another transport.
//
// Reactor's thread only; see docs/threads.md for what a call from another thread comes to. A connected transport holds its protocol; the reactor holds the transport; both
// until connectionLost() has returned. write(), loseConnection() and abortConnection() never call back
// synchronously. Cost of an idle one: docs/net.md, "What a connection costs".
//
// To write a transport of your own, derive from Transport, implement the pure functions, and call
// deliverData(), deliverEof(), deliverLoss(), outputGrew() and outputDrained(): they stand for the exception
// barrier, for the busy rule (see deliverData), for the producers, and for what a connection owes its peer at the
// end. attach() connects it.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>

#include "bine/base/text_traits.h"
#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/failure.h"
#include "bine/defer/function.h"
#include "bine/defer/owner.h"
#include "bine/log/context.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/ending.h"
#include "bine/net/producer.h"
#include "bine/net/shared_bytes.h"

namespace bine::inline v0 {

class Filter;
class Protocol;

namespace detail {
struct TransportExtras;
struct TransportAccess;
} // namespace detail

class BINE_EXPORT Transport : public Producer, public Consumer {
public:
    ~Transport() override;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    // --- Writing. Never blocks. What is written after loseConnection() is dropped, unless a producer is
    // registered; after the end, always.

    /// Copies. Any usual form of bytes: a literal, a string_view, a string.
    void write(std::string_view data) override = 0;
    /// Takes the string over instead of copying it, if it is large.
    template <class S>
    requires std::same_as<S, std::string>
    void write(S&& data) { writeOwned(std::move(data)); }
    /// For bytes that go to many: large ones (16 KiB) are queued by reference, not copied, by connections over sockets.
    void write(const SharedBytes& data) { writeShared(data); }
    /// Text of a toolkit, as UTF-8, or its bytes: see base/text_traits.h.
    template <ForeignText Text>
    void write(const Text& data) { write(TextTraits<Text>::read(data)); }
    /// Refused in words.
    template <class X>
    requires(!std::convertible_to<X, std::string_view> && !std::same_as<std::remove_cvref_t<X>, SharedBytes> &&
             !ForeignText<std::remove_cvref_t<X>>)
    void write(X&&) {
        static_assert(detail::accepted<X>, "write: this is no text and no bytes: for QString and QByteArray include "
                                           "\"bine/qtreactor/qt_text.h\", for GString* and GBytes* "
                                           "\"bine/gtkreactor/glib_text.h\"");
    }
    /// As many writes, in order. Strings in an rvalue range are taken over.
    template <class Range>
    void writeSequence(Range&& pieces) {
        for (auto&& piece : pieces) {
            if constexpr (!std::is_lvalue_reference_v<Range> &&
                          std::same_as<std::remove_reference_t<decltype(piece)>, std::string>)
                writeOwned(std::move(piece));
            else if constexpr (std::same_as<std::remove_cvref_t<decltype(piece)>, SharedBytes>)
                writeShared(piece);
            else
                write(std::string_view(piece));
        }
    }
    void writeSequence(std::initializer_list<std::string_view> pieces) {
        for (const std::string_view piece : pieces)
            write(piece);
    }
    /// How many bytes wait to be sent.
    virtual std::size_t buffered() const noexcept = 0;
    /// Fires when nothing waits any more: at once, or from a later turn. Fails with the reason when the
    /// connection ends first (or has ended). Any number may wait. For a sender that makes its own pace:
    /// `co_await transport.drained()`.
    Deferred<> drained(std::source_location where = std::source_location::current());
    /// More than `bytes` waiting aborts the connection, with a warning in the log: for peers that do not
    /// read. 0 (the default): no limit.
    void maxBuffered(std::size_t bytes);
    /// False: do not read while more than 64 KiB wait to be sent, so that a peer that does not read our
    /// answers cannot go on asking. True (the default): two peers that both do this can block each other.
    virtual void readWhileBlocked(bool on);

    // --- Ending.

    /// Sends what waits (and what a registered producer still writes), then closes. No dataReceived() from
    /// now on.
    virtual void loseConnection() = 0;
    /// The same within a bound, and without a reset that could destroy the last bytes: sends what waits, ends the
    /// writing, drops what the peer still sends, and closes when the peer has closed. After the time it aborts. The
    /// reason is then ConnectionLost with the number of bytes that were not sent, or ConnectionDone if all were.
    /// After loseConnection() it adds the bound; of several bounds the earliest counts. A transport without a clock()
    /// has no bound. One that is no socket drops no input and closes when everything is sent.
    void loseConnection(Linger linger);
    /// Ends now: what waits is dropped, the peer sees a reset.
    virtual void abortConnection() = 0;
    /// The same, and `reason` is what connectionLost() gets; the first reason counts. One line at info level says why:
    /// "Aborting <Echo #3 on 8000>: ...". For a peer that breaks the rules: abortConnection(ProtocolError(...)).
    void abortConnection(Failure reason);
    /// From the attachment of a protocol until the end of the connection below, which may be before the
    /// protocol hears of it.
    bool connected() const noexcept { return state_ == State::connected; }
    /// loseConnection() was called, and the connection has not ended yet.
    bool disconnecting() const noexcept { return everDisconnecting() && state_ == State::connected; }
    /// An answer is owed, as long as the object lives: if the peer ends its writing, the connection stays open for it.
    /// Empty if not connected.
    HoldOpen holdOpen();
    /// How long the connection stays open after the peer has ended its writing, for what is queued, for a registered
    /// producer, and for answers that are owed: 30 s unless set. Then it is aborted, with ConnectionLost. Counts for an
    /// end that comes later. Half-closeable protocols decide for themselves. Throws std::invalid_argument if negative.
    void halfClosedTimeout(Delay time);

    // --- Flow control: as a producer of data, and as a consumer of what a producer of the application makes.

    /// No dataReceived() until resumed. What is under way stays where it is (in the kernel).
    void pauseProducing() override = 0;
    /// No effect once the connection is being closed.
    void resumeProducing() override = 0;
    /// loseConnection().
    void stopProducing() override;
    void registerProducer(std::shared_ptr<Producer> producer, bool streaming) override;
    void unregisterProducer() override;
    /// unregisterProducer() and loseConnection().
    void stopConsuming();
    /// A streaming producer is paused when more than this waits, and resumed when nothing waits any more.
    static constexpr std::size_t highWater = 64 * 1024;

    // --- Who and what.

    /// Valid until the protocol's connectionLost() has returned; unspecified for transports without
    /// addresses.
    virtual Address getPeer() const { return {}; }
    virtual Address getHost() const { return {}; }
    /// The clock of this connection's loop, for timeouts. Valid while connected. Throws std::logic_error if there is
    /// none: not connected, or a transport of your own that was not attached with attach().
    Clock& clock() const;
    /// An optional ability, or null: transport().as<HalfCloseableTransport>(). The pointer lives as long as
    /// the transport. Wrappers pass the question on.
    template <class I>
    I* as() {
        return static_cast<I*>(capability(typeid(I)));
    }
    /// The prefix of what is logged in the callbacks: "Echo,3,127.0.0.1".
    virtual std::string logPrefix() const;
    /// One line for people: "<Echo #3 on 8000>".
    virtual std::string describe() const;
    /// When `owner` dies, the connection is aborted and its protocol hears nothing more, connectionLost()
    /// neither. Several owners: the first that dies. If loseConnection() was called before, what waits is still sent:
    /// within its Linger, else within 30 s. A registered producer cannot finish without its owner: then it aborts.
    template <class X>
    void ownedBy(X& owner) {
        own(detail::hookOf(owner));
    }
    template <class X>
    void ownedBy(X* owner) {
        ownedBy(detail::ownerAt(owner));
    }
    /// Null before a protocol was attached. (Not std::enable_shared_from_this: a filter is a Transport and a
    /// Protocol in one object.)
    std::shared_ptr<Transport> shared_from_this() const noexcept { return self_.lock(); }
    /// Puts `next` in the place of the present protocol, which is handed back unconnected and uncalled: for
    /// upgrades and handshakes. `next` is linked, its connectionMade() is not called. Throws std::logic_error
    /// if not connected.
    ///
    /// `rest` is what the present protocol was given and has not used. It is copied. `next` gets it by dataReceived()
    /// before all later bytes and before the end of the input: when the handler on the stack has returned, or now if there
    /// is none; if the input is paused, when it is resumed.
    std::shared_ptr<Protocol> replaceProtocol(std::shared_ptr<Protocol> next, std::string_view rest = {});

protected:
    Transport();

    // --- For those who write a transport.

    /// The rvalue form of write(). The default calls write().
    virtual void writeOwned(std::string&& data);
    /// write() of SharedBytes. The default calls write() with the view.
    virtual void writeShared(const SharedBytes& data);
    /// A protocol was attached: begin to read. Comes before connectionMade(). Runs no user code.
    virtual void protocolAttached() {}
    virtual void* capability(std::type_index type);

    /// Calls the protocol's dataReceived(). An exception from it becomes the reason of connectionLost() and
    /// aborts; it is logged as critical, but a ProtocolError, which is the peer's fault, at info level. Busy rule: a protocol whose handler is on the stack (it runs a dialog) hears nothing; stop
    /// reading while inHandler(), and resume in handlersReturned(). What is delivered nevertheless is kept,
    /// and delivered when the handler has returned. May destroy this object's last outside reference: it is
    /// kept until the call returns.
    void deliverData(std::string_view data);
    /// The peer has ended its writing, and everything before was delivered. A half-closeable protocol hears
    /// readConnectionLost(). For any other one the connection stays open until nothing is queued, no producer is
    /// registered and no answer is owed, and then ends with closeFinished(); at once if there is nothing. A second call
    /// does nothing, nor does one after loseConnection(). While a handler is on the stack it waits, as deliverData().
    void deliverEof();
    /// The input has ended and the connection goes on: stop reading. Runs no user code.
    virtual void inputOver() {}
    /// The peer has ended its writing and nothing is owed: close. Called from turns, or from deliverEof(). The default
    /// calls loseConnection().
    virtual void closeFinished();
    /// A write failed for good, and what waited is lost: acceptsWrites() is false from now on. A producer and the
    /// waiters of drained() hear of it in a later turn. Deliver what has arrived before, then call deliverLoss(): its
    /// reason will be this one. Runs no user code.
    void failOutput(const Failure& reason);
    bool outputFailed() const noexcept { return (closing_ & kOutputFailed) != 0; }
    /// The connection has ended: stopProducing(), the waiters of drained(), connectionLost(), in this order;
    /// now, or when the handler on the stack has returned. A second call does nothing. Never from inside
    /// loseConnection() or abortConnection(): from a later turn.
    void deliverLoss(const Failure& reason);
    /// The reactor begins its shutdown: calls the protocol's reactorStopping(), now or when the handler on the
    /// stack has returned. attach() sees to it; for transports that something else keeps alive.
    void deliverStopping();
    /// The connection below has ended, connected() is false from now on; deliverLoss() will follow.
    void markEnded() noexcept;
    /// loseConnection() was called.
    void markDisconnecting() noexcept { closing_ |= kDisconnecting; }
    bool everDisconnecting() const noexcept { return (closing_ & kDisconnecting) != 0; }
    /// With a Linger: when everything is sent end the writing, and drop input until the peer closes.
    bool lingering() const noexcept { return lingering_; }
    /// How long the end may take. REQUIRES: lingering().
    Duration endBound() const noexcept;
    /// Whether a call of user code made by this transport is on the stack.
    bool inHandler() const noexcept { return handlers_ != 0; }
    /// pauseProducing() is in force. With it, what the base class keeps for the protocol (see deliverData() and
    /// replaceProtocol()) waits until resumeProducing() calls deliverKept(). The default is false: it never waits.
    virtual bool inputPaused() const noexcept { return false; }
    /// Keeps it for the protocol, as if a handler were on the stack, until deliverKept().
    void keepInput(std::string_view data);
    /// Whether the base class keeps input for the protocol.
    bool keepsInput() const noexcept { return keeps_; }
    /// Delivers what is kept, unless the input is paused or a handler is on the stack. Runs user code: from a turn, or
    /// where deliverData() may be called.
    void deliverKept();
    /// The last handler on the stack returned, and the connection lives: read on.
    virtual void handlersReturned() {}
    /// Whether write() is to accept data: connected, and not disconnecting unless a producer still writes.
    bool acceptsWrites() const noexcept {
        return state_ != State::ended && state_ != State::lost &&
               (closing_ == 0 || (closing_ == kDisconnecting && hasProducer()));
    }
    /// Notes in the log, at debug level and once per connection, that `bytes` were not accepted.
    void writeDropped(std::size_t bytes);
    /// After a write that left bytes waiting: pauses a producer, sees to maxBuffered().
    void outputGrew();
    /// Nothing waits any more: resumes a producer, fires drained(). Runs user code: not from inside write(),
    /// nor from flush().
    void outputDrained();
    /// Something waits for outputDrained() from now on. For transports that do not know by themselves when nothing waits
    /// any more. Runs no user code.
    virtual void outputAwaited() {}
    /// Whether anybody waits for outputDrained().
    bool outputWatched() const noexcept { return extras_ != nullptr && watched(); }
    bool hasProducer() const noexcept;
    /// The producer went while disconnecting: close when nothing waits. The default calls loseConnection()
    /// afresh.
    virtual void producerGone();
    /// Calls user code with everything that belongs around it; false if it threw (then the connection is
    /// being aborted). `name` is for the log: "dataReceived()"; a string that lives for ever.
    template <class F>
    bool callHandler(const char* name, F&& f) {
        return runHandler([](void* g) { (*static_cast<std::remove_reference_t<F>*>(g))(); },
                          const_cast<void*>(static_cast<const void*>(std::addressof(f))), name);
    }
    /// What belongs around user code in this kind of transport. An override calls call(object) exactly once
    /// and lets exceptions through.
    virtual void aroundHandler(void (*call)(void*), void* object) { call(object); }
    /// Ends with this reason, whatever abortConnection() and deliverLoss() would say. The first one counts.
    void failConnection(const Failure& reason);
    /// True if something else than attach() keeps a connected transport alive.
    virtual bool keptAlive() const noexcept { return false; }
    /// The clock of the connection's loop, or null. The default is that of the reactor in attach().
    virtual Clock* clockOrNull() const noexcept;
    /// How many bytes an abort would destroy now. The default is buffered().
    virtual std::size_t unsent() const noexcept { return buffered(); }

    /// Ends the program with a message if this is not the transport's thread, as Clock::assertThread() does. The default checks nothing. The functions of this
    /// class call it.
    virtual void assertThread(const char* call) const;

    Protocol* protocol() const noexcept { return protocol_.get(); }

private:
    friend class Filter;
    friend class Protocol;
    friend struct detail::TransportAccess;
    enum class State : std::uint8_t { unattached, connected, ended, lost };

    void attachProtocol(std::shared_ptr<Transport> self, std::shared_ptr<Protocol> protocol);
    bool runHandler(void (*call)(void*), void* object, const char* name);
    void handlerFailed(const Failure& failure, const char* name);
    void settle();
    void deliverHeld();
    void lossNow(const Failure& reason);
    void releaseProtocol(const Failure* loss);
    void resumeProducer();
    bool watched() const noexcept;
    void own(detail::OwnerHook& hook);
    void ownerDied();
    bool finished() const noexcept;
    void endIfFinished();
    void endIfFinishedLater();
    void holdReleased() noexcept;
    void bindEnd(Duration time);
    void boundPassed();
    void tellOutputFailed();
    detail::TransportExtras& extras();

    std::weak_ptr<Transport> self_;
    std::shared_ptr<Protocol> protocol_;
    std::unique_ptr<detail::TransportExtras> extras_; // what most connections never need
    std::uint32_t handlers_ = 0;
    State state_ = State::unattached;
    static constexpr std::uint8_t kDisconnecting = 1, kOutputFailed = 2;
    std::uint8_t closing_ = 0;
    bool silent_ : 1 = false;    // an owner died
    bool eofCame_ : 1 = false;   // deliverEof() was called
    bool peerEnded_ : 1 = false; // and the connection stays open for what is owed
    bool lingering_ : 1 = false;
    bool dropNoted_ : 1 = false;
    bool keeps_ : 1 = false;     // input, in extras_->held
};

/// What Protocol::transport() is before and after a connection: everything is a no-op. drained() fails with
/// ConnectionLost.
BINE_EXPORT Transport& nullTransport();

} // namespace bine::inline v0
