// says: callWhenRunning: this callable does not take the arguments that follow it
#include "bine/reactors/reactor.h"

void f(bine::Reactor& reactor) {
    reactor.callWhenRunning([](int number) { (void)number; });
}
