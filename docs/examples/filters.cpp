// The example of docs/filters.md.
#include <memory>
#include <string>
#include <string_view>

#include "bine/net/filter.h"
#include "bine/net/tcp.h"
#include "bine/reactors/native_reactors.h"

namespace {

// [rot13]
class Rot13 : public bine::Filter {
public:
    using Filter::Filter;

protected:
    void dataFromBelow(std::string_view data) override { deliverAbove(rot13(data)); }
    void dataFromAbove(std::string_view data) override { writeBelow(rot13(data)); }

private:
    static std::string rot13(std::string_view data) {
        std::string text(data);
        for (char& c : text) {
            if (c >= 'a' && c <= 'z') c = static_cast<char>('a' + (c - 'a' + 13) % 26);
            if (c >= 'A' && c <= 'Z') c = static_cast<char>('A' + (c - 'A' + 13) % 26);
        }
        return text;
    }
};
// [rot13]

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

}  // namespace

int main() {
    bine::EpollReactor reactor;
    // [listen]
    auto factory = bine::Factory::make([](const bine::Address&) { return std::make_shared<Rot13>(std::make_shared<Echo>()); });
    auto port = bine::listenTCP(reactor, 0, factory, bine::TCPServerOptions().listenOn("127.0.0.1"));
    // [listen]
    reactor.iterate();
}
