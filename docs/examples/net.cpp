// The example of docs/net.md.

#include <cstdio>
#include <memory>

#include "bine/net/tcp.h"
#include "bine/reactors/native_reactors.h"

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

struct Question : bine::Protocol {
    void connectionMade() override { transport().write("hello"); }
    void dataReceived(std::string_view data) override {
        std::printf("%.*s\n", static_cast<int>(data.size()), data.data());
        transport().loseConnection();
    }
};

int main() {
    bine::EpollReactor reactor;
    bine::ListeningPort port = bine::listenTCP(reactor, 8000, bine::Factory::forProtocol<Echo>());
    bine::connectProtocol(reactor, "localhost", 8000, std::make_shared<Question>())
        .addCallback([](std::shared_ptr<Question>) { std::puts("connected"); });
    reactor.callLater(std::chrono::seconds(1), [&] { reactor.stop(); });
    reactor.run();
}
