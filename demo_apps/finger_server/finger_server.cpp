// A finger server (RFC 1288) that answers from a dictionary.
//
//     finger_server --port 7979 --interface 127.0.0.1 --user "alice=Gone climbing."
#include <iostream>
#include <map>

#include "../command_line.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/protocols/finger_server.h"
#include "bine/reactors/native_reactors.h"

namespace {

std::map<std::string, std::string> usersFrom(const CommandLine& options) {
    std::map<std::string, std::string> users;
    for (const std::string& user : options.values("--user")) {
        const auto equals = user.find('=');
        if (equals == 0 || equals == std::string::npos) options.refuse("--user: write NAME=TEXT, not \"" + user + "\"");
        users[user.substr(0, equals)] = user.substr(equals + 1);
    }
    if (!users.empty()) return users;
    return {
        {"alice", "Login: alice\t\t\tName: Alice Meadows\nPlan:\nClimb every pole in the hop garden.\nBack when the hops are ripe."},
        {"bob", "Login: bob\t\t\tName: Bob Trellis\nNo Plan."},
        {"hop", "Login: hop\t\t\tName: Humulus Lupulus\nPlan:\nTwine clockwise. A hand's breadth a day will do."},
    };
}

}  // namespace

int main(int argc, char** argv) {
    const CommandLine options(argc, argv, "finger_server [--port N] [--interface ADDRESS] [--user NAME=TEXT]...",
                              {"--port", "--interface", "--user"});
    try {
        bine::EpollReactor reactor;
        const auto port = bine::listenTCP(reactor, options.port(7979),
                                          std::make_shared<bine::FingerFactory>(reactor, usersFrom(options)),
                                          bine::TCPServerOptions().listenOn(options.value("--interface", "127.0.0.1")));
        std::cout << "Finger listens on " << port.getHost().text() << std::endl;
        reactor.run();
    } catch (const bine::Error& e) {
        std::cerr << e.userMessage() << "\n";
        return 1;
    }
}
