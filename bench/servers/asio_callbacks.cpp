// Asio with completion handlers; a buffer for each connection.
#include "asio_server.h"

#include <functional>
#include <memory>
#include <optional>

/// A connection. It lives in the handlers of what is under way.
template <class Stream>
class Session : public std::enable_shared_from_this<Session<Stream>> {
public:
    explicit Session(Stream stream) : stream_(std::move(stream)) {}

    Stream& stream() { return stream_; }

    void read() {
        stream_.async_read_some(asio::buffer(buffer_.get(), bufferSize),
                                [self = this->shared_from_this()](std::error_code error, std::size_t got) {
                                    if (!error) self->received(got);
                                });
    }

private:
    void received(std::size_t got) {
        if (options.mode == ModeWrites) {
            lines_ = requestsIn(&begun_, got) * kLines;
            return writeLine();
        }
        busyFor(options.handlerNs);
        if (options.mode == ModeSink) return read();
        asio::async_write(stream_, asio::buffer(buffer_.get(), got), [self = this->shared_from_this()](std::error_code error, std::size_t) {
            if (!error) self->read();
        });
    }

    void writeLine() {
        if (lines_ == 0) return read();
        if (lines_-- % kLines == 0) busyFor(options.handlerNs);
        asio::async_write(stream_, asio::buffer(kLine, kLineSize), [self = this->shared_from_this()](std::error_code error, std::size_t) {
            if (!error) self->writeLine();
        });
    }

    Stream stream_;
    std::unique_ptr<char[]> buffer_{new char[bufferSize]}; // not cleared
    std::size_t begun_ = 0;
    std::size_t lines_ = 0;
};

/// Calls made(socket) for each connection.
static void acceptAll(tcp::acceptor& acceptor, const std::function<void(tcp::socket)>& made) {
    acceptor.async_accept([&acceptor, &made](std::error_code error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true), error);
            made(std::move(socket));
        }
        acceptAll(acceptor, made);
    });
}

static void serve(tcp::socket socket) { std::make_shared<Session<tcp::socket>>(std::move(socket))->read(); }

#ifdef BENCH_TLS
static void serveTls(tcp::socket socket, asio::ssl::context& tls) {
    auto session = std::make_shared<Session<TlsStream>>(TlsStream(std::move(socket), tls));
    session->stream().async_handshake(TlsStream::server, [session](std::error_code error) {
        if (!error) session->read();
    });
}
#endif

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, canTls);
    asio::io_context context(1);
    auto acceptor = listenOnLoopback(context);
    std::function<void(tcp::socket)> made = serve;
#ifdef BENCH_TLS
    std::optional<asio::ssl::context> tls;
    if (options.certificate) {
        tls.emplace(tlsContext());
        made = [&tls](tcp::socket socket) { serveTls(std::move(socket), *tls); };
    }
#endif
    acceptAll(acceptor, made);
    context.run();
}
