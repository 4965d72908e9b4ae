// The owners of a Deferred that makes a connection own the connection too.

#include <optional>
#include <utility>

#include "bine/defer/owner.h"
#include "bine/net/answer.h"
#include "bine/net/stream.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace std::chrono_literals;
using namespace bine;
using nettest::Heard;

namespace {

using Events = std::vector<std::string>;
using Window = std::optional<Scope>;

/// Answers with what it receives.
class Question : public Heard {
public:
    Deferred<std::string> answer() { return answer_.deferred(); }
    void dataReceived(std::string_view bytes) override { answer_.callback(std::string(bytes)); }

private:
    Answer<std::string> answer_{*this};
};

Deferred<> dialTwice(Reactor& reactor, Port port, std::shared_ptr<Heard> first, std::shared_ptr<Heard> second) {
    co_await connectProtocol(reactor, "127.0.0.1", port, first);
    auto kept = connectProtocol(reactor, "127.0.0.1", port, second);
    co_await kept;
}

Deferred<> outer(Reactor& reactor, Port port, std::shared_ptr<Heard> first, std::shared_ptr<Heard> second) {
    co_await dialTwice(reactor, port, first, second);
}

Deferred<> readForEver(Reactor& reactor, Port port, bool& connected) {
    Stream stream = co_await openConnection(reactor, "127.0.0.1", port);
    connected = true;
    co_await stream.readLine();
}

} // namespace

class ConnectionOwnersTest : public kit::ReactorTest {
    Q_OBJECT

    /// A server whose connections are Heard; they stay in `accepted`.
    Port listen() {
        accepted = std::make_shared<std::vector<std::shared_ptr<Heard>>>();
        port_ = listenTCP(reactor(), 0, Factory::make([weak = std::weak_ptr(accepted)](const Address&) { // they keep their factory
                              const auto all = weak.lock();
                              return all ? all->emplace_back(std::make_shared<Heard>()) : nullptr;
                          }),
                          TCPServerOptions().listenOn("127.0.0.1"));
        return port_.getHost().port();
    }
    bool serverLost(std::size_t connections = 1) {
        return host().spinUntil([&] {
            std::size_t lost = 0;
            for (const auto& each : *accepted)
                lost += each->lost();
            return lost >= connections;
        });
    }
    bool made(const Heard& heard) {
        return host().spinUntil([&] { return heard.count("made") == 1; });
    }
    void turns() {
        for (int i = 0; i < 20; ++i)
            host().turn();
    }
    static void ignore(Result<std::shared_ptr<Heard>>) {}

    std::shared_ptr<std::vector<std::shared_ptr<Heard>>> accepted;
    ListeningPort port_;

private slots:
    void anOwnerThatDiesWhileConnectingEndsTheAttempt() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        bool called = false;
        {
            Scope window;
            connectProtocol(reactor(), "127.0.0.1", port, client).ownedBy(window).addBoth([&](auto) { called = true; });
        }
        turns();
        QCOMPARE(client->events, Events{});
        QVERIFY(!called);
    }
    void anOwnerThatDiesInBuildProtocolLeavesNoConnection() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        auto window = std::make_shared<Window>(std::in_place);
        bool called = false;
        connectFactory(reactor(), "127.0.0.1", port, Factory::make([window, weak = std::weak_ptr(client)](const Address&) {
                           window->reset();
                           return weak.lock(); // it keeps its factory
                       }))
            .ownedBy(**window)
            .addBoth([&](auto) { called = true; });
        QVERIFY(serverLost());
        QCOMPARE(client->events, Events{});
        QVERIFY(!called);
    }
    void anOwnerThatDiesInConnectionMadeSilencesTheProtocol() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        Window window(std::in_place);
        bool called = false;
        client->onMade = [&](Heard&) { window.reset(); };
        connectProtocol(reactor(), "127.0.0.1", port, client).ownedBy(*window).addBoth([&](auto) { called = true; });
        QVERIFY(serverLost());
        turns();
        QCOMPARE(client->events, Events{"made"});
        QVERIFY(!client->connected());
        QVERIFY(!called);
    }
    void anOwnerThatDiesLaterAbortsTheConnectionInSilence() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        Window window(std::in_place);
        bool called = false;
        connectProtocol(reactor(), "127.0.0.1", port, client)
            .ownedBy(*window)
            .addCallback([&](std::shared_ptr<Heard>) { called = true; });
        QVERIFY(made(*client));
        turns();
        QVERIFY(called);
        QVERIFY(client->connected());
        window.reset();
        QVERIFY(!client->connected());
        QVERIFY(serverLost());
        QVERIFY(accepted->front()->lostBy<ConnectionLost>());
        turns();
        QCOMPARE(client->events, Events{"made"});
    }
    void anOwnerGivenToALaterPartOfTheChainCounts() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        Window window(std::in_place);
        succeed()
            .addCallback([&] { return connectProtocol(reactor(), "127.0.0.1", port, client); })
            .addCallback([](std::shared_ptr<Heard>) {})
            .ownedBy(*window);
        QVERIFY(made(*client));
        turns();
        window.reset();
        QVERIFY(serverLost());
        QCOMPARE(client->events, Events{"made"});
    }
    void ofTwoOwnersTheFirstThatDiesCounts() {
        const Port port = listen();
        for (const bool firstOne : {true, false}) {
            const auto client = std::make_shared<Heard>();
            Window one(std::in_place), two(std::in_place);
            connectProtocol(reactor(), "127.0.0.1", port, client).ownedBy(*one).ownedBy(*two).addBoth(ignore);
            QVERIFY(made(*client));
            turns();
            (firstOne ? one : two).reset();
            QVERIFY(serverLost(firstOne ? 1 : 2));
            QCOMPARE(client->events, Events{"made"});
        }
    }
    void anOwnerAddedInConnectionMadeCounts() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        Window window(std::in_place);
        Deferred<std::shared_ptr<Heard>> connecting;
        client->onMade = [&](Heard&) { connecting.ownedBy(*window); };
        connecting = connectProtocol(reactor(), "127.0.0.1", port, client);
        QVERIFY(made(*client));
        turns();
        window.reset();
        QVERIFY(serverLost());
        QCOMPARE(client->events, Events{"made"});
    }
    void anOwnerAddedToTheFiredDeferredDoesNotCount() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        Window window(std::in_place);
        auto connecting = connectProtocol(reactor(), "127.0.0.1", port, client);
        QVERIFY(made(*client));
        turns();
        connecting.ownedBy(*window);
        window.reset();
        turns();
        QVERIFY(client->connected());
        client->transport().abortConnection();
        QVERIFY(serverLost());
    }
    void anOwnerThatLivesChangesNothing() {
        const Port port = listen();
        const auto client = std::make_shared<Heard>();
        Scope window;
        connectProtocol(reactor(), "127.0.0.1", port, client).ownedBy(window).addBoth(ignore);
        QVERIFY(made(*client));
        client->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return client->lost(); }));
        QVERIFY(client->lostBy<ConnectionDone>());
        QVERIFY(host().spinUntil([&] { return window.empty(); }));
    }
    void whatWasWrittenBeforeLoseConnectionIsStillSent() {
        const Port port = listen();
        const std::string much(8 << 20, 'x');
        const auto client = std::make_shared<Heard>();
        Window window(std::in_place);
        client->onMade = [&](Heard& heard) {
            heard.transport().write(much);
            heard.transport().loseConnection();
            window.reset();
        };
        connectProtocol(reactor(), "127.0.0.1", port, client).ownedBy(*window).addBoth(ignore);
        QVERIFY(serverLost());
        QCOMPARE(accepted->front()->data.size(), much.size());
        QVERIFY(accepted->front()->lostBy<ConnectionDone>());
        QCOMPARE(client->events, Events{"made"});
    }
    void theOwnerOfACoroutineOwnsWhatItAwaits() {
        const Port port = listen();
        const auto first = std::make_shared<Heard>();
        const auto second = std::make_shared<Heard>();
        Window window(std::in_place);
        outer(reactor(), port, first, second).ownedBy(*window);
        QVERIFY(made(*first));
        QVERIFY(made(*second));
        turns();
        window.reset();
        QVERIFY(serverLost(2));
        QCOMPARE(first->events, Events{"made"});
        QCOMPARE(second->events, Events{"made"});
    }
    void theOwnerOfACoroutineOwnsItsStream() {
        const Port port = listen();
        Window window(std::in_place);
        bool connected = false;
        readForEver(reactor(), port, connected).ownedBy(*window);
        QVERIFY(host().spinUntil([&] { return connected; }));
        window.reset();
        QVERIFY(serverLost());
        QVERIFY(accepted->front()->lostBy<ConnectionLost>());
    }
    void theOwnerOfAQuestionOwnsItsConnection() {
        const Port port = listen();
        const auto question = std::make_shared<Question>();
        Window window(std::in_place);
        std::string got;
        ask(reactor(), "127.0.0.1", port, question).ownedBy(*window).addCallback([&](std::string text) { got = text; });
        QVERIFY(host().spinUntil([&] { return !accepted->empty() && accepted->front()->connected(); }));
        accepted->front()->transport().write("yes");
        QVERIFY(host().spinUntil([&] { return got == "yes"; }));
        window.reset();
        QVERIFY(serverLost());
        QCOMPARE(question->events, Events{"made"});
    }
};

int main(int argc, char** argv) { return kit::runTests<ConnectionOwnersTest>(argc, argv); }
#include "connection_owners.moc"
