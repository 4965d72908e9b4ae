// The example of docs/net.md.

#include <cstdio>
#include <memory>

#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"
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

bine::Deferred<std::string> lookUp(std::string name) { return bine::succeed(std::move(name)); }

struct Lookup : bine::LineReceiver {
    void lineReceived(std::string_view line) override {
        lookUp(std::string(line))
            .ownedBy(*this)
            .addCallback([this, owed = transport().holdOpen()](const std::string& answer) { sendLine(answer); });
    }
};

struct Chat : bine::Protocol {
    void reactorStopping() override { transport().write("QUIT :bye\r\n"); }
};

int main() {
    bine::EpollReactor reactor;
    bine::ListeningPort names = bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Lookup>());
    bine::ListeningPort port = bine::listenTCP(reactor, 8000, bine::Factory::forProtocol<Echo>());
    bine::connectProtocol(reactor, "localhost", 8000, std::make_shared<Question>())
        .addCallback([](std::shared_ptr<Question>) { std::puts("connected"); });
    bine::ListeningPort chat = bine::listenTCP(reactor, 8001, bine::Factory::forProtocol<Chat>());
    reactor.callLater(std::chrono::seconds(1), [&] { reactor.stop(); });
    reactor.run();
}
