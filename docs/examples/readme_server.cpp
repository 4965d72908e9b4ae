// The server of README.md.

#include "bine/net/tcp.h"
#include "bine/reactors/native_reactors.h"

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

int main() {
    bine::EpollReactor reactor;
    bine::listenTCP(reactor, 8000, bine::Factory::forProtocol<Echo>());
    reactor.run();
}
