// Contract 2.D: descriptors of the user's own in the reactor, and numbers that come to mean something else.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <thread>

#include "bine/log/log.h"
#include "conformance/descriptor_testing.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Failure;
using bine::FileDescriptor;
using bine::IoResult;
using bine::kit::Wire;

class DescriptorsTest : public DescriptorTest {
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

    void r058_whatWasLeftForTheNextTurnMayBeUsedUp() {
        // They block: a call without something to read would never return. Both are ready, only one has its turn, and before the next one the other's data is taken.
        const Pair pairs[] = {Pair::pipe(), Pair::pipe()};
        Probe probes[] = {Probe(pairs[0].near), Probe(pairs[1].near)};
        reactor().setTurnBudget(0ns);
        for (int i = 0; i < 2; ++i) {
            pairs[i].far.send("x");
            probes[i].onRead = [&, i] {
                probes[i].text += take(pairs[i].near);
                if (probes[1 - i].reads == 0)
                    reactor().callLater(0s, [&, i] { take(pairs[1 - i].near); });
                return IoResult();
            };
            reactor().addReader(probes[i]);
        }
        QVERIFY(host().spinUntil([&] { return probes[0].reads + probes[1].reads == 1; }));
        turns();
        QCOMPARE(probes[0].reads + probes[1].reads, 1);
        Probe& other = probes[0].reads == 0 ? probes[0] : probes[1];
        pairs[&other - probes].far.send("y");
        QVERIFY(host().spinUntil([&] { return other.text == "y"; }));
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
};

int main(int argc, char** argv) { return bine::kit::runTests<DescriptorsTest>(argc, argv); }
#include "descriptors.moc"
