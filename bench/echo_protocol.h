#pragma once
// The server that is measured, in every loop.

#include <cstdio>
#include <cstdlib>

#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/net/transport.h"

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

/// Listens on the port that the command line names (0 picks one) and prints it.
inline void serve(bine::Reactor& reactor, int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
    auto factory = bine::Factory::forProtocol<Echo>();
    factory->noisy = false;
    const auto listening = bine::listenTCP(reactor, port, factory, bine::TCPServerOptions().interface("127.0.0.1").backlog(1024));
    std::printf("%d\n", listening.getHost().port());
    std::fflush(stdout);
}
