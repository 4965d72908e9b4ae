// The examples of docs/finger.md that are not in demo_apps/.
#include <iostream>
#include <map>
#include <string>

#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/protocols/finger.h"
#include "bine/protocols/finger_server.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/native_reactors.h"

namespace {

// [coroutine]
bine::Deferred<> ask(bine::Reactor& reactor, std::string query) {
    try {
        const std::string answer = co_await bine::finger(reactor, query);
        std::cout << answer;
    } catch (const bine::Error& e) {
        std::cout << e.userMessage() << "\n";
    }
    reactor.stop();
}
// [coroutine]

std::string planOf(const std::string& user) { return "No plan, " + user + "."; }

}  // namespace

int main() {
    bine::EpollReactor reactor;
    const auto local = bine::TCPServerOptions().listenOn("127.0.0.1");

    // [dictionary]
    std::map<std::string, std::string> users = {{"alice", "Gone climbing."}, {"bob", "No plan."}};
    auto port = bine::listenTCP(reactor, 0, std::make_shared<bine::FingerFactory>(reactor, users), local);
    // [dictionary]

    // [lookup]
    auto factory = std::make_shared<bine::FingerFactory>(reactor, [&reactor](std::string user, bool) {
        return bine::deferToThread(reactor, [user] { return planOf(user); });    // reads a file, say
    });
    // [lookup]
    bine::listenTCP(reactor, 0, factory, local);

    ask(reactor, "alice@" + port.getHost().text());
    reactor.run();
}
