// The addresses of a name: how they share the time, and the error if all of them fail. On every reactor.
#include <QtTest>

#include <cerrno>
#include <map>

#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "kit/reactor_test.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

/// A Network in which the test says what each address does.
class ScriptedNetwork : public Network {
public:
    enum class Does { answer, refuse, haveNoRoute, keepSilent };

    std::vector<Address> found; // of any name; empty: the lookup never ends
    std::map<std::string, Does> script;
    std::vector<std::string> asked; // hosts
    int cancelled = 0;
    std::vector<std::unique_ptr<Resolver<std::shared_ptr<Transport>>>> silent;
    Resolver<std::vector<Address>> lookup;

    void add(const char* host, Does does) {
        found.push_back(Address::of(host, 0));
        script[host] = does;
    }
    Deferred<std::shared_ptr<Transport>> connectStream(const Address& address,
                                                       const StreamOptions&) override {
        using Made = std::shared_ptr<Transport>;
        asked.push_back(address.host());
        switch (script[address.host()]) {
        case Does::answer:
            return succeed(Made(std::make_shared<MemoryTransport>()));
        case Does::refuse:
            return fail<Made>(ConnectionRefusedError(address.text(), ECONNREFUSED));
        case Does::haveNoRoute:
            return fail<Made>(NoRouteError(address.text(), ENETUNREACH));
        case Does::keepSilent:
            break;
        }
        return silent.emplace_back(std::make_unique<Resolver<Made>>([this](auto&) { ++cancelled; }))->deferred();
    }
    std::unique_ptr<StreamListener> listenStream(const Address& address, int,
                                                 Function<void(std::shared_ptr<Transport>)>) override {
        throw CannotListenError(address.host(), address.port(), EADDRINUSE);
    }
    Deferred<std::vector<Address>> resolve(const std::string&) override {
        return found.empty() ? lookup.deferred() : succeed(found);
    }
};

using Does = ScriptedNetwork::Does;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

} // namespace

class AddressesOfANameTest : public kit::ReactorTest {
    Q_OBJECT

    std::shared_ptr<ScriptedNetwork> network() {
        auto network = std::make_shared<ScriptedNetwork>();
        reactor().provideService<Network>(network);
        return network;
    }
    /// Connects to a.name, port 80, until it fails.
    Failure failureWithin(Delay time, const char* host = "a.name") {
        auto factory = std::make_shared<Client>();
        factory->onFailed = [this](Connector&) { reactor().stop(); };
        reactor().callWhenRunning(
            [&] { connectTCP(reactor(), host, 80, factory, TCPClientOptions().connectTimeout(time)); });
        run();
        return factory->failed.value_or(Failure(std::runtime_error("it did not fail")));
    }

private slots:
    void r096_aSilentAddressLeavesTimeForTheNext() {
        const auto net = network();
        net->add("192.0.2.1", Does::keepSilent);
        net->add("192.0.2.2", Does::answer);
        auto factory = std::make_shared<Client>();
        factory->build = [this](const Address&) {
            reactor().stop();
            return std::make_shared<Heard>();
        };
        factory->onFailed = [this](Connector&) { reactor().stop(); };
        reactor().callWhenRunning(
            [&] { connectTCP(reactor(), "a.name", 80, factory, TCPClientOptions().connectTimeout(200ms)); });
        run();
        QVERIFY(!factory->failed);
        QCOMPARE(net->asked, (std::vector<std::string>{"192.0.2.1", "192.0.2.2"}));
        QCOMPARE(net->cancelled, 1);
    }
    void r096_allAddressesGetTheirShare() {
        const auto net = network();
        for (const char* host : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"})
            net->add(host, Does::keepSilent);
        const Failure failure = failureWithin(80ms);
        const auto* error = failure.check<ConnectTimeoutError>();
        QVERIFY(error);
        QCOMPARE(error->duration(), Duration(80ms));
        QCOMPARE(error->addresses().size(), std::size_t{4});
        QCOMPARE(net->asked.size(), std::size_t{4});
        QCOMPARE(net->cancelled, 4);
        QVERIFY2(contains(error->what(), "connecting to a.name port 80 failed after 80 ms: 192.0.2.1: timed out; "
                                         "192.0.2.2: timed out; 192.0.2.3: timed out; 192.0.2.4: timed out"),
                 error->what());
        QVERIFY(error->userMessage().starts_with("a.name did not answer within 80 ms."));
        QVERIFY(reactor().getDelayedCalls().empty());
    }
    void r095_theErrorListsEachAddressWithItsReason() {
        const auto net = network();
        net->add("192.0.2.1", Does::keepSilent);
        net->add("2001:db8::1", Does::haveNoRoute);
        const Failure failure = failureWithin(60ms);
        const auto* error = failure.check<ConnectTimeoutError>(); // tells more than that there is no route
        QVERIFY(error);
        QCOMPARE(error->destination(), "a.name:80");
        QCOMPARE(error->addresses().size(), std::size_t{2});
        QCOMPARE(error->addresses()[0].address, Address::of("192.0.2.1", 80));
        QVERIFY(error->addresses()[0].reason.check<ConnectTimeoutError>());
        QCOMPARE(error->addresses()[1].address, Address::of("2001:db8::1", 80));
        QVERIFY(error->addresses()[1].reason.check<NoRouteError>());
        QVERIFY2(contains(error->what(),
                          "192.0.2.1: timed out; 2001:db8::1: network is unreachable (ENETUNREACH)"),
                 error->what());
    }
    void r095_aRefusalTellsMost() {
        const auto net = network();
        net->add("192.0.2.1", Does::refuse);
        net->add("192.0.2.2", Does::keepSilent);
        const Failure failure = failureWithin(40ms);
        QVERIFY(failure.check<ConnectionRefusedError>());
        QVERIFY(failure.check<ConnectError>()->userMessage().starts_with("a.name refused the connection"));
        QCOMPARE(failure.check<ConnectError>()->osError(), ECONNREFUSED);
    }
    void r095_theErrorOfOneAddressNamesTheName() {
        const auto net = network();
        net->add("192.0.2.1", Does::haveNoRoute);
        const Failure failure = failureWithin(30s);
        const auto* error = failure.check<NoRouteError>();
        QVERIFY(error);
        QCOMPARE(error->destination(), "a.name:80");
        QCOMPARE(error->osError(), ENETUNREACH);
        QCOMPARE(QString(error->what()), "connecting to a.name port 80 failed: 192.0.2.1: network is unreachable (ENETUNREACH)");
        QVERIFY(error->userMessage().starts_with("a.name cannot be reached."));
        QCOMPARE(error->addresses().size(), std::size_t{1});
    }
    void r096_theErrorSaysThatTheLookupTookTooLong() {
        network();
        const Failure failure = failureWithin(20ms);
        const auto* error = failure.check<ConnectTimeoutError>();
        QVERIFY(error);
        QCOMPARE(error->phase(), "resolve");
        QVERIFY(error->addresses().empty());
        QVERIFY2(contains(error->userMessage(), "The address of a.name could not be looked up within 20 ms."),
                 error->userMessage().c_str());
    }
    void r096_aLiteralThatDoesNotAnswer() {
        const auto net = network();
        net->script["192.0.2.1"] = Does::keepSilent;
        const Failure failure = failureWithin(20ms, "192.0.2.1");
        QVERIFY(failure.check<ConnectTimeoutError>());
        QCOMPARE(failure.check<ConnectTimeoutError>()->phase(), "connect");
        QCOMPARE(QString(failure.check<ConnectError>()->what()),
                 "connecting to 192.0.2.1 port 80 failed after 20 ms: timed out");
    }
    void r237_cancellingInTheMiddleTriesNoMore() {
        const auto net = network();
        for (const char* host : {"192.0.2.1", "192.0.2.2", "192.0.2.3"})
            net->add(host, Does::keepSilent);
        bool failed = false;
        reactor().callWhenRunning([&] {
            auto connecting = connectProtocol(reactor(), "a.name", 80, std::make_shared<Heard>(),
                                              TCPClientOptions().connectTimeout(30s));
            DeferredRef ref = connecting.ref();
            std::move(connecting).addErrback([&](const Failure& f) {
                failed = f.check<ConnectingCancelledError>() != nullptr;
                return std::shared_ptr<Heard>();
            });
            reactor().callLater(10ms, [this, ref]() mutable {
                ref.cancel();
                reactor().stop();
            });
        });
        run();
        QVERIFY(failed);
        QCOMPARE(net->asked.size(), std::size_t{1});
        QCOMPARE(net->cancelled, 1);
        QVERIFY(reactor().getDelayedCalls().empty());
    }
    void r106_anIPv6LiteralMayStandInBrackets() {
        const auto net = network();
        net->script["::1"] = Does::refuse;
        const Failure failure = failureWithin(30s, "[::1]");
        QCOMPARE(net->asked, std::vector<std::string>{"::1"});
        QCOMPARE(failure.check<ConnectError>()->destination(), "[::1]:80");
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<AddressesOfANameTest>(argc, argv); }
#include "addresses_of_a_name_test.moc"
