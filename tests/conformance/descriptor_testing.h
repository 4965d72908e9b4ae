#pragma once
// What the tests of descriptors share.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "bine/reactors/descriptor.h"
#include "bine/reactors/errors.h"
#include "kit/reactor_test.h"

/// Closed at its end.
class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&&) = delete;
    ~Fd() { close(); }
    operator int() const { return fd_; }
    void close() {
        if (fd_ >= 0)
            ::close(std::exchange(fd_, -1));
    }
    void send(std::string_view text) const {
        if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            qFatal("write: %d", errno);
    }

private:
    int fd_;
};

/// near is for the reactor, far for the test.
struct Pair {
    Fd near, far;

    static Pair sockets() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            qFatal("socketpair: %d", errno);
        return {Fd(ends[0]), Fd(ends[1])};
    }
    /// To be read in the reactor.
    static Pair pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            qFatal("pipe: %d", errno);
        return {Fd(ends[0]), Fd(ends[1])};
    }
    /// To be written in the reactor.
    static Pair pipeOut() {
        Pair ends = pipe();
        return {std::move(ends.far), std::move(ends.near)};
    }
};

/// A regular file without a name.
inline Fd file(std::string_view text = {}) {
    char name[] = "/tmp/bine-XXXXXX";
    const int fd = ::mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        qFatal("mkostemp: %d", errno);
    ::unlink(name);
    Fd result(fd);
    result.send(text);
    ::lseek(fd, 0, SEEK_SET);
    return result;
}

inline std::string take(int fd, std::size_t most = 4096) {
    std::string text(most, '\0');
    const ssize_t n = ::read(fd, text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return text;
}

/// Reader and writer, and does what the test says. Without a word it takes what there is. It may die in its callbacks, which are called as copies.
class Probe : public bine::ReadWriteDescriptor {
public:
    explicit Probe(int fd) : fd(fd) {}

    int fileno() const override {
        ++asked;
        const auto call = onFileno;
        return call ? call() : fd;
    }
    bine::IoResult doRead() override {
        const Inside inside(*this);
        ++reads;
        if (const auto call = onRead)
            return call();
        text += take(fd);
        return {};
    }
    bine::IoResult doWrite() override {
        const Inside inside(*this);
        ++writes;
        const auto call = onWrite;
        return call ? call() : bine::IoResult();
    }
    void connectionLost(const bine::Failure& reason) override {
        losses.push_back(reason);
        if (const auto call = onLost)
            call(reason);
    }
    std::string logPrefix() const override { return "probe"; }

    template <class E>
    bool lost() const {
        if (losses.size() != 1)
            return false;
        const std::exception& reason = *losses.front().exception();
        return typeid(reason) == typeid(E);
    }

    int fd;
    std::function<int()> onFileno;
    std::function<bine::IoResult()> onRead, onWrite;
    std::function<void(const bine::Failure&)> onLost;
    mutable int asked = 0;
    int reads = 0, writes = 0;
    int deepest = 0;
    std::string text;
    std::vector<bine::Failure> losses;

private:
    struct Inside {
        explicit Inside(Probe& probe) : depth(probe.depth_) { probe.deepest = (std::max)(probe.deepest, ++*depth); }
        ~Inside() { --*depth; }
        std::shared_ptr<int> depth; // outlives the probe
    };
    std::shared_ptr<int> depth_ = std::make_shared<int>(0);
};

/// Ends its directions one by one.
class HalfProbe : public Probe, public bine::HalfCloseableDescriptor {
public:
    using Probe::Probe;
    void readConnectionLost(const bine::Failure& reason) override {
        halves.add("read " + word(reason));
        if (const auto call = onHalf)
            call();
    }
    void writeConnectionLost(const bine::Failure& reason) override { halves.add("write " + word(reason)); }
    static std::string word(const bine::Failure& reason) { return reason.check<bine::ConnectionDone>() ? "done" : "?"; }
    bine::kit::Steps halves;
    std::function<void()> onHalf;
};

struct Nameless : bine::ReadDescriptor {
    explicit Nameless(int fd) : fd(fd) {}
    int fileno() const override { return fd; }
    bine::IoResult doRead() override {
        take(fd);
        bine::Logger("test").info("here");
        return {};
    }
    void connectionLost(const bine::Failure&) override {}
    int fd;
};

class DescriptorTest : public bine::kit::ReactorTest {
protected:
    static void directions() {
        QTest::addColumn<bool>("writing");
        QTest::newRow("doRead()") << false;
        QTest::newRow("doWrite()") << true;
    }
    static void ways() {
        QTest::addColumn<bool>("disconnected");
        QTest::newRow("removed") << false;
        QTest::newRow("removed, and its peer gone") << true;
    }

    /// Some turns that do not wait, the first of which starts the reactor.
    void turns() {
        for (int i = 0; i < 5; ++i)
            host().turn();
    }
    /// Until a timer of that length has come.
    void waitFor(std::chrono::milliseconds time) {
        bool over = false;
        reactor().callLater(time, [&] { over = true; });
        QVERIFY(host().spinUntil([&] { return over; }));
    }
};
