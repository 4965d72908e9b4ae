// whatever is going on, the end comes within the deadline, and everybody is told. Who ends it: the reactor, the host, or whoever destroys the reactor. A run that does not
// end is ended by the kit. What hosts and windows do at their end is in foreign_loop.cpp, host_loop.cpp and tests/dialogs.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <semaphore>

#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/reactors/threads.h"
#include "kit/nest.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::Failure;

namespace {

enum State { connecting = 1, resolving = 2, unread = 4, stuckWorker = 8, dialog = 16, everything = 31 };
enum class End { stop, hostEndsRun, hostEndsAttached, destroyed };

/// A port that answers nobody: its backlog is full.
class FullPort {
public:
    FullPort() {
        sockets_.push_back(socket());
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* const at = reinterpret_cast<sockaddr*>(&address);
        if (::bind(sockets_[0], at, length) != 0 || ::listen(sockets_[0], 0) != 0 || ::getsockname(sockets_[0], at, &length) != 0)
            qFatal("a full port: %d", errno);
        port_ = ntohs(address.sin_port);
        for (int i = 0; i < 4; ++i) {
            sockets_.push_back(socket());
            if (::connect(sockets_.back(), at, length) != 0 && errno != EINPROGRESS)
                qFatal("a full port: %d", errno);
        }
    }
    ~FullPort() {
        for (const int fd : sockets_)
            ::close(fd);
    }
    FullPort(const FullPort&) = delete;
    FullPort& operator=(const FullPort&) = delete;
    std::uint16_t port() const { return port_; }

private:
    static int socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
    std::vector<int> sockets_;
    std::uint16_t port_ = 0;
};

/// What was told to whom.
struct Told {
    int failed = 0;
    int made = 0;
    int lost = 0;
};

class Client : public bine::ClientFactory {
public:
    explicit Client(Told& told) : told_(told) {}
    std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override { return nullptr; }
    void clientConnectionFailed(bine::Connector&, const Failure&) override { ++told_.failed; }

private:
    Told& told_;
};

/// Has more to say than the kernel takes, and closes.
class Verbose : public bine::Protocol {
public:
    explicit Verbose(Told& told) : told_(told) {}
    void connectionMade() override {
        ++told_.made;
        transport().write(std::string(32 << 20, 'v'));
        transport().loseConnection();
    }
    void connectionLost(const Failure&) override { ++told_.lost; }

private:
    Told& told_;
};

/// Never reads.
class Deaf : public bine::Protocol {
public:
    explicit Deaf(Told& told) : told_(told) {}
    void connectionMade() override {
        ++told_.made;
        transport().pauseProducing();
    }
    void connectionLost(const Failure&) override { ++told_.lost; }

private:
    Told& told_;
};

} // namespace

Q_DECLARE_METATYPE(End)

class ExitTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // What a process makes once: a port's spare descriptor, the host's wake-ups, what names are looked up with.
    void initTestCase() {
        Told told;
        const auto doAllOnce = [&] {
            bine::kit::ReactorHost host;
            const auto port = bine::listenTCP(host.reactor(), 0, bine::Factory::forProtocol<Verbose>(std::ref(told)),
                                              bine::TCPServerOptions().listenOn("127.0.0.1"));
            bine::connectTCP(host.reactor(), "127.0.0.1", port.getHost().port(), std::make_shared<Client>(told));
            bine::connectTCP(host.reactor(), "bine.invalid", 9, std::make_shared<Client>(told));
            QVERIFY(host.spinUntil([&] { return told.failed >= 1 && told.made == 1; }));
        };
        const auto threads = bine::kit::Belongings::now().threads();
        doAllOnce();
        bine::kit::settle([&] { return std::string(bine::kit::Belongings::now().threads() > threads ? "a lookup's thread" : ""); });
    }

    void r269_itEndsInEveryState_data() {
        QTest::addColumn<int>("state");
        QTest::addColumn<End>("end");
        const std::pair<int, const char*> states[] = {{connecting, "connecting"},     {resolving, "resolving"},
                                                      {unread, "a peer does not read"}, {stuckWorker, "a worker is stuck"},
                                                      {dialog, "a dialog is open"},     {everything, "all of it"}};
        std::vector<std::pair<End, const char*>> ends = {{End::stop, "stop()"}, {End::destroyed, "the reactor dies"}};
        if (bine::kit::inQt() || bine::kit::reactorName().starts_with("glib") || bine::kit::reactorName() == "qt+gtk") {
            ends.emplace_back(End::hostEndsRun, "the host ends run()");
            ends.emplace_back(End::hostEndsAttached, "the host ends");
        }
        for (const auto& [state, stateName] : states)
            for (const auto& [end, endName] : ends)
                QTest::addRow("%s, %s", stateName, endName) << state << end;
    }
    void r269_itEndsInEveryState() {
        QFETCH(int, state);
        QFETCH(End, end);
        Told told;
        FullPort full;
        bine::kit::Nest nest(host());
        // Shared with the worker, which outlives the test if that fails.
        struct Worker {
            std::atomic<bool> began = false;
            std::binary_semaphore release{0};
        };
        const auto worker = std::make_shared<Worker>();
        int ended = 0;
        reactor().setShutdownDeadline(50ms);
        reactor().addSystemEventTrigger("after", "shutdown", [&] { ++ended; });

        const auto endIt = [&] {
            if (state & resolving) // only just now: the answer would come
                bine::connectTCP(reactor(), "bine.invalid", 9, std::make_shared<Client>(told));
            if (end == End::stop)
                reactor().stop();
            else if (end == End::hostEndsRun)
                host().quitRun();
            else if (end == End::hostEndsAttached)
                host().quitHost();
            else
                host().destroyReactor();
            // In Qt all dialogs end with run(), and with the host; elsewhere they are the application's.
            if ((state & dialog) && (!bine::kit::inQt() || end == End::destroyed))
                nest.quit();
        };
        bine::ListeningPort port;
        std::function<void()> whenReady = [&] {
            const bool there = (!(state & unread) || told.made == 2) && (!(state & stuckWorker) || worker->began);
            if (!there)
                reactor().callLater(1ms, [&] { whenReady(); });
            else if (state & dialog)
                nest.open(2, endIt);
            else
                endIt();
        };
        reactor().callLater(0s, [&] {
            if (state & connecting)
                bine::connectTCP(reactor(), "127.0.0.1", full.port(), std::make_shared<Client>(told));
            if (state & unread) {
                port = bine::listenTCP(reactor(), 0, bine::Factory::make([&](const bine::Address&) { return std::make_shared<Deaf>(told); }),
                                       bine::TCPServerOptions().listenOn("127.0.0.1"));
                bine::connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), std::make_shared<Verbose>(told));
            }
            if (state & stuckWorker)
                reactor().callInThread([worker] {
                    worker->began = true;
                    worker->release.acquire();
                });
            reactor().callLater(5ms, [&] { whenReady(); });
        });
        if (end == End::hostEndsAttached) {
            host().runHost();
            host().destroyReactor(); // GLib tells nobody; then it happens here
        } else {
            run();
        }
        worker->release.release();

        QCOMPARE(ended, 1);
        QCOMPARE(told.failed, (state & connecting ? 1 : 0) + (state & resolving ? 1 : 0));
        QCOMPARE(told.lost, state & unread ? 2 : 0);
        QVERIFY(!(state & dialog) || nest.over());
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(state & stuckWorker ? 1 : 0));
        if (state & stuckWorker)
            QVERIFY2(errors.front().find("exit.cpp") != std::string::npos, errors.front().c_str());
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ExitTest>(argc, argv); }
#include "exit.moc"
