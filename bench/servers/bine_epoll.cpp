// Bine's EpollReactor in its own loop.
#include "bine/reactors/native_reactors.h"
#include "bine_server.h"

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, 0);
    bine::EpollReactor reactor;
    serve(reactor);
    reactor.run();
}
