// Contract 2.D, R-051 to R-073: descriptors of the user's own in the reactor; and what say of them.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <stdexcept>
#include <thread>

#include "bine/defer/looping_call.h"
#include "bine/log/log.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/errors.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Failure;
using bine::FileDescriptor;
using bine::IoResult;
using bine::kit::cpuTimeOfThread;
using bine::kit::Steps;
using bine::kit::Wire;

namespace {

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
Fd file(std::string_view text = {}) {
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

std::string take(int fd, std::size_t most = 4096) {
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
    IoResult doRead() override {
        const Inside inside(*this);
        ++reads;
        if (const auto call = onRead)
            return call();
        text += take(fd);
        return {};
    }
    IoResult doWrite() override {
        const Inside inside(*this);
        ++writes;
        const auto call = onWrite;
        return call ? call() : IoResult();
    }
    void connectionLost(const Failure& reason) override {
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
    std::function<IoResult()> onRead, onWrite;
    std::function<void(const Failure&)> onLost;
    mutable int asked = 0;
    int reads = 0, writes = 0;
    int deepest = 0;
    std::string text;
    std::vector<Failure> losses;

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
    void readConnectionLost(const Failure& reason) override {
        halves.add("read " + word(reason));
        if (const auto call = onHalf)
            call();
    }
    void writeConnectionLost(const Failure& reason) override { halves.add("write " + word(reason)); }
    static std::string word(const Failure& reason) { return reason.check<bine::ConnectionDone>() ? "done" : "?"; }
    Steps halves;
    std::function<void()> onHalf;
};

struct Nameless : bine::ReadDescriptor {
    explicit Nameless(int fd) : fd(fd) {}
    int fileno() const override { return fd; }
    IoResult doRead() override {
        take(fd);
        bine::Logger("test").info("here");
        return {};
    }
    void connectionLost(const Failure&) override {}
    int fd;
};

} // namespace

class DescriptorsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // --- Adding and removing

    void r051_aReaderIsCalledWhenItCanRead() {
        const Pair pair = Pair::pipe();
        Probe probe(pair.near);
        reactor().addReader(probe);
        turns();
        QCOMPARE(probe.reads, 0);
        pair.far.send("hello");
        QVERIFY(host().spinUntil([&] { return probe.text == "hello"; }));
        turns();
        QCOMPARE(probe.reads, 1);
        QCOMPARE(probe.writes, 0);
    }

    void r051_aWriterIsCalledWhenItCanWrite() {
        const Pair pair = Pair::pipeOut();
        ::fcntl(pair.near, F_SETFL, O_NONBLOCK);
        while (::write(pair.near, "0123456789", 10) > 0) {}
        Probe probe(pair.near);
        reactor().addWriter(probe);
        turns();
        QCOMPARE(probe.writes, 0);
        take(pair.far, 65536);
        QVERIFY(host().spinUntil([&] { return probe.writes > 0; }));
        QCOMPARE(probe.reads, 0);
    }

    void r051_oneObjectMayBeBoth() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return probe.writes > 2; }));
        QCOMPARE(probe.reads, 0);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return probe.text == "x"; }));
        reactor().removeWriter(probe);
        const int writes = probe.writes;
        pair.far.send("y");
        QVERIFY(host().spinUntil([&] { return probe.text == "xy"; }));
        QCOMPARE(probe.writes, writes);
    }

    void r051_aReaderAndAWriterMayShareANumber() {
        const Pair pair = Pair::sockets();
        Probe reader(pair.near), writer(pair.near);
        reactor().addWriter(writer);
        reactor().addReader(reader);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return reader.text == "x" && writer.writes > 0; }));
        reactor().removeWriter(writer);
        pair.far.send("y");
        QVERIFY(host().spinUntil([&] { return reader.text == "xy"; }));
        QCOMPARE(writer.reads, 0);
        QCOMPARE(reader.writes, 0);
    }

    void r051_aSecondReaderOfANumberIsRefused() {
        const Pair pair = Pair::sockets();
        Probe first(pair.near), second(pair.near);
        reactor().addReader(first);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, reactor().addReader(second));
        QCOMPARE(reactor().getReaders(), std::vector<bine::ReadDescriptor*>{&first});
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return first.text == "x"; }));
        QCOMPARE(second.reads, 0);
    }

    void r052_removedRightAfterItWasAdded() {
        const Pair pair = Pair::sockets();
        const Fd regular = file("text");
        Probe socket(pair.near), disk(regular);
        pair.far.send("x");
        for (Probe* probe : {&socket, &disk}) {
            reactor().addReader(*probe);
            reactor().addWriter(*probe);
            reactor().removeReader(*probe);
            reactor().removeWriter(*probe);
        }
        waitFor(10ms);
        QCOMPARE(socket.reads + socket.writes + disk.reads + disk.writes, 0);
        QVERIFY(socket.losses.empty() && disk.losses.empty());
    }

    void r053_addingTwiceIsAddingOnce() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        reactor().addReader(probe);
        reactor().addReader(probe);
        QCOMPARE(reactor().getReaders().size(), std::size_t(1));
        QCOMPARE(reactor().stats().descriptors, std::size_t(1));
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return probe.text == "x"; }));
        reactor().removeReader(probe);
        QCOMPARE(reactor().stats().descriptors, std::size_t(0));
        pair.far.send("y");
        turns();
        QCOMPARE(probe.reads, 1);
    }

    void r053_removingAStrangerDoesNothing() {
        const Pair pair = Pair::sockets();
        Probe stranger(pair.near), writer(pair.near);
        reactor().removeReader(stranger);
        reactor().addWriter(writer);
        reactor().removeReader(writer);
        reactor().removeReader(stranger);
        reactor().removeWriter(stranger);
        QCOMPARE(reactor().getWriters(), std::vector<bine::WriteDescriptor*>{&writer});
        QCOMPARE(stranger.asked, 0);
        const auto other = host().anotherReactor();
        other->removeWriter(writer);
        QVERIFY_THROWS_EXCEPTION(std::logic_error, other->addWriter(writer));
        QVERIFY(host().spinUntil([&] { return writer.writes > 0; }));
    }

    void r053_itFollowsItsNumber() {
        const Pair first = Pair::sockets(), second = Pair::sockets();
        Probe probe(first.near);
        reactor().addReader(probe);
        probe.fd = second.near;
        reactor().addWriter(probe);
        first.far.send("lost");
        second.far.send("x");
        QVERIFY(host().spinUntil([&] { return probe.text == "x" && probe.writes > 0; }));
        QCOMPARE(reactor().stats().descriptors, std::size_t(1));
        QVERIFY(probe.losses.empty());
    }

    void r054_theSetsAreToldExactly() {
        const Pair one = Pair::sockets(), two = Pair::sockets();
        const Fd regular = file();
        Probe a(one.near), b(two.near), c(regular);
        const Wire wire(reactor(), [](std::string) {});
        using Readers = std::vector<bine::ReadDescriptor*>;
        using Writers = std::vector<bine::WriteDescriptor*>;
        QCOMPARE(reactor().getReaders(), Readers());
        reactor().addReader(a);
        reactor().addReader(b);
        reactor().addWriter(b);
        reactor().addWriter(c);
        QCOMPARE(reactor().getReaders(), (Readers{&a, &b}));
        QCOMPARE(reactor().getWriters(), (Writers{&b, &c}));
        reactor().removeReader(a);
        reactor().removeWriter(c);
        QCOMPARE(reactor().getReaders(), Readers{&b});
        QCOMPARE(reactor().getWriters(), Writers{&b});
        {
            Probe shortLived(one.near);
            reactor().addReader(shortLived);
            QCOMPARE(reactor().getReaders(), (Readers{&shortLived, &b}));
        }
        QCOMPARE(reactor().getReaders(), Readers{&b});
    }

    void r054_removeAllSparesWhatIsTheReactors() {
        const Pair one = Pair::sockets(), two = Pair::sockets();
        const Fd regular = file("text");
        Probe a(one.near), b(two.near), c(regular);
        std::string heard;
        Wire wire(reactor(), [&](std::string text) { heard += text; });
        reactor().addReader(a);
        reactor().addReader(b);
        reactor().addWriter(b);
        reactor().addReader(c);
        auto removed = reactor().removeAll();
        std::sort(removed.begin(), removed.end());
        std::vector<FileDescriptor*> expected{&a, &b, &c};
        std::sort(expected.begin(), expected.end());
        QCOMPARE(removed, expected);
        QVERIFY(reactor().getReaders().empty() && reactor().getWriters().empty());
        QVERIFY(reactor().removeAll().empty());
        one.far.send("x");
        wire.send("y");
        bool called = false;
        std::jthread other([&] { reactor().callFromThread([&] { called = true; }); });
        QVERIFY(host().spinUntil([&] { return called && heard == "y"; }));
        waitFor(5ms);
        QCOMPARE(a.reads + b.writes + c.reads, 0);
        QVERIFY(a.losses.empty() && b.losses.empty() && c.losses.empty());
    }

    void r055_filenoIsNotAskedAfterTheRemoval() {
        Pair pair = Pair::sockets();
        Probe probe(pair.near);
        reactor().addReader(probe);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return probe.reads == 1; }));
        pair.far.send("y");
        probe.onRead = [&] {
            reactor().removeReader(probe);
            probe.asked = 0;
            return IoResult();
        };
        QVERIFY(host().spinUntil([&] { return probe.reads == 2; }));
        pair.near.close();
        turns();
        reactor().removeReader(probe);
        QCOMPARE(probe.asked, 0);
    }

    // --- Numbers that change their meaning

    void r056_aNumberThatWentAway_data() {
        QTest::addColumn<int>("how");
        QTest::newRow("-1") << 0;
        QTest::newRow("throws") << 1;
        QTest::newRow("another number") << 2;
    }

    void r056_aNumberThatWentAway() {
        QFETCH(int, how);
        const Pair pair = Pair::sockets(), unrelated = Pair::sockets();
        const Fd regular = file("text");
        Probe socket(pair.near), disk(regular), other(unrelated.near);
        for (Probe* probe : {&socket, &disk}) {
            reactor().addReader(*probe);
            probe->onFileno = [&, how]() -> int {
                if (how == 1)
                    throw std::runtime_error("no idea");
                return how == 0 ? -1 : static_cast<int>(pair.far);
            };
        }
        reactor().addReader(other);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return !socket.losses.empty() && !disk.losses.empty(); }));
        QVERIFY(socket.lost<bine::ConnectionFdescWentAway>());
        QVERIFY(disk.lost<bine::ConnectionFdescWentAway>());
        if (how == 1)
            QVERIFY(socket.losses.front().getErrorMessage().find("no idea") != std::string::npos);
        QCOMPARE(socket.reads + disk.reads, 0);
        QCOMPARE(reactor().getReaders(), std::vector<bine::ReadDescriptor*>{&other});
        unrelated.far.send("y");
        QVERIFY(host().spinUntil([&] { return other.text == "y"; }));
    }

    void r056_inItsOwnCallback() {
        Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            pair.near.close();
            probe.fd = -1;
            return IoResult();
        };
        reactor().addReader(probe);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.lost<bine::ConnectionFdescWentAway>());
        QCOMPARE(probe.reads, 1);
    }

    void r056_whatIsNoDescriptorIsNotAdded() {
        Pair pair = Pair::sockets();
        Probe none(-1), closed(pair.near), throws(pair.far);
        pair.near.close();
        throws.onFileno = []() -> int { throw std::runtime_error("no idea"); };
        QVERIFY_THROWS_EXCEPTION(bine::ConnectionFdescWentAway, reactor().addReader(none));
        QVERIFY_THROWS_EXCEPTION(bine::ConnectionFdescWentAway, reactor().addWriter(closed));
        QVERIFY_THROWS_EXCEPTION(std::runtime_error, reactor().addReader(throws));
        QVERIFY(reactor().getReaders().empty() && reactor().getWriters().empty());
        turns();
        QVERIFY(none.losses.empty() && closed.losses.empty() && throws.losses.empty());
    }

    void r057_anOldObjectGetsNothingOfANewFile() {
        Pair pair = Pair::pipe();
        const Pair next = Pair::sockets();
        Probe old(pair.near);
        reactor().addReader(old);
        reactor().addWriter(old);
        reactor().removeWriter(old);
        ::dup2(next.near, pair.near);
        next.far.send("for somebody else");
        waitFor(5ms);
        QCOMPARE(old.reads, 0);
        // Where the kernel watches numbers it can be known; epoll watches files.
        const bool known = bine::kit::reactorName() == "poll" || bine::kit::reactorName() == "select";
        QCOMPARE(old.lost<bine::ConnectionFdescWentAway>(), known);
    }

    void r057_aNewcomerTakesTheNumber_data() {
        QTest::addColumn<bool>("knowsIt");
        QTest::newRow("the old one thinks that it is its own") << false;
        QTest::newRow("the old one knows that it went away") << true;
    }

    void r057_aNewcomerTakesTheNumber() {
        QFETCH(bool, knowsIt);
        Pair pair = Pair::sockets();
        const Pair next = Pair::sockets();
        Probe old(pair.near), young(pair.near);
        reactor().addReader(old);
        reactor().addWriter(old);
        ::dup2(next.near, pair.near);
        if (knowsIt)
            old.fd = -1;
        next.far.send("x");
        reactor().addReader(young);
        QVERIFY(old.losses.empty()); // not inside
        QCOMPARE(reactor().getReaders(), std::vector<bine::ReadDescriptor*>{&young});
        QVERIFY(host().spinUntil([&] { return young.text == "x" && !old.losses.empty(); }));
        QVERIFY(old.lost<bine::ConnectionFdescWentAway>());
        QCOMPARE(old.reads + old.writes, 0);
        next.far.send("y");
        QVERIFY(host().spinUntil([&] { return young.text == "xy"; }));
    }

    void r057_theOldOneMayDieBeforeItHears() {
        Pair pair = Pair::sockets();
        const Pair next = Pair::sockets();
        auto old = std::make_unique<Probe>(pair.near);
        Probe young(pair.near);
        reactor().addReader(*old);
        ::dup2(next.near, pair.near);
        reactor().addReader(young);
        old.reset();
        next.far.send("x");
        QVERIFY(host().spinUntil([&] { return young.text == "x"; }));
    }

    void r057_removingTheOldOneLeavesTheNewcomerAlone_data() {
        QTest::addColumn<bool>("both");
        QTest::newRow("the last direction") << true;
        QTest::newRow("one of two") << false;
    }

    void r057_removingTheOldOneLeavesTheNewcomerAlone() {
        QFETCH(bool, both);
        const Pair pair = Pair::sockets();
        Fd number(::fcntl(pair.near, F_DUPFD_CLOEXEC, 0)); // the lowest that is free
        const int lowest = number;
        Probe old(number);
        reactor().addReader(old);
        reactor().addWriter(old);
        number.close();
        std::string heard;
        Wire wire(reactor(), [&](std::string text) { heard += text; });
        QVERIFY(::fcntl(lowest, F_GETFD) >= 0); // the wire has it now
        if (both)
            reactor().removeReader(old);
        reactor().removeWriter(old);
        wire.send("x");
        QVERIFY(host().spinUntil([&] { return heard == "x"; }));
        turns();
        QCOMPARE(old.reads + old.writes, 0);
        QCOMPARE(old.losses.size(), std::size_t(both ? 0 : 1));
    }

    // --- In the same pass

    void r058_removedByAnother_data() { ways(); }

    void r058_removedByAnother() {
        QFETCH(bool, disconnected);
        Pair one = Pair::sockets(), two = Pair::sockets();
        Probe a(one.near), b(two.near);
        const auto ends = [&](Probe& self, Probe& other, Pair& others) {
            return [&, disconnected]() -> IoResult {
                take(self.fd);
                if (disconnected)
                    ::shutdown(others.far, SHUT_RDWR);
                reactor().removeReader(other);
                reactor().removeWriter(other);
                return {};
            };
        };
        a.onRead = ends(a, b, two);
        b.onRead = ends(b, a, one);
        for (Probe* probe : {&a, &b}) {
            reactor().addReader(*probe);
            reactor().addWriter(*probe);
        }
        one.far.send("x");
        two.far.send("x");
        QVERIFY(host().spinUntil([&] { return a.reads + b.reads > 0; }));
        QCOMPARE(a.reads + b.reads, 1);
        const Probe& gone = a.reads ? b : a;
        const int writes = gone.writes;
        turns();
        QCOMPARE(gone.reads, 0);
        QCOMPARE(gone.writes, writes);
    }

    void r058_theOtherOneOfANumber() {
        const Pair pair = Pair::sockets();
        Probe reader(pair.near), writer(pair.near);
        reader.onRead = [&] {
            reactor().removeWriter(writer);
            take(pair.near);
            return IoResult();
        };
        pair.far.send("x");
        reactor().addReader(reader);
        reactor().addWriter(writer);
        QVERIFY(host().spinUntil([&] { return reader.reads == 1; }));
        turns();
        QCOMPARE(writer.writes, 0);
    }

    void r058_whatWasFetchedBeforeADialogIsStale() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            take(pair.near);
            bool full = false;
            reactor().callLater(0s, [&] {
                const std::string block(4096, 'x');
                while (::send(pair.near, block.data(), block.size(), MSG_DONTWAIT) > 0) {}
                full = true;
            });
            host().nestedLoop([&] { return full; });
            return IoResult();
        };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return probe.reads == 1; }));
        turns();
        QCOMPARE(probe.writes, 0); // it could when the pass began
        take(pair.far, 1 << 20);
        QVERIFY(host().spinUntil([&] { return probe.writes > 0; }));
    }

    void r059_itDestroysItself_data() {
        QTest::addColumn<QString>("where");
        QTest::addColumn<bool>("regular");
        for (const char* where : {"doRead", "doWrite", "connectionLost", "readConnectionLost", "fileno"}) {
            QTest::addRow("%s, a socket", where) << QString(where) << false;
            QTest::addRow("%s, a file", where) << QString(where) << true;
        }
    }

    void r059_itDestroysItself() {
        QFETCH(QString, where);
        QFETCH(bool, regular);
        const Pair pair = Pair::sockets();
        const Fd disk = file("text");
        int destroyed = 0;
        auto probe = std::make_unique<HalfProbe>(regular ? disk : pair.near);
        const auto destroy = [&] {
            ++destroyed;
            probe.reset();
            bine::Logger("test").info("it is gone"); // nobody is left to say its prefix
        };
        reactor().addReader(*probe);
        reactor().addWriter(*probe);
        pair.far.send("x");
        if (where == "doRead")
            probe->onRead = [&] { return destroy(), IoResult(std::runtime_error("nobody hears this")); };
        else if (where == "doWrite")
            probe->onWrite = [&] { return destroy(), IoResult(std::runtime_error("nobody hears this")); };
        else if (where == "fileno")
            probe->onFileno = [&] { return destroy(), -1; };
        else if (where == "readConnectionLost") {
            probe->onRead = [] { return IoResult(bine::ConnectionDone()); };
            probe->onHalf = destroy;
        } else {
            probe->onRead = [] { return IoResult(std::runtime_error("the end")); };
            probe->onLost = [&](const Failure&) { destroy(); };
        }
        QVERIFY(host().spinUntil([&] { return destroyed == 1; }));
        turns();
        QCOMPARE(destroyed, 1);
        QVERIFY(reactor().getReaders().empty() && reactor().getWriters().empty());
        QCOMPARE(reactor().stats().descriptors, std::size_t(0));
    }

    void r059_itRemovesItself() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            reactor().removeReader(probe);
            reactor().removeWriter(probe);
            return IoResult();
        };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return probe.reads == 1; }));
        const int writes = probe.writes;
        turns();
        QCOMPARE(probe.reads, 1);
        QCOMPARE(probe.writes, writes);
        QVERIFY(probe.losses.empty());
        probe.onRead = nullptr;
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return probe.text == "x"; }));
    }

    void r060_addedInTheSamePassItIsNotCalledForWhatIsGone() {
        // The descriptor blocks: a call without something to read would never return. `other` comes first in the pass, unless somebody shuffles the events.
        const Pair trigger = Pair::sockets(), pair = Pair::sockets();
        Probe other(trigger.near), first(pair.near), second(pair.near), writer(pair.near);
        writer.onWrite = [&] {
            reactor().removeWriter(writer); // it kept the number in the set
            return IoResult();
        };
        other.onRead = [&] {
            take(trigger.near);
            if (first.text.empty())
                first.text += take(pair.near);
            reactor().removeReader(first);
            reactor().addReader(second);
            return IoResult();
        };
        trigger.far.send("x");
        pair.far.send("x");
        reactor().addReader(other);
        reactor().addReader(first);
        reactor().addWriter(writer);
        QVERIFY(host().spinUntil([&] { return other.reads == 1; }));
        turns();
        QCOMPARE(second.reads, 0);
        pair.far.send("y");
        QVERIFY(host().spinUntil([&] { return second.text == "y"; }));
    }

    void r060_manyComeAndGoInOnePass() {
        std::deque<Pair> pairs;
        std::vector<std::unique_ptr<Probe>> probes(50);
        unsigned random = 1;
        int calls = 0;
        const auto next = [&] { return (random = random * 1103515245 + 12345) >> 16; };
        std::function<IoResult()> shuffle = [&]() -> IoResult {
            ++calls;
            for (int i = 0; i < 3; ++i) {
                const std::size_t at = next() % probes.size();
                probes[at] = next() % 4 ? std::make_unique<Probe>(pairs[at].near) : nullptr;
                if (!probes[at])
                    continue;
                probes[at]->onRead = [&shuffle] { return shuffle(); };
                reactor().addReader(*probes[at]);
            }
            return {};
        };
        for (auto& probe : probes) {
            pairs.push_back(Pair::sockets());
            pairs.back().far.send("x"); // never read
            probe = std::make_unique<Probe>(pairs.back().near);
            probe->onRead = [&shuffle] { return shuffle(); };
            reactor().addReader(*probe);
        }
        QVERIFY(host().spinUntil([&] { return calls > 500; }));
        for (auto& probe : probes)
            probe.reset();
        QCOMPARE(reactor().stats().descriptors, std::size_t(0));
    }

    // --- The end

    void r061_anErrorThatIsReturnedDisconnects_data() { directions(); }

    void r061_anErrorThatIsReturnedDisconnects() {
        QFETCH(bool, writing);
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        const Failure reason(std::runtime_error("had enough"));
        (writing ? probe.onWrite : probe.onRead) = [&] { return IoResult(reason); };
        bool inSet = true;
        probe.onLost = [&](const Failure&) { inSet = !reactor().getReaders().empty() || !reactor().getWriters().empty(); };
        pair.far.send("x");
        reactor().addReader(probe);
        if (writing)
            reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        turns();
        QCOMPARE(probe.losses.size(), std::size_t(1));
        QVERIFY(probe.losses.front() == reason);
        QVERIFY(!inSet);
        QVERIFY(::fcntl(pair.near, F_GETFD) >= 0); // never closed
    }

    void r061_nothingIsWell() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [] { return IoResult(Failure()); };
        pair.far.send("x");
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return probe.reads > 3; }));
        QVERIFY(probe.losses.empty());
    }

    void r061_alsoIfItRemovedItself() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            reactor().removeReader(probe);
            return IoResult(bine::ConnectionDone());
        };
        pair.far.send("x");
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.lost<bine::ConnectionDone>());
    }

    void r062_anExceptionIsLoggedAndDisconnects_data() { directions(); }

    void r062_anExceptionIsLoggedAndDisconnects() {
        QFETCH(bool, writing);
        const Pair pair = Pair::sockets(), unrelated = Pair::sockets();
        Probe probe(pair.near), other(unrelated.near);
        (writing ? probe.onWrite : probe.onRead) = []() -> IoResult { throw std::range_error("no luck"); };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addReader(other);
        if (writing)
            reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.lost<std::range_error>());
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY2(errors.front().find("no luck") != std::string::npos, errors.front().c_str());
        unrelated.far.send("y");
        QVERIFY(host().spinUntil([&] { return other.text == "y"; }));
    }

    void r062_evenOneThatIsNoException() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = []() -> IoResult { throw 42; };
        pair.far.send("x");
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.losses.front().check<int>());
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r062_anExceptionOutOfConnectionLostIsLogged() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [] { return IoResult(bine::ConnectionDone()); };
        probe.onLost = [](const Failure&) { throw std::runtime_error("no luck"); };
        pair.far.send("x");
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        turns();
        QCOMPARE(probe.losses.size(), std::size_t(1));
    }

    void r063_readingGoesBeforeWriting() {
        for (const bool regular : {false, true}) {
            const Pair pair = Pair::sockets();
            const Fd disk = file("text");
            Probe probe(regular ? disk : pair.near);
            Steps steps;
            probe.onRead = [&] { return steps.add("read"), IoResult(); };
            probe.onWrite = [&] { return steps.add("write"), IoResult(); };
            pair.far.send("x");
            reactor().addWriter(probe);
            reactor().addReader(probe);
            QVERIFY(host().spinUntil([&] { return probe.writes == 2; }));
            QCOMPARE(steps.text(), "read write read write");
        }
    }

    void r063_noWritingIfReadingEndedIt() {
        for (const bool regular : {false, true}) {
            const Pair pair = Pair::sockets();
            const Fd disk = file("text");
            Probe probe(regular ? disk : pair.near);
            probe.onRead = [] { return IoResult(bine::ConnectionDone()); };
            pair.far.send("x");
            reactor().addWriter(probe);
            reactor().addReader(probe);
            QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
            turns();
            QCOMPARE(probe.writes, 0);
            QVERIFY(probe.lost<bine::ConnectionDone>());
        }
    }

    void r064_aHangUpIsACleanEndForOneThatReads() {
        Pair pair = Pair::pipe();
        Probe probe(pair.near);
        reactor().addReader(probe);
        turns();
        pair.far.close();
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.lost<bine::ConnectionDone>());
        QCOMPARE(probe.reads, 0);
        QVERIFY(reactor().getReaders().empty());
    }

    void r064_aHangUpIsALossForOneThatDoesNot() {
        Pair pair = Pair::pipeOut();
        Probe probe(pair.near);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return probe.writes > 0; }));
        pair.far.close();
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.lost<bine::ConnectionLost>());
        QVERIFY(reactor().getWriters().empty());
    }

    void r064_eachOfTwoHearsItsOwn() {
        Pair pair = Pair::pipe();
        Probe reader(pair.near), writer(pair.near);
        reactor().addReader(reader);
        reactor().addWriter(writer);
        pair.far.close();
        QVERIFY(host().spinUntil([&] { return !reader.losses.empty() && !writer.losses.empty(); }));
        QVERIFY(reader.lost<bine::ConnectionDone>());
        QVERIFY(writer.lost<bine::ConnectionLost>());
    }

    void r064_halfClose_data() {
        QTest::addColumn<bool>("hangUp");
        QTest::newRow("by a hang-up") << true;
        QTest::newRow("by what doRead() returns") << false;
    }

    void r064_halfClose() {
        QFETCH(bool, hangUp);
        Pair pair = hangUp ? Pair::pipe() : Pair::sockets();
        HalfProbe probe(pair.near);
        probe.onRead = [&] {
            if (take(pair.near).empty())
                return IoResult(bine::ConnectionDone());
            return IoResult();
        };
        reactor().addReader(probe);
        if (!hangUp)
            reactor().addWriter(probe);
        if (hangUp)
            pair.far.close();
        else
            ::shutdown(pair.far, SHUT_WR);
        QVERIFY(host().spinUntil([&] { return !probe.halves.text().isEmpty(); }));
        QCOMPARE(probe.halves.text(), "read done");
        QVERIFY(reactor().getReaders().empty());
        QVERIFY(probe.losses.empty());
        if (hangUp)
            return;
        const int writes = probe.writes;
        QVERIFY(host().spinUntil([&] { return probe.writes > writes + 2; })); // the other direction goes on
        probe.onWrite = [] { return IoResult(bine::ConnectionDone()); };
        QVERIFY(host().spinUntil([&] { return reactor().getWriters().empty(); }));
        QCOMPARE(probe.halves.text(), "read done write done");
        QVERIFY(probe.losses.empty());
    }

    void r064_otherErrorsEndBothHalves() {
        const Pair pair = Pair::sockets();
        HalfProbe probe(pair.near);
        probe.onRead = [] { return IoResult(bine::ConnectionLost()); };
        reactor().addReader(probe);
        reactor().addWriter(probe);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QCOMPARE(probe.halves.text(), "");
        QVERIFY(reactor().getWriters().empty());
    }

    void r064_whatHalfCloseThrowsIsTheEnd() {
        const Pair pair = Pair::sockets();
        HalfProbe probe(pair.near);
        probe.onRead = [] { return IoResult(bine::ConnectionDone()); };
        probe.onHalf = [] { throw std::runtime_error("no luck"); };
        reactor().addReader(probe);
        reactor().addWriter(probe);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QVERIFY(probe.lost<std::runtime_error>());
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        QVERIFY(reactor().getWriters().empty());
    }

    void r065_dataComesBeforeTheEnd() {
        Pair pair = Pair::pipe();
        Probe probe(pair.near);
        Steps steps;
        probe.onRead = [&] { return steps.add(take(pair.near, 2)), IoResult(); };
        probe.onLost = [&](const Failure& reason) { steps.add(reason.check<bine::ConnectionDone>() ? "done" : "lost"); };
        pair.far.send("aabb");
        pair.far.close();
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QCOMPARE(steps.text(), "aa bb done");
    }

    void r066_atShutdownEveryOneHearsOfIt() {
        const Pair one = Pair::sockets(), two = Pair::sockets();
        const Fd regular = file("text");
        Probe a(one.near), b(two.near), c(regular);
        a.onLost = [&](const Failure&) {
            QVERIFY(!reactor().running());
            throw std::runtime_error("no luck");
        };
        Steps steps;
        c.onLost = [&](const Failure&) { steps.add("lost"); };
        watchPhases(reactor(), "shutdown", steps);
        reactor().addReader(a);
        reactor().addReader(b);
        reactor().addWriter(b);
        reactor().addReader(c);
        reactor().callLater(5ms, [&] { reactor().stop(); });
        run();
        for (Probe* probe : {&a, &b, &c})
            QVERIFY(probe->lost<bine::ConnectionLost>());
        QCOMPARE(steps.text(), "before-shutdown lost during-shutdown after-shutdown");
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        QVERIFY(reactor().removeAll().empty());
    }

    void r066_oneThatIsAddedAgainEndsAgain() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onLost = [&](const Failure&) {
            if (probe.losses.size() < 3)
                reactor().addReader(probe);
        };
        reactor().addReader(probe);
        runToTheEnd();
        QCOMPARE(probe.losses.size(), std::size_t(3));
    }

    void r066_theReactorDies() {
        const Pair pair = Pair::sockets();
        const Fd regular = file("text");
        Probe a(pair.near), b(regular);
        int refused = 0;
        a.onLost = b.onLost = [&](const Failure&) { ++refused; };
        reactor().addReader(a);
        reactor().addWriter(a);
        reactor().addReader(b);
        host().destroyReactor(); // never ran
        QVERIFY(a.lost<bine::ConnectionLost>());
        QVERIFY(b.lost<bine::ConnectionLost>());
        QCOMPARE(refused, 2);
        QVERIFY(::fcntl(pair.near, F_GETFD) >= 0);
        QVERIFY(::fcntl(regular, F_GETFD) >= 0);
        reactor().addReader(a); // in the next one
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return a.text == "x"; }));
    }

    void r066_theReactorDiesInACallback_data() {
        QTest::addColumn<bool>("regular");
        QTest::newRow("of a socket") << false;
        QTest::newRow("of a file") << true;
    }

    void r066_theReactorDiesInACallback() {
        QFETCH(bool, regular);
        const Pair pair = Pair::sockets();
        const Fd disk = file("text");
        auto doomed = host().anotherReactor();
        Probe probe(regular ? disk : pair.near), other(regular ? pair.near : disk);
        Steps steps;
        probe.onRead = [&] {
            doomed.reset();
            steps.add("dead");
            return IoResult(std::runtime_error("too late"));
        };
        probe.onLost = [&](const Failure&) { steps.add("lost"); };
        other.onLost = [&](const Failure&) { steps.add("other"); };
        pair.far.send("x");
        doomed->addReader(probe);
        doomed->addWriter(probe);
        doomed->addReader(other);
        other.onRead = [] { return IoResult(); };
        if (host().hosted())
            QVERIFY(host().spinUntil([&] { return !doomed; }));
        else
            doomed->run();
        QCOMPARE(steps.text(), "other dead lost");
        QVERIFY(probe.lost<bine::ConnectionLost>());
        QCOMPARE(probe.writes, 0);
    }

    void r031_r066_oneWhoseCallbackIsOnTheStackHearsItWhenThatReturns() {
        const Pair pair = Pair::sockets();
        HalfProbe probe(pair.near);
        Steps steps;
        probe.onRead = [&] {
            const auto loop = host().nestedLoop();
            reactor().addSystemEventTrigger("after", "shutdown", [&] { loop->quit(); });
            reactor().stop();
            loop->exec();
            steps.add(reactor().getReaders().empty() ? "out" : "in");
            return IoResult(bine::ConnectionDone()); // too late
        };
        probe.onLost = [&](const Failure&) { steps.add("lost"); };
        pair.far.send("x");
        reactor().addReader(probe);
        run();
        QCOMPARE(steps.text(), "out lost");
        QVERIFY(probe.lost<bine::ConnectionLost>());
        QCOMPARE(probe.halves.text(), "");
    }

    // --- Regular files

    void r067_aRegularFileIsRead() {
        const Fd disk = file(std::string(10'000, 'x'));
        Probe probe(disk);
        std::size_t size = 0;
        probe.onRead = [&]() -> IoResult {
            const std::string piece = take(disk);
            size += piece.size();
            if (piece.empty())
                return bine::ConnectionDone();
            return {};
        };
        reactor().addReader(probe);
        QCOMPARE(reactor().getReaders(), std::vector<bine::ReadDescriptor*>{&probe});
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QCOMPARE(size, std::size_t(10'000));
        QVERIFY(probe.lost<bine::ConnectionDone>());
    }

    void r067_theClassicProgram() {
        // A reader of the input, a writer of a regular file, and a clock: it may not occupy the processor.
        const Pair input = Pair::pipe();
        const Fd disk = file();
        Probe reader(input.near), journal(disk);
        journal.onWrite = [&] {
            disk.send("x");
            return IoResult();
        };
        reactor().addReader(reader);
        reactor().addWriter(journal);
        int ticks = 0;
        bine::LoopingCall clock(reactor(), [&] {
            if (++ticks == 2)
                input.far.send("hello");
        });
        bine::TimePoint start;
        std::uint64_t turnsBefore = 0;
        std::chrono::nanoseconds cpu{};
        reactor().callWhenRunning([&] {
            clock.start(20ms);
            start = reactor().now();
            turnsBefore = reactor().stats().turns;
            cpu = cpuTimeOfThread();
        });
        reactor().callLater(300ms, [&] { // the length of what is looked at
            const auto milliseconds = static_cast<int>((reactor().now() - start) / 1ms);
            const auto used = reactor().stats().turns - turnsBefore;
            cpu = cpuTimeOfThread() - cpu;
            QVERIFY2(journal.writes > 3, qPrintable(QString::number(journal.writes)));
            QVERIFY2(journal.writes <= milliseconds + 1, qPrintable(QString::number(journal.writes)));
            QVERIFY2(used <= 4u * static_cast<unsigned>(milliseconds) + 50, qPrintable(QString::number(used)));
            QVERIFY2(cpu < (reactor().now() - start) / 2, qPrintable(QString::number(cpu.count())));
            QCOMPARE(reader.text, std::string("hello"));
            clock.stop();
            reactor().stop();
        });
        run();
        QVERIFY(ticks > 2);
        QVERIFY(journal.lost<bine::ConnectionLost>());
    }

    void r067_noneIsServedTwiceBeforeAllAreServedOnce() {
        std::deque<Fd> files;
        std::deque<Probe> probes;
        std::map<std::uint64_t, int> inTurn;
        for (int i = 0; i < 20; ++i) {
            Probe& probe = probes.emplace_back(files.emplace_back(file("x")));
            probe.onRead = [&] {
                ++inTurn[reactor().stats().turns];
                return IoResult();
            };
            reactor().addReader(probe);
        }
        reactor().setTurnBudget(0s);
        QCOMPARE(reactor().getDelayedCalls().size(), std::size_t(0));
        QCOMPARE(reactor().stats().delayedCalls, std::size_t(0));
        QVERIFY(host().spinUntil([&] { return probes.back().reads == 3; }));
        for (const Probe& probe : probes)
            QVERIFY2(probe.reads >= 2 && probe.reads <= 4, qPrintable(QString::number(probe.reads)));
        for (const auto& [turn, files] : inTurn)
            QCOMPARE(files, 1); // no more than the budget
    }

    void r067_withoutOneNothingWakesTheLoop() {
        const Fd disk = file("x");
        {
            Probe first(disk), second(disk);
            reactor().addReader(first);
            reactor().addWriter(second);
            reactor().removeReader(first);
            QVERIFY(host().spinUntil([&] { return second.writes > 0; }));
        }
        std::uint64_t used = 0;
        std::jthread other;
        reactor().callLater(20ms, [&] {
            used = reactor().stats().turns;
            other = std::jthread([&] {
                std::this_thread::sleep_for(150ms); // the length of the sleep that is looked at
                reactor().callFromThread([&] {
                    used = reactor().stats().turns - used;
                    reactor().stop();
                });
            });
        });
        if (host().hosted())
            host().nestedLoop([&] { return !reactor().running(); });
        else
            while (reactor().running())
                reactor().iterate(1h);
        QVERIFY2(used <= 2, qPrintable(QString::number(used)));
    }

    void r067_aFileLeftAloneInItsOwnDialogCostsNothing() {
        const Fd disk = file("x"), another = file("x");
        Probe busy(disk), other(another);
        other.onRead = [] { return IoResult(); };
        bool goneOn = false;
        busy.onRead = [&]() -> IoResult {
            if (goneOn)
                return {};
            const int before = other.reads;
            goneOn = host().nestedLoop([&] { return other.reads > before + 3; });
            return {};
        };
        reactor().addReader(busy);
        reactor().addReader(other);
        QVERIFY(host().spinUntil([&] { return goneOn; }));
        QCOMPARE(busy.deepest, 1);
        const int reads = busy.reads;
        QVERIFY(host().spinUntil([&] { return busy.reads > reads + 2; })); // and is served again
    }

    void r067_whatElseTheKernelCannotWaitFor() {
        const Fd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        Probe folder(directory), sink(null);
        reactor().addReader(folder);
        reactor().addReader(sink);
        reactor().addWriter(sink);
        QVERIFY(host().spinUntil([&] { return folder.reads > 1 && sink.writes > 1 && sink.reads > 1; }));
        reactor().removeReader(sink);
        const int reads = sink.reads, writes = sink.writes;
        QVERIFY(host().spinUntil([&] { return sink.writes > writes + 1; }));
        QCOMPARE(sink.reads, reads);
    }

    // --- The kernel's ways

    void r068_numbersBeyondThoseOfSelect() {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        const rlimit before = limit;
        limit.rlim_cur = (std::min<rlim_t>)(limit.rlim_max, FD_SETSIZE + 100);
        ::setrlimit(RLIMIT_NOFILE, &limit);
        {
            const Pair pair = Pair::sockets();
            const Fd high(::fcntl(pair.near, F_DUPFD_CLOEXEC, FD_SETSIZE));
            QVERIFY(high >= FD_SETSIZE);
            Probe probe(high), low(pair.near);
            if (bine::kit::reactorName() == "select") {
                QVERIFY_THROWS_EXCEPTION(std::out_of_range, reactor().addReader(probe));
                QVERIFY_THROWS_EXCEPTION(std::out_of_range, reactor().addWriter(probe));
                QVERIFY(reactor().getReaders().empty() && reactor().getWriters().empty());
                QCOMPARE(reactor().stats().descriptors, std::size_t(0));
                reactor().addReader(low);
                pair.far.send("x");
                QVERIFY(host().spinUntil([&] { return low.text == "x"; }));
                QVERIFY(probe.losses.empty());
            } else {
                reactor().addReader(probe);
                pair.far.send("x");
                QVERIFY(host().spinUntil([&] { return probe.text == "x"; }));
            }
        }
        ::setrlimit(RLIMIT_NOFILE, &before);
    }

    void r069_aSignalIsInvisible() {
        struct sigaction action {}, old {};
        action.sa_handler = [](int) {}; // and no SA_RESTART
        ::sigaction(SIGUSR1, &action, &old);
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        reactor().addReader(probe);
        const pthread_t self = ::pthread_self();
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                for (int i = 0; i < 50; ++i) {
                    ::pthread_kill(self, SIGUSR1);
                    std::this_thread::sleep_for(200us);
                }
                pair.far.send("x");
            });
        });
        probe.onRead = [&] {
            probe.text += take(pair.near);
            reactor().stop();
            return IoResult();
        };
        run();
        other.join();
        QCOMPARE(probe.text, std::string("x"));
        QCOMPARE(probe.reads, 1);
        ::sigaction(SIGUSR1, &old, nullptr);
    }

    void r070_aBadDescriptorCostsNobodyElse() {
        Pair one = Pair::sockets(), two = Pair::sockets();
        const Pair three = Pair::sockets();
        Probe culprit(one.near), writer(two.near), other(three.near);
        reactor().addReader(culprit);
        reactor().addWriter(writer);
        reactor().addReader(other);
        one.near.close();
        two.near.close();
        three.far.send("x");
        QVERIFY(host().spinUntil([&] { return other.text == "x"; }));
        turns();
        // epoll takes closed descriptors out by itself, and does not tell.
        const bool told = bine::kit::reactorName() == "poll" || bine::kit::reactorName() == "select";
        for (const Probe* bad : {&culprit, &writer}) {
            QCOMPARE(bad->reads + bad->writes, 0);
            QCOMPARE(bad->lost<bine::ConnectionFdescWentAway>(), told);
        }
        QCOMPARE(reactor().getReaders().size(), std::size_t(told ? 1 : 2));
        three.far.send("y");
        QVERIFY(host().spinUntil([&] { return other.text == "xy"; }));
        const auto used = reactor().stats().turns;
        turns();
        QVERIFY(reactor().stats().turns - used <= 10); // what is bad does not keep it awake
    }

    void r071_thePrefixLabelsWhatIsLogged() {
        std::vector<std::string> prefixes;
        const auto listening = bine::addLogObserver([&](const bine::LogEvent& event) {
            if (event.logNamespace == "test" || event.failure)
                prefixes.push_back(event.prefix);
        });
        const bine::Logger log("test");
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            log.info("reading");
            return IoResult();
        };
        probe.onWrite = [&]() -> IoResult {
            log.info("writing");
            throw std::runtime_error("no luck");
        };
        probe.onLost = [&](const Failure&) { log.info("lost"); };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        log.info("outside");
        QCOMPARE(prefixes, (std::vector<std::string>{"probe", "probe", "probe", "probe", ""}));
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r071_withoutOneItIsTheNameOfTheClass() {
        std::string prefix;
        const auto listening = bine::addLogObserver([&](const bine::LogEvent& event) { prefix = event.prefix; });
        const Pair pair = Pair::sockets();
        Nameless nameless(pair.near);
        pair.far.send("x");
        reactor().addReader(nameless);
        QVERIFY(host().spinUntil([&] { return !prefix.empty(); }));
        QVERIFY2(prefix.ends_with("Nameless"), prefix.c_str());
    }

    void r072_whoLeavesDataIsCalledAgain() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            probe.text += take(pair.near, 1);
            return IoResult();
        };
        pair.far.send("abc");
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return probe.text == "abc"; }));
        turns();
        QCOMPARE(probe.reads, 3);
    }

    void r073_oneCallInAPass() {
        const Pair one = Pair::sockets(), two = Pair::sockets();
        Probe greedy(one.near), modest(two.near);
        std::vector<std::uint64_t> turnsOfGreedy;
        greedy.onRead = [&] {
            turnsOfGreedy.push_back(reactor().stats().turns);
            return IoResult();
        };
        one.far.send("x"); // never read
        reactor().addReader(greedy);
        reactor().addReader(modest);
        QVERIFY(host().spinUntil([&] { return greedy.reads > 5; }));
        two.far.send("x");
        int timers = 0;
        reactor().callLater(0s, [&] { ++timers; });
        const int before = greedy.reads;
        QVERIFY(host().spinUntil([&] { return modest.reads == 1 && timers == 1; }));
        QVERIFY2(greedy.reads <= before + 5, qPrintable(QString::number(greedy.reads - before)));
        for (std::size_t i = 1; i < turnsOfGreedy.size(); ++i)
            QVERIFY(turnsOfGreedy[i] > turnsOfGreedy[i - 1]);
    }

    // --- Dialogs and owners

    void r246_inADialogOfItsOwnItHearsNothing_data() { directions(); }

    void r246_inADialogOfItsOwnItHearsNothing() {
        QFETCH(bool, writing);
        const Pair one = Pair::sockets(), two = Pair::sockets();
        Probe busy(one.near), other(two.near);
        Steps steps;
        bool once = false;
        const auto dialog = [&] {
            if (std::exchange(once, true))
                return;
            if (!writing)
                take(one.near);
            one.far.send("b");
            two.far.send("x");
            steps.add(host().nestedLoop([&] { return other.text == "x"; }) ? "in-time" : "late");
            steps.add(busy.reads + busy.writes == 1 ? "alone" : "entered");
        };
        busy.onRead = [&] {
            if (once)
                busy.text += take(one.near);
            dialog();
            return IoResult();
        };
        busy.onWrite = [&] {
            dialog();
            return IoResult();
        };
        reactor().addReader(other);
        if (writing) {
            reactor().addWriter(busy);
            reactor().addReader(busy);
        } else {
            one.far.send("a");
            reactor().addReader(busy);
            reactor().addWriter(busy);
        }
        QVERIFY(host().spinUntil([&] { return busy.text == "b" && busy.writes > 2; }));
        QCOMPARE(steps.text(), "in-time alone");
        QCOMPARE(busy.deepest, 1);
    }

    void r246_theLoopSleepsInADialogOfABusyOne() {
        const Pair pair = Pair::sockets();
        Probe busy(pair.near);
        std::uint64_t used = 0;
        busy.onRead = [&] {
            take(pair.near);
            pair.far.send("again");
            const auto loop = host().nestedLoop();
            reactor().callLater(40ms, [&] { loop->quit(); }); // the length of the dialog
            used = reactor().stats().turns;
            loop->exec();
            used = reactor().stats().turns - used;
            reactor().stop();
            return IoResult();
        };
        pair.far.send("x");
        reactor().addReader(busy);
        reactor().addWriter(busy);
        run();
        QVERIFY2(used < 12, qPrintable(QString::number(used)));
    }

    void r246_anotherObjectOfTheSameNumberGoesOn() {
        const Pair pair = Pair::sockets();
        Probe reader(pair.near), writer(pair.near);
        bool goneOn = false;
        reader.onRead = [&] {
            take(pair.near);
            const int before = writer.writes;
            goneOn = host().nestedLoop([&] { return writer.writes > before + 2; });
            return IoResult();
        };
        reactor().addReader(reader);
        reactor().addWriter(writer);
        pair.far.send("x");
        QVERIFY(host().spinUntil([&] { return goneOn; }));
    }

    void r246_removedInItsOwnDialogItDoesNotWrite() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        bool done = false;
        probe.onRead = [&] {
            reactor().callLater(0s, [&] {
                reactor().removeAll();
                done = true;
            });
            host().nestedLoop([&] { return done; });
            return IoResult();
        };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return done && probe.reads == 1; }));
        turns();
        QCOMPARE(probe.writes, 0);
        QVERIFY(probe.losses.empty());
    }

    void r059_r246_destroyedInItsOwnDialog() {
        const Pair pair = Pair::sockets();
        auto probe = std::make_unique<Probe>(pair.near);
        bool left = false;
        probe->onRead = [&] {
            reactor().callLater(0s, [&] { probe.reset(); });
            host().nestedLoop([&] { return !probe; });
            left = true;
            return IoResult(std::runtime_error("nobody hears this"));
        };
        pair.far.send("x");
        reactor().addReader(*probe);
        reactor().addWriter(*probe);
        QVERIFY(host().spinUntil([&] { return left; }));
        QCOMPARE(reactor().stats().descriptors, std::size_t(0));
    }

    void r268_theOwnersDeathTakesItOut() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        {
            bine::Scope owner;
            probe.ownedBy(owner);
            reactor().addReader(probe);
            reactor().addWriter(probe);
            QVERIFY(host().spinUntil([&] { return probe.writes > 0; }));
            pair.far.send("x");
        }
        const int writes = probe.writes;
        QVERIFY(reactor().getReaders().empty() && reactor().getWriters().empty());
        reactor().addReader(probe); // nobody is there any more for whom it would be called
        turns();
        QVERIFY(reactor().getReaders().empty());
        QCOMPARE(probe.reads, 0);
        QCOMPARE(probe.writes, writes);
        QVERIFY(probe.losses.empty());
    }

    void r268_inItsOwnCallback_data() {
        QTest::addColumn<int>("how");
        QTest::newRow("returns nothing") << 0;
        QTest::newRow("returns an error") << 1;
        QTest::newRow("returns the end of a half") << 2;
    }

    void r268_inItsOwnCallback() {
        QFETCH(int, how);
        const Pair pair = Pair::sockets();
        bine::Scope owner;
        HalfProbe probe(pair.near);
        probe.ownedBy(&owner);
        probe.onRead = [&]() -> IoResult {
            owner.cancel();
            if (how == 1)
                return std::runtime_error("nobody hears this");
            if (how == 2)
                return bine::ConnectionDone();
            return {};
        };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return probe.reads == 1; }));
        turns();
        QCOMPARE(probe.reads, 1);
        QCOMPARE(probe.writes, 0);
        QVERIFY(probe.losses.empty());
        QVERIFY(probe.halves.text().isEmpty());
        QVERIFY(reactor().getWriters().empty());
    }

private:
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

int main(int argc, char** argv) { return bine::kit::runTests<DescriptorsTest>(argc, argv); }
#include "descriptors.moc"
