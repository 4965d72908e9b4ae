// says: callFromThread: this callable takes arguments
#include "bine/reactors/reactor.h"

void f(bine::Reactor& reactor) {
    reactor.callFromThread([](int number) { (void)number; });
}
