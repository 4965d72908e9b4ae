// The examples of docs/coroutines.md.

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "bine/defer/defer_later.h"
#include "bine/defer/deferred.h"
#include "bine/defer/errors.h"
#include "bine/defer/owner.h"
#include "bine/net/protocol.h"
#include "bine/net/transport.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

static bine::Deferred<int> measured(bine::Clock& clock, int value) {
    auto resolver = std::make_shared<bine::Resolver<int>>();
    auto answer = resolver->deferred();
    clock.callLater(1ms, [resolver, value] {
        if (value < 0)
            resolver->errback(std::range_error("below zero"));
        else
            resolver->callback(value);
    });
    return answer;
}

static bine::Deferred<int> sum(bine::Clock& clock, int count) {
    int total = 0;
    for (int i = 0; i < count; ++i) total += co_await measured(clock, i);
    co_return total;
}

static bine::Deferred<> report(bine::Clock& clock) {
    try {
        const int total = co_await sum(clock, 10);
        std::printf("%d\n", total);
        co_await measured(clock, -1);
    } catch (const std::range_error& error) {
        std::printf("%s\n", error.what());
    }
}

static bine::Deferred<> twoAtOnce(bine::Clock& clock) {
    auto first = measured(clock, 1);                           // both have begun
    auto second = measured(clock, 2);
    const int together = co_await first + co_await second;     // first and second have nothing now
    std::printf("%d\n", together);
}

static bine::Deferred<> withCallbacks(bine::Clock& clock, std::string unit) {
    auto text = measured(clock, 3).addCallback([unit](int value) { return std::to_string(value) + unit; });
    std::puts((co_await text).c_str());                        // a Deferred that was made with captures has a name
}

class Greeter : public bine::Protocol {
public:
    void connectionMade() override { greet("world").ownedBy(scope_).logFailures("No greeting"); }

private:
    bine::Deferred<> greet(std::string name) {
        co_await bine::deferLater(transport().clock(), 1s);
        transport().write("hello, " + name + "\r\n");          // asked for again after the co_await
    }
    bine::Scope scope_;                                        // ends the coroutine with the protocol
};

[[maybe_unused]] static bine::Deferred<> farewell(std::shared_ptr<bine::Protocol> protocol) {
    const auto transport = protocol->transport().shared_from_this();
    if (!transport) co_return;                                 // not connected
    transport->write("goodbye\r\n");
    co_await transport->drained();
    transport->loseConnection();                               // kept, so it is there, even if the connection has ended
}

int main() {
    bine::EpollReactor reactor;
    bine::Scope scope;
    auto all = [&]() -> bine::Deferred<> {
        co_await report(reactor);
        co_await twoAtOnce(reactor);
        co_await withCallbacks(reactor, " m");
    };
    all().ownedBy(scope).addBoth([&](bine::Result<> result) {
        reactor.stop();
        return result;
    });
    reactor.run();
}
