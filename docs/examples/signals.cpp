// The snippets of docs/signals.md.

#include <cstdio>

#include "bine/reactors/native_reactors.h"
#include "bine/reactors/signals.h"

static void serve(bine::Reactor& reactor) {
    reactor.addSystemEventTrigger("before", "shutdown", [] { std::puts("saving"); });
}

[[maybe_unused]] static void inAHost(bine::EpollReactor& reactor) {
    reactor.setSignalHandling(bine::SignalHandling::on);    // SIGINT and SIGTERM stop it, as in a loop of its own
}

[[maybe_unused]] static void notAtAll(bine::EpollReactor& reactor) {
    reactor.setSignalHandling(bine::SignalHandling::off);   // nothing is touched
    reactor.run();
}

int main() {
    bine::EpollReactor reactor;
    serve(reactor);
    reactor.run();    // until stop(), Ctrl-C or `kill`
    if (const int number = reactor.exitSignal()) bine::exitWithSignal(number);
}
