// says: Factory::make: the callable returns a std::shared_ptr
#include "bine/net/tcp.h"

struct Echo : public bine::Protocol {};
void f() {
    bine::Factory::make([](const bine::Address&) { return new Echo; });
}
