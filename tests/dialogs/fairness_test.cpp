// Who is served when, and what it costs the host. Counts of callbacks and turns, and CPU time of this thread; nothing here
// depends on how fast the machine is.

#include <QtTest/QtTest>

#include <algorithm>

#include "dialogs/flood.h"
#include "kit/reactor_test.h"

using namespace dialogs;

class FairnessTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // What a process makes once: a port's spare descriptor, the host's wake-ups.
    void initTestCase() {
        bine::kit::ReactorHost host;
        Scene scene(host);
        scene.line();
    }

    void r255_r265_eachConnectionIsServed_data() {
        QTest::addColumn<int>("connections");
        QTest::newRow("200") << 200;
        QTest::newRow("as many as one batch holds") << 250;
        QTest::newRow("more than one batch holds") << 400;
    }
    void r255_r265_eachConnectionIsServed() {
        QFETCH(int, connections);
        Scene scene(host());
        reactor().setTurnBudget(1ms);
        Flood flood(scene, connections, 50us);
        flood.begin();
        QVERIFY(scene.spinUntil([&] { return flood.callbacks() >= 10 * flood.size(); }));
        QVERIFY2(flood.longestGap() <= 2 * flood.size(),
                 qPrintable(QString("a gap of %1 callbacks").arg(flood.longestGap())));
        // Each callback takes 50 us at least, of 1 ms.
        QVERIFY2(flood.mostInATurn() <= 21,
                 qPrintable(QString("%1 callbacks in a turn").arg(flood.mostInATurn())));
        QVERIFY2(flood.longestBeforeAnother() < 1ms,
                 qPrintable(QString("another callback after %1 us").arg(flood.longestBeforeAnother() / 1us)));
        QVERIFY(reactor().stats().cutTurns > 0);
    }

    // One turn in four is over after its first callback: with connections that were fetched and not served dropped, it would always be the same ones'.
    void r265_howLongTheTurnsAreMakesNoDifference_data() {
        QTest::addColumn<int>("connections");
        QTest::newRow("as many as one batch holds") << 250;
        QTest::newRow("two batches") << 450;
    }
    void r265_howLongTheTurnsAreMakesNoDifference() {
        QFETCH(int, connections);
        Scene scene(host());
        reactor().setTurnBudget(1ms);
        Flood flood(scene, connections, 16us);
        flood.inCallback = [&] {
            if (reactor().stats().turns % 4 == 0)
                burn(1100us);
        };
        flood.begin();
        QVERIFY(scene.spinUntil([&] { return flood.callbacks() >= 6 * flood.size(); }));
        QVERIFY2(flood.longestGap() <= 2 * flood.size(),
                 qPrintable(QString("a gap of %1 callbacks").arg(flood.longestGap())));
    }

    // Two have something to say and only one has its turn: what happens to the other in between counts.
    void r265_whoIsPausedOrGoneMeanwhileIsNotTold_data() {
        QTest::addColumn<bool>("gone");
        QTest::newRow("paused") << false;
        QTest::newRow("gone") << true;
    }
    void r265_whoIsPausedOrGoneMeanwhileIsNotTold() {
        QFETCH(bool, gone);
        Scene scene(host());
        reactor().setTurnBudget(0ns); // one callback of each kind
        Scene::Line lines[] = {scene.line(), scene.line()};
        Talker* told = nullptr;
        for (auto& line : lines)
            line.talker->onData = [&](Talker& talker, std::string_view) {
                if (std::exchange(told, &talker))
                    return;
                reactor().callLater(0ns, [&] {
                    for (auto& other : lines) {
                        if (other.talker.get() == told)
                            continue;
                        if (gone)
                            other.talker->transport().abortConnection();
                        else
                            other.talker->transport().pauseProducing();
                    }
                });
            };
        for (const auto& line : lines)
            line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return told != nullptr; }));
        const auto turns = reactor().stats().turns;
        QVERIFY(scene.spinUntil([&] {
            reactor().callLater(0ns, [] {}); // the host's epoll set has nothing to say
            return reactor().stats().turns >= turns + 5;
        }));
        for (const auto& line : lines)
            QCOMPARE(line.talker->data, std::string(line.talker.get() == told ? "x" : ""));
        if (gone)
            return;
        for (const auto& line : lines)
            line.talker->transport().resumeProducing();
        QVERIFY(scene.spinUntil([&] { return lines[0].talker->data == "x" && lines[1].talker->data == "x"; }));
    }

    void r265_aNewcomerIsServedAmongFloods() {
        Scene scene(host());
        reactor().setTurnBudget(1ms);
        Flood flood(scene, 100, 50us);
        auto line = scene.line();
        flood.begin();
        for (int i = 0; i < 5; ++i) {
            std::size_t at = 0;
            line.talker->onData = [&](Talker&, std::string_view) { at = flood.callbacks(); };
            const auto sent = flood.callbacks();
            line.peer->send("y");
            QVERIFY(scene.spinUntil([&] { return at != 0; }));
            QVERIFY2(at - sent <= 2 * flood.size(), qPrintable(QString("after %1 callbacks").arg(at - sent)));
        }
    }

    void r265_noKindOfWorkWaitsForAnother() {
        Scene scene(host());
        reactor().setTurnBudget(1ms);
        Flood flood(scene, 50, 100us);
        std::uint64_t longest = 0;
        int timers = 0, calls = 0, immediates = 0;
        auto heard = [&](int& count) {
            return [&, from = reactor().stats().turns] {
                ++count;
                longest = std::max(longest, reactor().stats().turns - from);
            };
        };
        std::size_t asked = 0;
        flood.inCallback = [&] {
            if (flood.callbacks() % 50 != 0)
                return;
            ++asked;
            reactor().callLater(1ns, heard(timers));
            reactor().callFromThread(heard(calls));
            reactor().callLater(0ns, heard(immediates));
        };
        flood.begin();
        QVERIFY(
            scene.spinUntil([&] { return asked >= 20 && timers >= 20 && calls >= 20 && immediates >= 20; }));
        QVERIFY2(longest <= 2, qPrintable(QString("%1 turns later").arg(longest)));
    }

    void r265_workThatBreedsStarvesNobody_data() {
        QTest::addColumn<int>("kind");
        QTest::newRow("timers") << 0;
        QTest::newRow("thread calls") << 1;
        QTest::newRow("zero-delay calls") << 2;
        QTest::newRow("all of them") << 3;
    }
    void r265_workThatBreedsStarvesNobody() {
        QFETCH(int, kind);
        // Before the scene: what still waits when it ends refers to them.
        int bred = 0;
        bool over = false;
        std::uint64_t sent = 0, served = 0, timer = 0, call = 0, immediate = 0;
        std::function<void(int)> breed;
        Scene scene(host());
        reactor().setTurnBudget(1ms);
        auto line = scene.line();
        breed = [&](int of) {
            ++bred;
            burn(2ms); // more than a whole turn
            if (over)
                return;
            if (of == 0)
                reactor().callLater(1ns, [&, of] { breed(of); });
            if (of == 1)
                reactor().callFromThread([&, of] { breed(of); });
            if (of == 2)
                reactor().callLater(0ns, [&, of] { breed(of); });
        };
        for (int of = 0; of < 3; ++of)
            if (of == kind || kind == 3)
                reactor().callLater(0ns, [&, of] { breed(of); });
        QVERIFY(scene.spinUntil([&] { return bred > 3; }));
        line.talker->onData = [&](Talker&, std::string_view) { served = reactor().stats().turns; };
        sent = reactor().stats().turns;
        line.peer->send("y");
        reactor().callLater(1ns, [&] { timer = reactor().stats().turns; });
        reactor().callFromThread([&] { call = reactor().stats().turns; });
        reactor().callLater(0ns, [&] { immediate = reactor().stats().turns; });
        QVERIFY(scene.spinUntil([&] { return served && timer && call && immediate; }));
        over = true;
        QVERIFY(scene.spinUntil([&] { return reactor().getDelayedCalls().empty() && bred > 3; }));
        // A due timer behind another in the heap, a call behind another in the queue: one item of each kind in each turn, so two turns serve both.
        const auto latest = std::max({served, timer, call, immediate});
        QVERIFY2(latest - sent <= 3, qPrintable(QString("%1 turns later").arg(latest - sent)));
    }

    void r255_theHostGetsControlBetweenTurns() {
        if (!host().hosted())
            return;
        Scene scene(host());
        Flood flood(scene, 50, 50us);
        std::uint64_t last = 0, longest = 0;
        int times = 0;
        bool over = false;
        std::function<void()> again = [&] {
            const auto turns = reactor().stats().turns;
            if (times++ > 0)
                longest = std::max(longest, turns - last);
            last = turns;
            if (!over)
                host().hostCallback(again);
        };
        flood.begin();
        host().hostCallback(again);
        // The host is saturated too: the network is served all the same.
        QVERIFY(scene.spinUntil([&] { return times >= 20 && flood.callbacks() >= 1000; }));
        over = true;
        const int until = times + 1;
        QVERIFY(scene.spinUntil([&] { return times >= until; }));
        QVERIFY2(longest <= 3, qPrintable(QString("%1 turns without the host").arg(longest)));
    }

    void r256_idleMeansNoTurnsAndNoWakeUps() {
        Scene scene(host());
        std::vector<Scene::Line> lines;
        for (int i = 0; i < 50; ++i)
            lines.push_back(scene.line());
        auto far = reactor().callLater(1h, [] {});
        const auto loop = host().nestedLoop();
        std::uint64_t turns = 0;
        long slept = 0;
        std::chrono::nanoseconds time{};
        // A first timer to be past everything that the connections left to do.
        host().hostTimer(20ms, [&] {
            host().hostTimer(300ms, [&] {
                turns = reactor().stats().turns - turns;
                slept = sleeps() - slept;
                time = threadTime() - time;
                loop->quit();
            });
            turns = reactor().stats().turns;
            slept = sleeps();
            time = threadTime();
        });
        QVERIFY(loop->exec());
        far.cancel();
        // The timer that ends it is the reactor's own where the reactor is the loop.
        QVERIFY2(turns <= (host().hosted() ? 0u : 1u), qPrintable(QString("%1 turns").arg(turns)));
        QVERIFY2(slept <= 3, qPrintable(QString("woken %1 times").arg(slept)));
        QVERIFY2(time < 20ms, qPrintable(QString("%1 us").arg(time / 1us)));
    }

    void r257_connectionsAndTimersCostTheHostNothing() {
        Scene scene(host());
        QVERIFY(scene.spinUntil([&] { return reactor().running(); }));
        const auto before = host().hostObjects();
        std::vector<Scene::Line> lines;
        for (int i = 0; i < 50; ++i) {
            lines.push_back(scene.line());
            lines.back().talker->transport().write(
                std::string(8 << 20, 'w')); // wants to write for as long as nobody reads
            reactor().callLater(1h, [] {});
        }
        scene.spinUntil([] { return true; });
        const QString difference =
            QString::fromStdString(bine::kit::differences(before, host().hostObjects()));
        QVERIFY2(difference.isEmpty(), qPrintable(difference));
        QVERIFY(reactor().stats().descriptors >= 50);
    }

    void r263_aReactorMayBeChosenLate() {
        host().destroyReactor();
        // Everything of the library that needs no reactor has been used, and the host's loop has run, before there is one.
        auto factory = bine::Factory::forProtocol<Talker>();
        bine::Resolver<int> resolver;
        int heard = 0;
        resolver.deferred().addCallback([&](int n) { heard = n; });
        if (host().hosted()) {
            host().hostCallback([&] { host().quitHost(); });
            host().runHost();
        }
        Scene scene(host());
        auto port = bine::listenTCP(reactor(), 0, factory, bine::TCPServerOptions().listenOn("127.0.0.1"));
        auto line = scene.line();
        line.talker->onData = [&](Talker&, std::string_view) { resolver.callback(7); };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return heard == 7; }));
        // And one more beside it, on the same loop.
        const auto second = host().anotherReactor();
        bool ran = false;
        second->callFromThread([&] { ran = true; });
        if (!host().hosted())
            second->iterate();
        if (!host().hosted())
            second->iterate();
        QVERIFY(scene.spinUntil([&] { return ran; }));
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<FairnessTest>(argc, argv); }
#include "fairness_test.moc"
