// Contract 2.D: how descriptors of the user's own end, and what say of them.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

#include "conformance/descriptor_testing.h"

using namespace std::chrono_literals;
using bine::Failure;
using bine::IoResult;
using bine::kit::Steps;

class DescriptorsEndTest : public DescriptorTest {
    Q_OBJECT

private slots:
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
};

int main(int argc, char** argv) { return bine::kit::runTests<DescriptorsEndTest>(argc, argv); }
#include "descriptors_end.moc"
