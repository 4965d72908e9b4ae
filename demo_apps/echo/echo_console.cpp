// The echo server in Bine's own loop.
#include <iostream>

#include "../command_line.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/reactors/native_reactors.h"
#include "echo_protocol.h"

int main(int argc, char** argv) {
    const CommandLine options(argc, argv, "echo_console [--port N] [--interface ADDRESS]", {"--port", "--interface"});
    try {
        bine::EpollReactor reactor;
        auto factory = std::make_shared<EchoFactory>(reactor, [](const EchoCount& count) {
            std::cout << count.connections << " connections, " << inUnits(count.bytes) << " echoed" << std::endl;
        });
        const auto port = bine::listenTCP(reactor, options.port(8000), factory,
                                          bine::TCPServerOptions().listenOn(options.value("--interface", "127.0.0.1")));
        std::cout << "Echo listens on " << port.getHost().text() << std::endl;
        reactor.run();
    } catch (const bine::Error& e) {
        std::cerr << e.userMessage() << "\n";
        return 1;
    }
}
