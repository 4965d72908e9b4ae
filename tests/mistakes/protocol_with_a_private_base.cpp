// says: forProtocol<P>: P has no public base bine::Protocol
#include "bine/net/tcp.h"

class Echo : bine::Protocol {};
void f() {
    bine::Factory::forProtocol<Echo>();
}
