// The snippets of docs/reactor.md.

#include <unistd.h>

#include <cstdio>

#include "bine/net/tcp.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

static int slowAnswer() { return 42; }
static bine::Deferred<> sayGoodbye() { return bine::succeed(); }

struct Input : bine::ReadDescriptor {
    int fileno() const override { return STDIN_FILENO; }
    bine::IoResult doRead() override { return bine::ConnectionDone(); }
    void connectionLost(const bine::Failure&) override {}
};

struct Chat : bine::Protocol {
    void reactorStopping() override { transport().write("QUIT :bye\r\n"); }
};

int main() {
    bine::EpollReactor reactor;
    auto call = reactor.callLater(2s, [] { std::puts("two seconds later"); });
    call.reset(5s);           // or delay(1s), or cancel()
    reactor.callLater(0s, [] { std::puts("in the next turn"); });

    const auto port = bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Chat>());

    Input input;
    reactor.addReader(input);

    reactor.addSystemEventTrigger("before", "shutdown", [] { return sayGoodbye(); });
    reactor.setShutdownDeadline(2s);
    reactor.warnOfStalls(100ms);

    bine::deferToThread(reactor, [] { return slowAnswer(); })
        .addCallback([&](int answer) { std::printf("%d\n", answer); })
        .addBoth([&](bine::Result<void>) { reactor.stop(); });
    reactor.run();
}
