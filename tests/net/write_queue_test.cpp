#include <QtTest>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <random>

#include "bine/net/write_queue.h"

using bine::detail::WriteQueue;

namespace {
struct SocketPair {
    SocketPair() {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
            qFatal("socketpair");
    }
    ~SocketPair() {
        for (const int fd : fds)
            if (fd >= 0)
                close(fd);
    }
    std::string read() {
        std::string all(1 << 20, '\0');
        const ssize_t n = ::read(fds[1], all.data(), all.size());
        all.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return all;
    }
    int fds[2];
};
} // namespace

class WriteQueueTest : public QObject {
    Q_OBJECT
private slots:
    void r134_everythingArrivesInOrderWhateverTheSizes() {
        SocketPair sockets;
        WriteQueue queue;
        std::mt19937 random(7);
        std::string sent;
        std::string received;
        for (int round = 0; round < 400; ++round) {
            std::string piece(random() % 4 == 0 ? random() % 100000 : random() % 300,
                              static_cast<char>('a' + round % 26));
            sent += piece;
            switch (random() % 3) {
            case 0: queue.append(piece); break;
            case 1: queue.adopt(std::move(piece)); break;
            default: QCOMPARE(queue.sendTo(sockets.fds[0], piece), 0);
            }
            if (random() % 3) {
                QCOMPARE(queue.sendTo(sockets.fds[0]), 0);
                received += sockets.read();
            }
        }
        while (!queue.empty()) {
            QCOMPARE(queue.sendTo(sockets.fds[0]), 0);
            received += sockets.read();
        }
        received += sockets.read();
        QVERIFY(received == sent);
        QCOMPARE(queue.size(), std::size_t{0});
    }
    void largeStringsAreNotCopied() {
        WriteQueue queue;
        std::string data(WriteQueue::large, 'x');
        const char* where = data.data();
        queue.adopt(std::move(data));
        QCOMPARE(static_cast<const void*>(queue.front().data()), static_cast<const void*>(where));
    }
    void smallWritesAreJoined() {
        WriteQueue queue;
        for (int i = 0; i < 1000; ++i)
            queue.append("0123456789");
        QCOMPARE(queue.front().size(), std::size_t{10000});
    }
    void consumedBytesAreGone() {
        WriteQueue queue;
        for (int i = 0; i < 200; ++i)
            queue.adopt(std::string(WriteQueue::large, static_cast<char>(i)));
        std::size_t left = queue.size();
        while (left > 0) {
            const std::size_t step = (std::min)(left, std::size_t{5000});
            queue.consume(step);
            left -= step;
            QCOMPARE(queue.size(), left);
            if (left != 0)
                QCOMPARE(static_cast<unsigned char>(queue.front()[0]),
                         static_cast<unsigned char>(200 - (left + WriteQueue::large - 1) /
                                                              WriteQueue::large));
        }
        queue.append("again");
        QCOMPARE(std::string(queue.front()), "again");
    }
    void r135_aFullSocketKeepsTheDataAndOthersEnd() {
        SocketPair sockets;
        WriteQueue queue;
        queue.adopt(std::string(4 << 20, 'x'));
        QCOMPARE(queue.sendTo(sockets.fds[0]), 0);
        QVERIFY(!queue.empty());
        QCOMPARE(queue.sendTo(sockets.fds[0]), 0);
        close(std::exchange(sockets.fds[1], -1));
        QCOMPARE(queue.sendTo(sockets.fds[0]), EPIPE); // and no SIGPIPE: r137
    }
};

QTEST_GUILESS_MAIN(WriteQueueTest)
#include "write_queue_test.moc"
