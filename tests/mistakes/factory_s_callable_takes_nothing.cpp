// says: Factory::make: the callable takes the address of the peer
#include "bine/net/tcp.h"

class Echo : public bine::Protocol {};
void f() {
    bine::Factory::make([] { return std::make_shared<Echo>(); });
}
