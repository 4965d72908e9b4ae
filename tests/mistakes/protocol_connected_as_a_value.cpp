// says: connectProtocol: takes a std::shared_ptr to a protocol
#include "bine/net/tcp.h"

class Echo : public bine::Protocol {};
void f(bine::Reactor& reactor) {
    bine::connectProtocol(reactor, "example.org", 7, Echo());
}
