// a tree of services and the shutdown. Listeners close in 'before shutdown', with everything in full service; connections are ended after that.

#include <memory>
#include <optional>
#include <string>

#include "bine/application/internet.h"
#include "bine/application/start_application.h"
#include "bine/defer/defer_later.h"
#include "bine/net/errors.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Failure;
using bine::kit::Steps;

namespace {

/// Answers, and tells of its end.
class Server : public bine::Protocol {
public:
    explicit Server(Steps& steps) : steps_(steps) {}
    void dataReceived(std::string_view data) override { transport().write(data); }
    void connectionLost(const Failure& reason) override { steps_.add(reason.check<bine::ConnectionLost>() ? "disconnected" : "other"); }

private:
    Steps& steps_;
};

/// Asks, and hears the answer.
class Client : public bine::Protocol {
public:
    Deferred<> ask() {
        transport().write("?");
        return answer_.emplace().deferred();
    }
    void dataReceived(std::string_view) override { answer_->callback(); }

private:
    std::optional<bine::Resolver<>> answer_;
};

/// Takes its time to stop: looks whether `client` is still served, and whether a new connection is refused.
class Looking : public bine::Service {
public:
    Looking(bine::Reactor& reactor, Steps& steps) : reactor_(reactor), steps_(steps) {}
    std::shared_ptr<Client> client;
    bine::Port port = 0;

    Deferred<> stopService() override {
        steps_.add("stopping");
        co_await bine::deferLater(reactor_, 1ms); // a timer, and time for the port to close
        try {
            co_await bine::connectProtocol(reactor_, "127.0.0.1", port, std::make_shared<Client>());
            steps_.add("accepted");
        } catch (const bine::ConnectionRefusedError&) {
            steps_.add("refused");
        }
        co_await client->ask();
        steps_.add(reactor_.running() ? "answered" : "answered too late");
    }

private:
    bine::Reactor& reactor_;
    Steps& steps_;
};

} // namespace

class ServicesTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // What a process makes once: a port's spare descriptor, the host's wake-ups.
    void initTestCase() {
        bine::kit::ReactorHost host;
        const auto port = bine::listenTCP(host.reactor(), 0, bine::Factory::forProtocol<Client>(), loopback());
        const auto client = std::make_shared<Client>();
        bine::connectProtocol(host.reactor(), "127.0.0.1", port.getHost().port(), client);
        QVERIFY(host.spinUntil([&] { return client->connected(); }));
    }

    void r030_listenersCloseBeforeConnectionsWhichAreServedMeanwhile() {
        Steps steps;
        const auto application = std::make_shared<bine::MultiService>();
        const auto server = std::make_shared<bine::TCPServer>(reactor(), 0, bine::Factory::forProtocol<Server>(std::ref(steps)), loopback());
        const auto looking = std::make_shared<Looking>(reactor(), steps);
        server->setServiceParent(*application);
        looking->setServiceParent(*application);
        bine::startApplication(reactor(), *application);
        looking->port = server->getHost().port();
        looking->client = std::make_shared<Client>();
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        reactor().callWhenRunning([&] {
            bine::connectProtocol(reactor(), "127.0.0.1", looking->port, looking->client)
                .addCallback([](const std::shared_ptr<Client>& client) { return client->ask(); })
                .addCallback([&] { reactor().stop(); });
        });
        run();
        QCOMPARE(steps.text(), "stopping refused answered disconnected during");
        QVERIFY(!application->running() && !server->running() && !application->parent());
    }

    void r030_aFailingServiceDoesNotKeepListenersFromClosing() {
        struct Failing : bine::Service {
            Deferred<> stopService() override { return bine::fail(std::runtime_error("it cannot")); }
        };
        Steps steps;
        bine::MultiService application;
        bine::TCPServer server(reactor(), 0, bine::Factory::forProtocol<Server>(std::ref(steps)), loopback());
        Failing failing;
        failing.setName("failing");
        server.setServiceParent(application);
        failing.setServiceParent(application);
        bine::startApplication(reactor(), application);
        bool refused = false;
        reactor().callWhenRunning([&] { reactor().stop(); });
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            return bine::deferLater(reactor(), 1ms).addCallback([&] {
                return bine::connectProtocol(reactor(), "127.0.0.1", server.getHost().port(), std::make_shared<Client>())
                    .addCallbacks([](const auto&) {}, [&](const Failure& reason) { refused = reason.check<bine::ConnectionRefusedError>(); });
            });
        });
        run();
        QVERIFY(refused);
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY2(errors[0].find("'failing'") != std::string::npos, errors[0].c_str());
    }

    void r030_aReactorThatIsDestroyedStopsItsServicesFirst() {
        Steps steps;
        const auto application = std::make_shared<bine::MultiService>();
        const auto looking = std::make_shared<Looking>(reactor(), steps);
        const auto server = std::make_shared<bine::TCPServer>(reactor(), 0, bine::Factory::forProtocol<Server>(std::ref(steps)), loopback());
        server->setServiceParent(*application);
        looking->setServiceParent(*application);
        bine::startApplication(reactor(), *application);
        looking->port = server->getHost().port();
        looking->client = std::make_shared<Client>();
        bool asked = false;
        reactor().callWhenRunning([&] {
            bine::connectProtocol(reactor(), "127.0.0.1", looking->port, looking->client)
                .addCallback([](const std::shared_ptr<Client>& client) { return client->ask(); })
                .addCallback([&] { asked = true; });
        });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        QVERIFY(host().spinUntil([&] { return asked; }));
        host().destroyReactor();
        QCOMPARE(steps.text(), "stopping refused answered disconnected during");
    }

private:
    static bine::TCPServerOptions loopback() { return bine::TCPServerOptions().listenOn("127.0.0.1"); }
};

int main(int argc, char** argv) { return bine::kit::runTests<ServicesTest>(argc, argv); }
#include "services.moc"
