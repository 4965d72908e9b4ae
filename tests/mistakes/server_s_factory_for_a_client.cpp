// says: connectTCP: takes a ClientFactory, and this is a Factory
#include "bine/net/tcp.h"

class Echo : public bine::Protocol {};
void f(bine::Reactor& reactor) {
    bine::connectTCP(reactor, "example.org", 7, bine::Factory::forProtocol<Echo>());
}
