// says: listenTCP: takes a factory
#include "bine/net/tcp.h"

class Echo : public bine::Protocol {};
void f(bine::Reactor& reactor) {
    bine::listenTCP(reactor, 7, std::make_shared<Echo>());
}
