// says: deferToThread: the function runs on another thread and returns a plain value
#include "bine/reactors/defer_to_thread.h"

bine::Deferred<int> ask();
void f(bine::Reactor& reactor) {
    bine::deferToThread(reactor, [] { return ask(); });
}
