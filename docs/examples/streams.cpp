// The examples of docs/streams.md.
#include <cstdio>
#include <string>

#include "bine/net/answer.h"
#include "bine/net/stream.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

namespace {

// [server]
bine::Deferred<> shout(bine::Stream stream) {
    while (auto line = co_await stream.nextLine()) {
        for (char& c : *line) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        stream.write(*line + "\r\n");
        co_await stream.drained();                    // a peer that does not read holds this connection up, and no other
    }
}
// [server]

// [client]
bine::Deferred<std::string> shouted(bine::Reactor& reactor, std::string words) {
    bine::Stream stream = co_await bine::openConnection(reactor, "localhost", 8000);
    stream.write(words + "\r\n");
    co_return co_await stream.readLine().addTimeout(5s, reactor);
}
// [client]

// [answer]
class DaytimeQuestion : public bine::Protocol {
public:
    bine::Deferred<std::string> answer() { return answer_.deferred(); }
    void dataReceived(std::string_view data) override {
        text_ += data;
        if (text_.ends_with('\n')) answer_.callback(text_);
    }

private:
    std::string text_;
    bine::Answer<std::string> answer_{*this};
};
// [answer]

}  // namespace

int main() {
    bine::EpollReactor reactor;
    bine::Scope window;
    // [listen]
    bine::ListeningPort port = bine::listenTCP(reactor, 8000, bine::streamFactory(shout));
    // [listen]
    shouted(reactor, "hops")
        .addCallback([](std::string line) { std::printf("%s\n", line.c_str()); })
        .addErrback([](const bine::Failure& failure) { std::printf("%s\n", failure.userMessage().c_str()); })
        .addBoth([&](bine::Result<>) { reactor.stop(); });
    // [ask]
    bine::ask(reactor, "localhost", 13, std::make_shared<DaytimeQuestion>())
        .addTimeout(5s, reactor)                      // ends the connection, too
        .ownedBy(window)                              // so does the death of the window
        .addCallback([](std::string time) { std::printf("%s", time.c_str()); })
        .addErrback([](const bine::Failure& failure) { std::printf("%s\n", failure.userMessage().c_str()); });
    // [ask]
    reactor.run();
}
