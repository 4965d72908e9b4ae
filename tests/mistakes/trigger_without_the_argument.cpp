// says: addSystemEventTrigger: this callable does not take the arguments that follow it
#include "bine/reactors/reactor.h"

void f(bine::Reactor& reactor) {
    reactor.addSystemEventTrigger("before", "shutdown", [](int number) { (void)number; });
}
