// The snippets of docs/reactor.md.

#include <cstdio>

#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

static int slowAnswer() { return 42; }
static bine::Deferred<> sayGoodbye() { return bine::succeed(); }

int main() {
    bine::EpollReactor reactor;
    auto call = reactor.callLater(2s, [] { std::puts("two seconds later"); });
    call.reset(5s);           // or delay(1s), or cancel()
    reactor.callLater(0s, [] { std::puts("in the next turn"); });

    reactor.addSystemEventTrigger("before", "shutdown", [] { return sayGoodbye(); });
    reactor.setShutdownDeadline(2s);

    bine::deferToThread(reactor, [] { return slowAnswer(); })
        .addCallback([&](int answer) { std::printf("%d\n", answer); })
        .addBoth([&](bine::Result<void>) { reactor.stop(); });
    reactor.run();
}
