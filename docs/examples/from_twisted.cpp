// The idioms of docs/from-twisted.md.

#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bine/application/internet.h"
#include "bine/application/start_application.h"
#include "bine/defer/cooperator.h"
#include "bine/defer/defer_later.h"
#include "bine/defer/deferred.h"
#include "bine/defer/deferred_list.h"
#include "bine/defer/deferred_lock.h"
#include "bine/defer/deferred_queue.h"
#include "bine/defer/deferred_semaphore.h"
#include "bine/defer/gather_results.h"
#include "bine/defer/looping_call.h"
#include "bine/defer/maybe_deferred.h"
#include "bine/defer/race.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/manual_clock.h"
#include "bine/reactors/native_reactors.h"
#include "bine/reactors/react.h"
#include "bine/reactors/threads.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Failure;
using bine::Reactor;
using bine::Resolver;
using bine::Result;

// What the idioms speak of.
struct User {};
using Handler = std::string (*)(std::string);
static void show(std::string) {}
static void complain(const Failure&) {}
static void cleanUp() {}
static void append(std::string, std::string) {}
static void risky() {}
static void stopWork() {}
static void complainOf(const bine::ConnectError&) {}
static void use(int) {}
static int slow() { return 1; }
static Deferred<int> lookUp() { return bine::succeed(1); }
static Deferred<> save() { return bine::succeed(); }
static Deferred<std::string> fetchMail(User) { return bine::succeed(std::string("mail")); }
static Deferred<int> count(std::string name) { return bine::succeed(static_cast<int>(name.size())); }

[[maybe_unused]] static void addACallback(Deferred<std::string> d) {
    std::move(d).addCallback(show);
}

[[maybe_unused]] static void addAnErrback(Deferred<std::string> d) {
    d.addErrback([](const Failure& f) { return f.userMessage(); });
}

[[maybe_unused]] static void bothOnOneLevel(Deferred<std::string> d) {
    std::move(d).addCallbacks(show, complain);
}

[[maybe_unused]] static void whateverComes(Deferred<std::string> d) {
    d.addBoth([](Result<std::string> result) {
        cleanUp();
        return result;
    });
}

[[maybe_unused]] static void furtherArguments(Deferred<std::string> d, std::string fileName) {
    std::move(d).addCallback(append, fileName);
}

[[maybe_unused]] static void makeOne(Resolver<int>& waiting) {
    waiting = Resolver<int>();
    Deferred<int> d = waiting.deferred();
    waiting.callback(42);
}

[[maybe_unused]] static void failOne(Resolver<int>& resolver) {
    resolver.errback(std::invalid_argument("no such user"));
}

[[maybe_unused]] static void failWithTheExceptionAtHand(Resolver<int>& resolver) {
    try {
        risky();
    } catch (...) {
        resolver.errback();
    }
}

[[maybe_unused]] static Deferred<int> oneThatHasItsResult() {
    return bine::succeed(42);
}

[[maybe_unused]] static Deferred<int> oneThatHasFailed(std::string name) {
    return bine::fail<int>(std::out_of_range(name));
}

[[maybe_unused]] static void waitForAnother(Deferred<User> d) {
    std::move(d).addCallback([](User user) { return fetchMail(user); });
}

[[maybe_unused]] static std::string onlyCertainFailures(const Failure& failure) {
    failure.trap<bine::ConnectError, bine::TimeoutError>();
    return "offline";
}

[[maybe_unused]] static void whichFailure(const Failure& failure) {
    if (const auto* error = failure.check<bine::ConnectError>()) complainOf(*error);
}

[[maybe_unused]] static void cancel(Deferred<int>& d) {
    d.cancel();
}

[[maybe_unused]] static Deferred<int> aCanceller(Resolver<int>& resolver) {
    resolver = Resolver<int>([] { stopWork(); });
    return resolver.deferred();
}

[[maybe_unused]] static void aDeadline(Deferred<int>& d, Reactor& reactor) {
    d.addTimeout(5s, reactor);
}

[[maybe_unused]] static void chain(Deferred<int> d, Resolver<int> other) {
    std::move(d).chainDeferred(std::move(other));
}

[[maybe_unused]] static void pause(Deferred<int>& d) {
    d.pause();
    d.unpause();
}

[[maybe_unused]] static void maybe(Handler handler, std::string request) {
    Deferred<std::string> d = bine::maybeDeferred(handler, request);
}

[[maybe_unused]] static void allOfThem(Deferred<int> first, Deferred<int> second) {
    std::vector<Deferred<int>> both;
    both.push_back(std::move(first));
    both.push_back(std::move(second));
    Deferred<std::vector<int>> d = bine::gatherResults(std::move(both));
}

[[maybe_unused]] static void failedOrNot(std::vector<Deferred<int>> members) {
    Deferred<std::vector<Result<int>>> d = bine::deferredList(std::move(members), bine::DeferredListOptions().consumeErrors());
}

[[maybe_unused]] static void theFirst(std::vector<Deferred<int>> mirrors) {
    bine::race(std::move(mirrors)).addCallback([](bine::FirstSuccess<int> first) { use(first.value); });
}

[[maybe_unused]] static void oneAtATime(bine::DeferredLock& lock) {
    lock.run([] { return save(); });
}

[[maybe_unused]] static void aFew(bine::DeferredSemaphore& semaphore) {
    semaphore.run([] { return save(); });
}

[[maybe_unused]] static Deferred<> aQueue(bine::DeferredQueue<int>& queue, int job) {
    queue.put(job);
    use(co_await queue.get());
}

[[maybe_unused]] static Deferred<int> total(std::vector<std::string> names) {
    int n = 0;
    for (const auto& name : names) n += co_await count(name);
    co_return n;
}

[[maybe_unused]] static Deferred<> catchAFailure() {
    bool offline = false;
    try {
        co_await count("x");
    } catch (const bine::ConnectError&) {
        offline = true;                    // C++ has no co_await in a handler
    }
    if (offline) co_await count("y");
}

[[maybe_unused]] static void callLater(Reactor& reactor) {
    bine::DelayedCall call = reactor.callLater(5s, stopWork);
}

[[maybe_unused]] static void moveIt(bine::DelayedCall& call) {
    call.reset(10s);
    call.cancel();
}

[[maybe_unused]] static void later(Reactor& reactor) {
    bine::deferLater(reactor, 2s, [] { return save(); });
}

[[maybe_unused]] static void again(Reactor& reactor) {
    bine::LoopingCall loop(reactor, stopWork);
    loop.start(60s);
}

[[maybe_unused]] static void portions(bine::Cooperator& cooperator) {
    cooperator.cooperate([n = 0]() mutable { return ++n < 1000; });
}

[[maybe_unused]] static void timeInTests() {
    bine::ManualClock clock;
    clock.advance(30s);
}

[[maybe_unused]] static void run() {
    bine::EpollReactor reactor;
    reactor.run();
}

[[maybe_unused]] static void stop(Reactor& reactor) {
    reactor.addSystemEventTrigger("before", "shutdown", [] { return save(); });
    reactor.stop();
}

[[maybe_unused]] static void withoutSignals(bine::EpollReactor& reactor) {
    reactor.setSignalHandling(bine::SignalHandling::off);
    reactor.run();
    if (reactor.exitSignal() != 0) bine::exitWithSignal(reactor.exitSignal());
}

[[maybe_unused]] static int program(Reactor& reactor) {
    return bine::react(reactor, [](Reactor&) { return save(); });
}

[[maybe_unused]] static void fromAThread(Reactor& reactor) {
    reactor.callFromThread([] { use(42); });
}

[[maybe_unused]] static void blocking(Reactor& reactor) {
    Deferred<int> d = bine::deferToThread(reactor, slow);
}

struct Input : bine::ReadDescriptor {
    int fileno() const override { return STDIN_FILENO; }
    bine::IoResult doRead() override { return read(); }
    void connectionLost(const Failure&) override {}
    std::string logPrefix() const override { return "input"; }

    bine::IoResult read() { return {}; }
};

[[maybe_unused]] static void watch(Reactor& reactor, Input& input) {
    reactor.addReader(input);
    reactor.removeReader(input);
}

[[maybe_unused]] static void fromAThreadAndBack(Reactor& reactor) {
    int n = bine::blockingCallFromThread(reactor, lookUp);
    use(n);
}

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

struct Greeter : bine::LineReceiver {
    void lineReceived(std::string_view line) override { sendLine("hello " + std::string(line)); }
};

[[maybe_unused]] static void listen(Reactor& reactor) {
    bine::listenTCP(reactor, 8000, bine::Factory::forProtocol<Echo>());
}

[[maybe_unused]] static void connect(Reactor& reactor, std::shared_ptr<bine::ClientFactory> factory) {
    bine::connectTCP(reactor, "example.org", 8000, factory);
}

[[maybe_unused]] static void application(Reactor& reactor, std::shared_ptr<bine::Factory> factory) {
    auto application = std::make_shared<bine::MultiService>();
    std::make_shared<bine::TCPServer>(reactor, 8000, factory)->setServiceParent(*application);
    bine::startApplication(reactor, *application);
}

int main() {
    timeInTests();
    bine::EpollReactor reactor;
    return program(reactor);
}
