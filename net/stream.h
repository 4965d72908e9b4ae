#pragma once
// Stream: a connection that a coroutine reads and writes, as with asyncio's streams.
//
//     bine::Deferred<std::string> firstLine(bine::Reactor& reactor, std::string host) {
//         bine::Stream stream = co_await bine::openConnection(reactor, host, 13);
//         stream.write("now?\r\n");
//         co_return co_await stream.readLine();
//     }
//
// A handle that is moved, not copied; dropping it closes the connection, and what was written is still sent. One read at a
// time. Reactor's thread only. Underneath is a Protocol, so a Stream works over every transport.
//
// Flow control is on by itself: the transport is paused while more is buffered than any read asked for. Up to 64 KiB, and
// one receive of the transport (256 KiB), are buffered beyond that. A read that the buffer can serve allocates nothing but
// its string. For deadlines: `stream.readLine().addTimeout(5s, reactor)`; a read that is cancelled consumes nothing.
//
// The end of the stream is an error for readLine(), readExactly() and readUntil(): EndOfStreamError with the bytes that came
// before. It is a value for read() (an empty string), nextLine() (no line) and readAll(). After a loss that was no clean end,
// what is buffered can still be read; then each read fails with the reason of the loss.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/errors.h"
#include "bine/net/factory.h"
#include "bine/net/tcp.h"

namespace bine::inline v0 {

/// The peer ended the stream before a read had what it asked for.
class BINE_EXPORT EndOfStreamError : public Error {
public:
    explicit EndOfStreamError(std::string partial);
    ~EndOfStreamError() override;
    /// The bytes that came after the last complete read. They are consumed.
    const std::string& partial() const noexcept { return partial_; }
    std::string userMessage() const override;

private:
    std::string partial_;
};

/// More bytes came without the end that a read waits for than its maximum allows. They are not consumed.
class BINE_EXPORT StreamLimitError : public ProtocolError {
public:
    StreamLimitError(std::string what, std::size_t maximum);
    ~StreamLimitError() override;
    std::size_t maximum() const noexcept { return maximum_; }
    std::string userMessage() const override;

private:
    std::size_t maximum_;
};

namespace detail {
class StreamProtocol;
}

class BINE_EXPORT Stream {
public:
    /// No connection: reads fail with ConnectionLost, all else does nothing.
    Stream() noexcept;
    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;
    ~Stream();
    /// A stream over a transport that has no protocol yet. The reactor keeps both until the connection ends.
    static Stream over(Reactor& reactor, const std::shared_ptr<Transport>& transport);

    // --- Reading. A second read while one waits throws std::logic_error.

    /// Some bytes, at least one and at most `maximum`; none at the end.
    Deferred<std::string> read(std::size_t maximum = 64 * 1024,
                               std::source_location where = std::source_location::current());
    /// The next line, without its "\n" or "\r\n". Fails with EndOfStreamError, and with StreamLimitError if the line is longer
    /// than `maximum`.
    Deferred<std::string> readLine(std::size_t maximum = 16 * 1024,
                                   std::source_location where = std::source_location::current());
    /// The next line; at the end the last one, terminated or not, and then none.
    Deferred<std::optional<std::string>> nextLine(std::size_t maximum = 16 * 1024,
                                                  std::source_location where = std::source_location::current());
    /// Exactly `count` bytes. Fails with EndOfStreamError.
    Deferred<std::string> readExactly(std::size_t count,
                                      std::source_location where = std::source_location::current());
    /// The bytes before `delimiter`, which is consumed too. Throws std::invalid_argument if it is empty. Fails as readLine().
    Deferred<std::string> readUntil(std::string_view delimiter, std::size_t maximum = 16 * 1024,
                                    std::source_location where = std::source_location::current());
    /// Everything until the end. Fails with StreamLimitError if that is more than `maximum`.
    Deferred<std::string> readAll(std::size_t maximum,
                                  std::source_location where = std::source_location::current());

    // --- Writing.

    /// Transport::write(): any form of bytes. Never blocks.
    template <class Data>
    void write(Data&& data) {
        transport().write(std::forward<Data>(data));
    }
    /// Transport::drained(): fires when all that was written has been handed to the kernel.
    Deferred<> drained(std::source_location where = std::source_location::current());
    /// The peer sees the end of what we write; reading goes on.
    void endWriting();

    // --- Ending.

    /// Sends what was written, then closes. A read that waits ends as at the end of the stream.
    void close();
    /// Closes now; what was written and not yet sent is dropped.
    void abort();
    /// Fires when the connection has ended, in whatever way.
    Deferred<> closed(std::source_location where = std::source_location::current());
    /// Whether there is a connection, which may be read or written.
    bool connected() const noexcept;
    /// True when the peer has ended its writing and everything has been read.
    bool atEnd() const noexcept;

    // --- Who and what.

    Address getPeer() const { return transport().getPeer(); }
    Address getHost() const { return transport().getHost(); }
    /// The transport, or the null transport.
    Transport& transport() const noexcept;

private:
    friend class detail::StreamProtocol;
    explicit Stream(std::shared_ptr<detail::StreamProtocol> protocol) noexcept;
    std::shared_ptr<detail::StreamProtocol> protocol_;
};

/// Connects to a host, a literal or a name. Fails as connectProtocol(); cancelling ends the attempt. The owners of the
/// Deferred, and of a coroutine that awaits it, own the connection: when one of them dies, it is aborted.
BINE_EXPORT Deferred<Stream> openConnection(Reactor& reactor, const TextArgument& host, Port port,
                                            const TCPClientOptions& options = TCPClientOptions(),
                                            std::source_location where = std::source_location::current());

namespace detail {
/// What becomes of each connection.
using StreamHandler = Function<Deferred<>(Stream)>;
BINE_EXPORT std::shared_ptr<Factory> makeStreamFactory(StreamHandler handler);
} // namespace detail

/// A factory for servers: calls `handler(Stream)`, usually a coroutine, for each connection.
///
///     auto factory = bine::streamFactory([](bine::Stream stream) -> bine::Deferred<> {
///         while (auto line = co_await stream.nextLine()) stream.write(*line + "\r\n");
///     });
///     auto port = bine::listenTCP(reactor, 8000, factory);
///
/// The connection closes when the handler has let go of its Stream. A failure of the handler aborts the connection; it is
/// logged as an error, but at info level if it is a ProtocolError, and at debug level if it is the end of the connection itself. The factory keeps the handler until
/// its last connection has ended, so a lambda may have captures.
template <class Handler>
    requires std::is_invocable_r_v<Deferred<>, Handler&, Stream>
std::shared_ptr<Factory> streamFactory(Handler handler) {
    return detail::makeStreamFactory(detail::StreamHandler(std::move(handler)));
}

} // namespace bine::inline v0
