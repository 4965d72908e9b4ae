#pragma once
// What the two Asio servers share: options, the listening socket, and the context of TLS. Built with BENCH_TLS they know TLS.

#include <asio.hpp>

#include "clock.h"
#include "options.h"
#include "work.h"
#ifdef BENCH_TLS
#include <asio/ssl.hpp>
inline constexpr int canTls = CanTls;
#else
inline constexpr int canTls = 0;
#endif

using asio::ip::tcp;

inline Options options;
inline constexpr std::size_t bufferSize = 64 * 1024;

inline tcp::acceptor listenOnLoopback(asio::io_context& context) {
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(1024);
    announcePort(acceptor.local_endpoint().port());
    return acceptor;
}

#ifdef BENCH_TLS
using TlsStream = asio::ssl::stream<tcp::socket>;

inline asio::ssl::context tlsContext() {
    asio::ssl::context context(asio::ssl::context::tlsv13_server);
    context.use_certificate_chain_file(options.certificate);
    context.use_private_key_file(options.key, asio::ssl::context::pem);
    return context;
}
#endif
