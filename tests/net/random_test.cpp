// Random lives of connectors, ports, transports and factories: in each callback anything may end, begin or be
// destroyed. What happens follows from the seed; BINE_RANDOM_STEPS and BINE_RANDOM_SEED set how much and which.
// The network is a fake one, so that no kernel slows it down or gives it an order of its own.

#include <QtTest>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "bine/log/log.h"
#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "bine/net/reconnecting_factory.h"
#include "bine/reactors/manual_clock.h"
#include "net_testing.h"

using namespace bine;
using namespace std::chrono_literals;

namespace {

struct World;

/// The world of the moment; null between two.
World* world = nullptr;
/// What all worlds have seen: a test in which nothing happens finds nothing.
std::map<std::string, long> seen;
void chaos();

/// An end of a connection whose other end is the random test.
class FakeTransport : public MemoryTransport {
public:
    FakeTransport();
    ~FakeTransport() override;
};

class FakeListener final : public StreamListener {
public:
    FakeListener(Address address, Function<void(std::shared_ptr<Transport>)> accepted);
    ~FakeListener() override;
    Address address() const override { return address_; }
    void accept();

private:
    Address address_;
    std::shared_ptr<Function<void(std::shared_ptr<Transport>)>> accepted_;
};

class FakeNetwork final : public Network {
public:
    Deferred<std::shared_ptr<Transport>> connectStream(const Address& address, const StreamOptions&) override;
    std::unique_ptr<StreamListener>
    listenStream(const Address& address, int, Function<void(std::shared_ptr<Transport>)> accepted) override;
    Deferred<std::vector<Address>> resolve(const std::string& name) override;
};

class RandomProtocol : public Protocol {
public:
    RandomProtocol();
    ~RandomProtocol() override;
    void connectionMade() override { callback("made"); }
    void dataReceived(std::string_view) override { callback("data"); }
    void connectionLost(const Failure&) override { callback("lost"); }
    std::string logPrefix() const override;

private:
    void callback(const std::string& what);
    bool made_ = false, lost_ = false, inside_ = false;
};

template <class Base>
class RandomFactory : public Base {
public:
    template <class... A>
    explicit RandomFactory(A&&... a);
    ~RandomFactory() override;
    std::shared_ptr<Protocol> buildProtocol(const Address&) override;
    void startFactory() override;
    void stopFactory() override;
    std::string logPrefix() const override;

private:
    bool started_ = false;
};

template <class Base>
class RandomClientFactory final : public RandomFactory<Base> {
public:
    using RandomFactory<Base>::RandomFactory;
    void startedConnecting(Connector& connector) override {
        Base::startedConnecting(connector);
        chaos();
    }
    void clientConnectionFailed(Connector& connector, const Failure& reason) override {
        Base::clientConnectionFailed(connector, reason);
        again(connector);
    }
    void clientConnectionLost(Connector& connector, const Failure& reason) override {
        Base::clientConnectionLost(connector, reason);
        again(connector);
    }

private:
    void again(Connector connector);
};

/// Runs user code when it is destroyed, as captures do.
struct Capture {
    Capture() = default;
    Capture(Capture&&) = default;
    Capture& operator=(Capture&&) = default;
    ~Capture() {
        if (live)
            chaos();
    }
    std::unique_ptr<int> live = std::make_unique<int>(0);
};

struct World {
    World(unsigned seed, std::vector<std::string>& errors) : random(seed), errors(errors) { world = this; }
    ~World();

    std::mt19937 random;
    long stepsLeft = 0;
    int depth = 0;
    bool ended = false;
    std::vector<std::string>& errors;

    std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
    std::unique_ptr<EpollReactor> reactor;
    std::shared_ptr<FakeNetwork> network = std::make_shared<FakeNetwork>();
    std::vector<Connector> connectors;
    std::vector<ListeningPort> ports;
    std::vector<std::shared_ptr<ClientFactory>> clients;
    std::vector<std::shared_ptr<Factory>> factories;
    std::vector<std::weak_ptr<RandomProtocol>> protocols;
    std::vector<std::shared_ptr<Protocol>> keptProtocols;
    std::vector<std::weak_ptr<FakeTransport>> transports;
    std::vector<FakeListener*> listeners;
    std::vector<std::unique_ptr<Scope>> owners;
    std::vector<DeferredRef> deferreds;
    using Connecting = std::pair<int, std::unique_ptr<Resolver<std::shared_ptr<Transport>>>>;
    std::map<int, Connecting> connecting;
    std::map<int, std::pair<int, std::unique_ptr<Resolver<std::vector<Address>>>>> resolving;
    std::map<int, int> attempts; // under way, of each connector
    std::map<const void*, int> alive;
    int number = 0;
    int nextPort = 1;

    void error(std::string what) {
        if (errors.size() < 20)
            errors.push_back(std::move(what));
    }
    unsigned below(std::size_t n) { return n == 0 ? 0 : static_cast<unsigned>(random() % n); }
    bool chance(unsigned oneIn) { return random() % oneIn == 0; }
    template <class V>
    auto any(V& of) -> typename V::value_type {
        return of.empty() ? typename V::value_type() : of[below(of.size())];
    }
    /// Nothing is on the stack: no connector has two attempts.
    void look() {
        if (depth != 0)
            return;
        for (const auto& [port, count] : attempts)
            if (count < 0 || count > 1)
                error(std::to_string(count) + " attempts at once for port " + std::to_string(port));
    }
    /// A reactor, and something to begin with. Factories whose clock was the last reactor go with it.
    void begin() {
        if (!reactor) {
            ended = true; // nothing happens meanwhile
            clients.clear();
            connectors.clear();
            ended = false;
            reactor = std::make_unique<EpollReactor>();
            reactor->provideService<Network>(network);
        }
        for (int i = 0; i < 2; ++i) {
            clients.push_back(std::make_shared<RandomClientFactory<ReconnectingClientFactory>>(*clock));
            clients.push_back(std::make_shared<RandomClientFactory<ClientFactory>>());
            factories.push_back(std::make_shared<RandomFactory<Factory>>());
            owners.push_back(std::make_unique<Scope>());
        }
    }
    void act();
    void owned(auto&& thing) {
        if (!owners.empty() && chance(2))
            thing.ownedBy(*owners[below(owners.size())]);
    }
};

void chaos() {
    if (!world || world->ended || world->depth >= 4 || world->stepsLeft <= 0)
        return;
    World& here = *world;
    ++here.depth;
    if (!here.chance(3)) {
        for (unsigned n = here.below(3); n > 0; --n)
            here.act();
    }
    --here.depth;
}

void chaosThatThrows() {
    chaos();
    if (world && !world->ended && world->chance(12))
        throw std::runtime_error("random");
}

FakeTransport::FakeTransport() { ++world->alive[&typeid(FakeTransport)]; }
FakeTransport::~FakeTransport() { --world->alive[&typeid(FakeTransport)]; }

FakeListener::FakeListener(Address address, Function<void(std::shared_ptr<Transport>)> accepted)
    : address_(std::move(address)),
      accepted_(std::make_shared<Function<void(std::shared_ptr<Transport>)>>(std::move(accepted))) {
    world->listeners.push_back(this);
}
FakeListener::~FakeListener() {
    std::erase(world->listeners, this);
    chaos();
}

std::shared_ptr<FakeTransport> newTransport() {
    auto transport = std::make_shared<FakeTransport>();
    world->transports.push_back(transport);
    return transport;
}

void FakeListener::accept() {
    const auto accepted = accepted_; // this may die in it
    try {
        (*accepted)(newTransport());
    } catch (...) {
        world->error("a port's acceptance threw");
    }
}

Deferred<std::shared_ptr<Transport>> FakeNetwork::connectStream(const Address& address,
                                                                const StreamOptions&) {
    chaosThatThrows();
    const int id = world->number++;
    const int port = address.port();
    ++world->attempts[port];
    auto answer = std::make_unique<Resolver<std::shared_ptr<Transport>>>([id, port](auto& answer) {
        --world->attempts[port];
        auto gone = world->connecting.extract(id);
        chaos();
        answer.errback(ConnectingCancelledError("fake"));
    });
    auto result = answer->deferred();
    world->connecting.emplace(id, std::pair(port, std::move(answer)));
    chaos();
    return result;
}

std::unique_ptr<StreamListener>
FakeNetwork::listenStream(const Address& address, int, Function<void(std::shared_ptr<Transport>)> accepted) {
    chaos();
    if (world->chance(8))
        throw CannotListenError(address.host(), address.port(), EADDRINUSE);
    return std::make_unique<FakeListener>(address.withPort(7), std::move(accepted));
}

Deferred<std::vector<Address>> FakeNetwork::resolve(const std::string& name) {
    chaosThatThrows();
    const int id = world->number++;
    auto answer = std::make_unique<Resolver<std::vector<Address>>>([id](auto& answer) {
        auto gone = world->resolving.extract(id);
        chaos();
        answer.errback(DNSLookupError("fake", "cancelled", false));
    });
    auto result = answer->deferred();
    world->resolving.emplace(id, std::pair(0, std::move(answer)));
    chaos();
    return name == "at.once" ? succeed(std::vector<Address>{Address::of("127.0.0.1", 0)}) : std::move(result);
}

RandomProtocol::RandomProtocol() { ++world->alive[&typeid(RandomProtocol)]; }
RandomProtocol::~RandomProtocol() {
    --world->alive[&typeid(RandomProtocol)];
    chaos();
}
std::string RandomProtocol::logPrefix() const {
    chaosThatThrows();
    return "random";
}
void RandomProtocol::callback(const std::string& what) {
    const auto keep = shared_from_this();
    ++seen[what];
    if (inside_)
        world->error(what + ": the callbacks of a protocol nest");
    if (lost_)
        world->error(what + " after the loss");
    if (what == "made" ? made_ : !made_)
        world->error(what + ": out of order");
    made_ = true;
    lost_ = what == "lost";
    inside_ = true;
    struct Leave {
        bool& inside;
        ~Leave() { inside = false; }
    } leave{inside_};
    chaosThatThrows();
}

template <class Base>
template <class... A>
RandomFactory<Base>::RandomFactory(A&&... a) : Base(std::forward<A>(a)...) {
    ++world->alive[&typeid(Factory)];
}
template <class Base>
RandomFactory<Base>::~RandomFactory() {
    --world->alive[&typeid(Factory)];
    if (started_)
        world->error("a factory died without stopFactory()");
    chaos();
}
template <class Base>
std::shared_ptr<Protocol> RandomFactory<Base>::buildProtocol(const Address&) {
    chaosThatThrows();
    if (world->chance(10))
        return nullptr;
    auto protocol = std::make_shared<RandomProtocol>();
    world->protocols.push_back(protocol);
    if (world->chance(4))
        world->keptProtocols.push_back(protocol);
    return protocol;
}
template <class Base>
void RandomFactory<Base>::startFactory() {
    started_ = true;
    try {
        chaosThatThrows();
    } catch (...) {
        started_ = false;
        throw;
    }
}
template <class Base>
void RandomFactory<Base>::stopFactory() {
    started_ = false;
    chaosThatThrows();
}
template <class Base>
std::string RandomFactory<Base>::logPrefix() const {
    chaosThatThrows();
    return "factory";
}

template <class Base>
void RandomClientFactory<Base>::again(Connector connector) {
    chaosThatThrows();
    if (world && !world->ended && world->chance(3) && connector.state() == Connector::State::disconnected)
        connector.connect();
}

// Each action may find nothing to act upon. Errors in the use of the API, such as connect() of one that is
// connected, are thrown and ignored.
void World::act() {
    if (--stepsLeft < 0)
        return;
    const char* hosts[] = {"127.0.0.1", "a.name", "at.once"};
    try {
        switch (below(34)) {
        case 0:
        case 1: {
            auto factory = any(clients);
            if (!reactor || !factory)
                break;
            const int port = nextPort++;
            auto connector =
                connectTCP(*reactor, hosts[below(3)], port, factory, TCPClientOptions().connectTimeout(1h));
            if (ended)
                break;
            owned(connector);
            connectors.push_back(connector);
            break;
        }
        case 2: {
            auto factory = any(clients);
            if (!reactor || !factory)
                break;
            auto connection = connectFactory(*reactor, hosts[below(3)], nextPort++, factory);
            deferreds.push_back(connection.ref());
            auto chain =
                std::move(connection).addBoth([capture = Capture()](Result<std::shared_ptr<Protocol>>) {
                    chaosThatThrows();
                });
            owned(chain);
            std::move(chain).addErrback([](const Failure&) {});
            break;
        }
        case 3: {
            auto factory = any(factories);
            if (!reactor || !factory)
                break;
            auto port = listenTCP(*reactor, 0, factory);
            owned(port);
            ports.push_back(port);
            break;
        }
        case 4: {
            if (!reactor)
                break;
            auto protocol = std::make_shared<RandomProtocol>();
            protocols.push_back(protocol);
            attach(*reactor, newTransport(), protocol);
            break;
        }
        case 5: {
            std::shared_ptr<ClientFactory> made;
            if (chance(2))
                made = std::make_shared<RandomClientFactory<ClientFactory>>();
            else if (Clock* const ticks =
                         chance(2) || !reactor ? static_cast<Clock*>(clock.get()) : reactor.get()) {
                auto reconnecting = std::make_shared<RandomClientFactory<ReconnectingClientFactory>>(*ticks);
                reconnecting->initialDelay =
                    ticks == clock.get() ? 1ms : 0ms; // no order that follows from real time
                reconnecting->maxDelay = reconnecting->initialDelay * 3;
                made = reconnecting;
            }
            clients.push_back(made);
            break;
        }
        case 6:
            factories.push_back(std::make_shared<RandomFactory<Factory>>());
            break;
        case 7:
            owners.push_back(std::make_unique<Scope>());
            break;
        case 8:
        case 9:
        case 10: {
            if (connecting.empty())
                break;
            auto entry = connecting.extract(std::next(connecting.begin(), below(connecting.size())));
            auto [port, answer] = std::move(entry.mapped());
            --attempts[port];
            if (chance(3))
                answer->errback(ConnectionRefusedError("fake", ECONNREFUSED));
            else
                answer->callback(newTransport());
            break;
        }
        case 11: {
            if (resolving.empty())
                break;
            auto entry = resolving.extract(std::next(resolving.begin(), below(resolving.size())));
            auto answer = std::move(entry.mapped().second);
            std::vector<Address> found;
            for (unsigned n = below(3); n > 0; --n)
                found.push_back(Address::of("127.0.0.1", 0));
            answer->callback(std::move(found));
            break;
        }
        case 12:
        case 13:
            if (!listeners.empty())
                listeners[below(listeners.size())]->accept();
            break;
        case 14:
        case 15:
            if (auto transport = any(transports).lock(); transport && transport->connected())
                transport->feed("data");
            break;
        case 16:
            if (auto transport = any(transports).lock(); transport && transport->connected())
                transport->feedEof();
            break;
        case 17:
            if (auto transport = any(transports).lock(); transport && transport->connected())
                transport->end(ConnectionLost("random"));
            break;
        case 18:
        case 19:
            if (auto transport = any(transports).lock())
                transport->finish();
            break;
        case 20:
            any(connectors).connect();
            break;
        case 21:
            any(connectors).reconnect();
            break;
        case 22:
            any(connectors).disconnect(std::chrono::hours(below(2)));
            break;
        case 23:
            any(connectors).abort();
            break;
        case 24:
            any(connectors).stopConnecting();
            break;
        case 25: {
            auto stopped = any(ports).stopListening();
            deferreds.push_back(stopped.ref());
            std::move(stopped).addBoth([capture = Capture()](Result<void>) { chaos(); });
            break;
        }
        case 26:
            any(ports).startListening();
            break;
        case 27:
            any(deferreds).cancel();
            break;
        case 28:
            if (!owners.empty()) {
                ++seen["owner destroyed"];
                const auto owner = std::move(owners[below(owners.size())]);
                std::erase(owners, nullptr);
            }
            break;
        case 29:
            if (auto protocol = any(protocols).lock()) {
                if (chance(2))
                    protocol->transport().loseConnection();
                else
                    protocol->transport().abortConnection();
                if (chance(2))
                    owned(protocol->transport());
            }
            break;
        case 30:
            if (const auto factory = std::dynamic_pointer_cast<ReconnectingClientFactory>(any(clients))) {
                if (chance(2))
                    factory->stopTrying();
                else
                    factory->resetDelay();
            }
            break;
        case 31:
            switch (below(6)) {
            case 0: {
                const auto last = std::move(clients);
                clients.clear();
                break;
            }
            case 1: {
                const auto last = std::move(factories);
                factories.clear();
                break;
            }
            case 2: {
                const auto last = std::move(keptProtocols);
                keptProtocols.clear();
                break;
            }
            case 3: {
                const auto last = std::move(connectors);
                connectors.clear();
                break;
            }
            case 4: {
                const auto last = std::move(ports);
                ports.clear();
                break;
            }
            default:
                break;
            }
            break;
        case 32:
            if (chance(2))
                clock->advance(std::chrono::milliseconds(below(4)));
            else if (reactor && depth < 3)
                reactor->iterate(0s);
            break;
        case 33:
            if (!reactor)
                break;
            if (chance(12)) {
                ++seen["reactor destroyed"];
                const auto last = std::move(reactor);
            } else if (reactor->running() && chance(8)) {
                reactor->stop();
            } else if (chance(6)) {
                reactor->callLater(0s, [capture = Capture()] { chaosThatThrows(); });
            }
            break;
        }
    } catch (const std::exception&) {}
}

World::~World() {
    ended = true;
    owners.clear();
    reactor.reset();
    connecting.clear();
    resolving.clear();
    connectors.clear();
    ports.clear();
    clients.clear();
    factories.clear();
    keptProtocols.clear();
    deferreds.clear();
    clock.reset();
    network.reset();
    for (const auto& [type, left] : alive)
        if (left != 0)
            error(std::to_string(left) + " left: " + static_cast<const std::type_info*>(type)->name());
    world = nullptr;
}

long numberOf(const char* variable, long otherwise) {
    const char* text = std::getenv(variable);
    return text ? std::strtol(text, nullptr, 10) : otherwise;
}

/// So many steps, in the turns of reactors that run and from outside of them.
void live(unsigned seed, long steps, std::vector<std::string>& errors) {
    World here(seed, errors);
    here.stepsLeft = steps;
    std::function<void()> step = [&] {
        if (here.stepsLeft <= 0) {
            if (here.reactor && here.reactor->running())
                here.reactor->stop();
            return;
        }
        here.look();
        here.act();
        if (here.reactor)
            here.reactor->callLater(0s, step);
    };
    while (here.stepsLeft > 0) {
        here.begin();
        if (here.chance(2)) {
            here.reactor->callLater(0s, step);
            here.reactor->run();
        }
        while (here.stepsLeft > 0 && here.reactor) {
            here.look();
            here.act();
            if (here.reactor && here.chance(4))
                here.reactor->iterate(0s);
        }
    }
    here.ended = true;
}

} // namespace

class RandomTest : public QObject {
    Q_OBJECT
private slots:
    void anythingInAnyCallback() {
        const auto quiet = setDefaultLogObserver([](const LogEvent&) {});
        const auto observer = addLogObserver(
            [](const LogEvent&) {
                if (world && world->chance(4))
                    chaos();
            },
            LogLevel::debug);
        const long steps = numberOf("BINE_RANDOM_STEPS", 20000);
        const auto first = static_cast<unsigned>(numberOf("BINE_RANDOM_SEED", 1));
        constexpr long each = 200;
        for (long done = 0; done < steps; done += each) {
            const auto seed = first + static_cast<unsigned>(done / each);
            std::vector<std::string> errors;
            live(seed, each, errors);
            for (const std::string& error : errors)
                qWarning("seed %u: %s", seed, error.c_str());
            QVERIFY(errors.empty());
        }
        for (const char* what : {"made", "data", "lost", "reactor destroyed", "owner destroyed"})
            QVERIFY2(seen[what] > steps / 1000, what);
    }
};

QTEST_GUILESS_MAIN(RandomTest)
#include "random_test.moc"
