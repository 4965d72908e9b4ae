// The examples of docs/line_receiver.md.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "bine/defer/deferred.h"
#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"
#include "bine/reactors/native_reactors.h"

namespace {

// [greeter]
class Greeter : public bine::LineOnlyReceiver {
public:
    void connectionMade() override { sendLine("Who is there?"); }
    void lineReceived(std::string_view line) override {
        sendLine("Hello, " + std::string(line) + "!");
        transport().loseConnection();
    }
};
// [greeter]

// [upload]
// "PUT 5\r\n" and five bytes, as often as the peer likes.
class Upload : public bine::LineReceiver {
public:
    void lineReceived(std::string_view line) override {
        if (!line.starts_with("PUT ")) {
            sendLine("what?");
            return;
        }
        left_ = std::stoul(std::string(line.substr(4)));
        setRawMode();
    }
    void rawDataReceived(std::string_view data) override {
        const std::string_view mine = data.substr(0, left_);
        file_ += mine;
        left_ -= mine.size();
        if (left_ > 0) return;
        sendLine("got " + std::to_string(file_.size()));
        setLineMode(data.substr(mine.size()));
    }

private:
    std::size_t left_ = 0;
    std::string file_;
};
// [upload]

bine::Deferred<std::string> lookUp(std::string question) { return bine::succeed(question + "?"); }

// [pause]
class Oracle : public bine::LineReceiver {
public:
    void lineReceived(std::string_view line) override {
        pauseProducing();                                     // the next question waits, wherever its bytes are
        lookUp(std::string(line))
            .ownedBy(*this)                                   // nobody to answer: nothing to do
            .addCallback([this](std::string answer) {
                sendLine(answer);
                resumeProducing();
            });
    }
};
// [pause]

// [upgrade]
class Chat : public bine::Protocol {
public:
    void dataReceived(std::string_view data) override { transport().write(data); }
};

// Reads lines until "CHAT". A Chat gets the bytes behind it.
class Reception : public bine::LineReceiver {
public:
    void lineReceived(std::string_view line) override {
        if (line != "CHAT") return sendLine("CHAT is all there is");
        sendLine("OK");
        transport().replaceProtocol(std::make_shared<Chat>(), clearLineBuffer());
    }
};
// [upgrade]

}  // namespace

int main() {
    bine::EpollReactor reactor;
    const auto local = bine::TCPServerOptions().listenOn("127.0.0.1");
    bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Greeter>(), local);
    bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Upload>(), local);
    bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Oracle>(), local);
    bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Reception>(), local);
    reactor.iterate();
}
