#pragma once
// The server that is measured in each of Bine's reactors.

#include <string_view>

#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/net/transport.h"
#include "clock.h"
#include "options.h"
#include "work.h"

inline Options options;

class Echo : public bine::Protocol {
public:
    void connectionMade() override { transport().readWhileBlocked(false); }
    void dataReceived(std::string_view data) override {
        busyFor(options.handlerNs);
        transport().write(data);
    }
};

class Sink : public bine::Protocol {
public:
    void dataReceived(std::string_view) override { busyFor(options.handlerNs); }
};

class Answers : public bine::Protocol {
public:
    void connectionMade() override { transport().readWhileBlocked(false); }
    void dataReceived(std::string_view data) override {
        for (auto requests = requestsIn(&begun_, data.size()); requests > 0; --requests) {
            busyFor(options.handlerNs);
            for (int line = 0; line < kLines; ++line)
                transport().write(std::string_view(kLine, kLineSize));
        }
    }

private:
    std::size_t begun_ = 0;
};

/// Listens, and prints the port.
inline void serve(bine::Reactor& reactor) {
    auto factory = options.mode == ModeEcho   ? bine::Factory::forProtocol<Echo>()
                   : options.mode == ModeSink ? bine::Factory::forProtocol<Sink>()
                                              : bine::Factory::forProtocol<Answers>();
    factory->noisy = false;
    const auto port = bine::listenTCP(reactor, 0, factory, bine::TCPServerOptions().listenOn("127.0.0.1").backlog(1024));
    announcePort(port.getHost().port());
}
