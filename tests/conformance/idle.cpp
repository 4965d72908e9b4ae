// 500 connections on which nothing happens, looked at for five seconds: no turns, no wake-ups, no CPU time. This is the one test that has to let time pass.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;

namespace {

/// Ends of connections that no reactor knows. Their numbers are high: select() has room for the others.
class Peers {
public:
    ~Peers() {
        for (const int fd : fds_)
            ::close(fd);
    }
    void dial(std::uint16_t port) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            qFatal("connect: %d", errno);
        fds_.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, 1500));
        ::close(fd);
        if (fds_.back() < 0)
            qFatal("dup: %d", errno);
    }

private:
    std::vector<int> fds_;
};

struct Quiet : bine::Protocol {
    explicit Quiet(int& made) { ++made; }
    void connectionLost(const bine::Failure&) override {}
};

/// How often this thread went to sleep of its own accord.
long sleeps() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

} // namespace

class IdleTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void initTestCase() {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = (std::min)(limit.rlim_max, rlim_t(4096));
        ::setrlimit(RLIMIT_NOFILE, &limit);
        // What a process makes once: a port's spare descriptor, the host's wake-ups.
        bine::kit::ReactorHost host;
        connect(host, 1);
    }

    void r256_fiveHundredConnectionsCostNothing() {
        const auto there = connect(host(), 500);
        auto far = reactor().callLater(1h, [] {});
        const auto loop = host().nestedLoop();
        std::uint64_t turns = 0;
        long slept = 0;
        bine::Duration time{};
        // A first timer to be past everything that the connections left to do.
        host().hostTimer(100ms, [&] {
            host().hostTimer(5s, [&] {
                turns = reactor().stats().turns - turns;
                slept = sleeps() - slept;
                time = bine::kit::cpuTimeOfThread() - time;
                loop->quit();
            });
            turns = reactor().stats().turns;
            slept = sleeps();
            time = bine::kit::cpuTimeOfThread();
        });
        QVERIFY(loop->exec());
        far.cancel();
        // The timer that ends it is the reactor's own where the reactor is the loop.
        QVERIFY2(turns <= (host().hosted() ? 0u : 1u), qPrintable(QString("%1 turns").arg(turns)));
        QVERIFY2(slept <= 3, qPrintable(QString("woken %1 times").arg(slept)));
        QVERIFY2(time < 20ms, qPrintable(QString("%1 us").arg(time / 1us)));
    }

private:
    struct Connections {
        int made = 0;
        bine::ListeningPort port;
        Peers peers;
    };
    static std::unique_ptr<Connections> connect(bine::kit::ReactorHost& host, int n) {
        auto there = std::make_unique<Connections>();
        there->port = bine::listenTCP(host.reactor(), 0, bine::Factory::forProtocol<Quiet>(std::ref(there->made)),
                                      bine::TCPServerOptions().listenOn("127.0.0.1"));
        for (int i = 0; i < n; ++i) {
            there->peers.dial(there->port.getHost().port());
            if (!host.spinUntil([&] { return there->made > i; }))
                qFatal("a connection was not accepted");
        }
        return there;
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<IdleTest>(argc, argv); }
#include "idle.moc"
