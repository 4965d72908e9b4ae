// SharedBytes: one copy for many connections.
#include <QtTest>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "bine/net/memory_transport.h"
#include "bine/net/shared_bytes.h"
#include "bine/net/write_queue.h"
#include "net_testing.h"

static std::size_t allocated = 0;

void* operator new(std::size_t size) {
    allocated += size;
    if (void* memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace bine;
using namespace nettest;
using bine::detail::WriteQueue;

namespace {

/// A client that does not read until it is told to.
class Idler {
public:
    explicit Idler(Port port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int small = 4096;
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port.number()));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    Idler(Idler&& other) noexcept : connected(other.connected), fd_(std::exchange(other.fd_, -1)) {}
    ~Idler() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    void read(std::string& to) const {
        char bytes[65536];
        for (ssize_t n; (n = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
            to.append(bytes, static_cast<std::size_t>(n));
    }
    bool connected = false;

private:
    int fd_;
};

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>('a' + i % 23);
    return text;
}

} // namespace

class SharedBytesTest : public QObject {
    Q_OBJECT

    struct Room {
        explicit Room(std::size_t members) {
            port = listenTCP(reactor, 0, Factory::make([this](const Address&) {
                                 return served.emplace_back(std::make_shared<Heard>());
                             }),
                             TCPServerOptions().listenOn("127.0.0.1").backlog(200));
            for (std::size_t i = 0; i < members; ++i)
                clients.emplace_back(port.getHost().port());
            turnUntil(reactor, [&] { return served.size() == members; });
        }
        std::vector<std::shared_ptr<Heard>> served;
        EpollReactor reactor;
        ListeningPort port;
        std::vector<Idler> clients;
    };

private slots:
    void copiesMeanTheSameBytes() {
        const SharedBytes bytes(std::string("hello"));
        const SharedBytes copy = bytes;
        QCOMPARE(copy.view().data(), bytes.view().data());
        QCOMPARE(copy.view(), std::string_view("hello"));
        QVERIFY(SharedBytes().empty());
        QCOMPARE(SharedBytes("x").size(), std::size_t{1});
    }
    void theQueueSendsThemInOrderWithOthers() {
        int fds[2];
        QCOMPARE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        const SharedBytes large(pattern(WriteQueue::large * 3));
        WriteQueue queue;
        std::string expected, got;
        for (int i = 0; i < 40; ++i) {
            queue.append("small");
            queue.share(large);
            queue.adopt(std::string(WriteQueue::large, 'o'));
            expected += "small" + std::string(large.view()) + std::string(WriteQueue::large, 'o');
        }
        QCOMPARE(queue.size(), expected.size());
        while (!queue.empty()) {
            QCOMPARE(queue.sendTo(fds[0]), 0);
            char bytes[50000];
            for (ssize_t n; (n = ::recv(fds[1], bytes, sizeof bytes, 0)) > 0;)
                got.append(bytes, static_cast<std::size_t>(n));
        }
        QVERIFY(got == expected);
        ::close(fds[0]);
        ::close(fds[1]);
    }
    void aSentPieceIsLetGo() {
        auto text = std::make_unique<SharedBytes>(pattern(WriteQueue::large));
        WriteQueue queue;
        queue.share(*text);
        queue.share(*text);
        const std::string_view view = text->view();
        text.reset();
        queue.consume(WriteQueue::large + 1);
        QCOMPARE(queue.front().data(), view.data() + 1);
        queue.consume(WriteQueue::large);
        QVERIFY(queue.empty());
    }
    void aBroadcastAllocatesNothingPerConnection() {
        constexpr std::size_t members = 100;
        Room room(members);
        QCOMPARE(room.served.size(), members);
        const SharedBytes first(pattern(1 << 20));
        const SharedBytes second(pattern(1 << 20));
        for (const auto& each : room.served)
            for (int i = 0; i < 5; ++i) // more than the kernel takes
                each->transport().write(first);
        const std::size_t before = allocated;
        for (const auto& each : room.served)
            each->transport().write(second);
        const std::size_t cost = allocated - before;
        QVERIFY2(cost < members * 512, qPrintable(QString::number(cost)));
        std::size_t waiting = 0;
        for (const auto& each : room.served)
            waiting += each->transport().buffered() >= second.size();
        QCOMPARE(waiting, members);
        std::string got;
        QVERIFY(turnUntil(room.reactor, [&] {
            room.clients.front().read(got);
            return got.size() >= 10'000;
        }));
        QVERIFY(first.view().starts_with(std::string_view(got).substr(0, 10'000)));
        for (const auto& each : room.served)
            each->transport().abortConnection();
        turn(room.reactor);
    }
    void smallOnesAreJoinedAndAllTransportsTakeThem() {
        const auto transport = std::make_shared<MemoryTransport>();
        const auto protocol = std::make_shared<Heard>();
        protocol->makeConnection(transport);
        SharedBytes word("word");
        protocol->transport().write(word);
        protocol->transport().writeSequence(std::vector<SharedBytes>{word, SharedBytes(), word});
        QCOMPARE(transport->value(), std::string("wordwordword"));
        nullTransport().write(word);
    }
    void afterLoseConnectionTheyAreDropped() {
        Room room(1);
        QCOMPARE(room.served.size(), std::size_t{1});
        Transport& transport = room.served.front()->transport();
        transport.write(SharedBytes(pattern(8 << 20)));
        transport.loseConnection();
        const std::size_t before = transport.buffered();
        transport.write(SharedBytes(pattern(1 << 20)));
        QCOMPARE(transport.buffered(), before);
        transport.abortConnection();
        turn(room.reactor);
    }
};

QTEST_GUILESS_MAIN(SharedBytesTest)
#include "shared_bytes_test.moc"
