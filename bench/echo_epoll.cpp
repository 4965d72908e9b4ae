#include "bine/reactors/native_reactors.h"
#include "echo_protocol.h"

int main(int argc, char** argv) {
    bine::EpollReactor reactor;
    serve(reactor, argc, argv);
    reactor.run();
}
