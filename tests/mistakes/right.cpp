// says nothing: this is what the messages tell to write.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bine/defer/defer_later.h"
#include "bine/defer/gather_results.h"
#include "bine/defer/race.h"
#include "bine/net/tcp.h"
#include "bine/reactors/blocking_call.h"
#include "bine/reactors/defer_to_thread.h"

using namespace std::chrono_literals;

bine::Deferred<int> ask();
bine::Deferred<> done();

class Echo : public bine::Protocol {};
class Counter : public bine::Protocol {
public:
    explicit Counter(int& count) : count_(count) {}
    void connectionMade() override { ++count_; }

private:
    int& count_;
};
class Window {
public:
    void show() { ask().ownedBy(scope_).addCallback([](int) {}); }

private:
    bine::Scope scope_;
};

void chains(bine::Clock& clock) {
    ask().addCallback([](int value) { return value; }).addErrback([](const bine::Failure& failure) { return failure; });
    ask().addCallback([](int value, const std::string& unit) { return std::to_string(value) + unit; }, "ms");
    done().addCallback([] {});
    auto d = ask();
    auto next = std::move(d).addCallback([](int value) { return value / 2.0; });
    next.addBoth([](bine::Result<double> result) { return result; });
    ask().addTimeout(5s, clock, [](bine::Result<int> result, bine::Duration) { return result; });
    ask().ignoreFailures();
    ask().logFailures("The number could not be had");
}

void groups(std::vector<bine::Deferred<int>> all) {
    auto a = ask(), b = ask();
    bine::gatherResults(std::tie(a, b)).ignoreFailures();
    bine::gatherResults(std::move(a), std::move(b)).ignoreFailures();
    bine::gatherResults(std::span(all)).ignoreFailures();
    bine::race(std::move(all)).ignoreFailures();
}

void calls(bine::Reactor& reactor) {
    reactor.callLater(5s, [](int n) { (void)n; }, 42);
    reactor.callLater(5s, [] { ask().logFailures(); });
    reactor.callWhenRunning([](int n) { (void)n; }, 42);
    reactor.addSystemEventTrigger("before", "shutdown", [](int n) { (void)n; }, 42);
    bine::deferToThread(reactor, [&reactor] { return bine::blockingCallFromThread(reactor, [] { return ask(); }); }).ignoreFailures();
}

bine::Deferred<int> coroutine(bine::Clock& clock, std::string unit) {
    co_await bine::deferLater(clock, 1s);
    auto text = ask().addCallback([unit](int value) { return std::to_string(value) + unit; });
    co_await text;
    co_return co_await ask();
}

void net(bine::Reactor& reactor, int& count) {
    bine::listenTCP(reactor, 7, bine::Factory::forProtocol<Echo>());
    bine::listenTCP(reactor, 7, bine::Factory::make([](const bine::Address&) { return std::make_shared<Echo>(); }));
    bine::connectTCP(reactor, "example.org", 7, bine::ClientFactory::forProtocol<Counter>(std::ref(count)));
    bine::connectProtocol(reactor, "example.org", 7, std::make_shared<Echo>()).ignoreFailures();
}
