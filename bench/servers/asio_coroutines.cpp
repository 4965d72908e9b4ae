// Asio with C++20 coroutines; a buffer for each connection.
#include "asio_server.h"

#include <memory>
#include <optional>

using asio::awaitable;
using asio::use_awaitable;

template <class Stream>
static awaitable<void> answer(Stream& stream, std::size_t requests) {
    for (; requests > 0; --requests) {
        busyFor(options.handlerNs);
        for (int line = 0; line < kLines; ++line) co_await asio::async_write(stream, asio::buffer(kLine, kLineSize), use_awaitable);
    }
}

/// Until the connection ends, which comes as an exception.
template <class Stream>
static awaitable<void> talk(Stream& stream) {
    const std::unique_ptr<char[]> buffer(new char[bufferSize]); // not cleared
    std::size_t begun = 0;
    for (;;) {
        const std::size_t got = co_await stream.async_read_some(asio::buffer(buffer.get(), bufferSize), use_awaitable);
        if (options.mode == ModeWrites) {
            co_await answer(stream, requestsIn(&begun, got));
            continue;
        }
        busyFor(options.handlerNs);
        if (options.mode == ModeEcho) co_await asio::async_write(stream, asio::buffer(buffer.get(), got), use_awaitable);
    }
}

static awaitable<void> serve(tcp::socket socket) { co_await talk(socket); }

#ifdef BENCH_TLS
static awaitable<void> serveTls(tcp::socket socket, asio::ssl::context& tls) {
    TlsStream stream(std::move(socket), tls);
    co_await stream.async_handshake(TlsStream::server, use_awaitable);
    co_await talk(stream);
}
#endif

template <class Serve>
static awaitable<void> acceptAll(tcp::acceptor& acceptor, Serve serve) {
    const auto executor = co_await asio::this_coro::executor;
    for (;;) {
        std::error_code error;
        auto socket = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, error));
        if (error) continue;
        socket.set_option(tcp::no_delay(true), error);
        // A connection's end is no error of the server's.
        asio::co_spawn(executor, serve(std::move(socket)), [](std::exception_ptr) {});
    }
}

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, canTls);
    asio::io_context context(1);
    auto acceptor = listenOnLoopback(context);
#ifdef BENCH_TLS
    std::optional<asio::ssl::context> tls;
    if (options.certificate) {
        tls.emplace(tlsContext());
        asio::co_spawn(context, acceptAll(acceptor, [&tls](tcp::socket socket) { return serveTls(std::move(socket), *tls); }),
                       asio::detached);
    } else
#endif
        asio::co_spawn(context, acceptAll(acceptor, serve), asio::detached);
    context.run();
}
