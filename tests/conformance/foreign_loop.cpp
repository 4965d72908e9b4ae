// Contract 2.R, what needs no windows: which of the two ends first, the host's loop or the reactor (R-248 to
// R-251), iterations that leave sockets out, and a reactor that dies in the host's callbacks (R-258,
// Nested loops in every kind of callback are in tests/dialogs.

#include <stdexcept>

#include "bine/reactors/errors.h"
#include "kit/nest.h"
#include "kit/reactor_test.h"
#include "kit/sender.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::Resolver;
using bine::kit::inQt;
using bine::kit::Nest;
using bine::kit::Sender;
using bine::kit::Steps;
using bine::kit::watchPhases;
using bine::kit::Wire;

namespace {

const char* const allPhases = "before-shutdown during-shutdown after-shutdown";

/// A shutdown that needs the reactor: it waits for a timer, and then for data.
class SlowShutdown {
public:
    SlowShutdown(bine::Reactor& reactor, Steps& steps)
        : wire_(reactor, [this, &steps](std::string text) {
              steps.add(text);
              answer_.callback();
          }) {
        watchPhases(reactor, "shutdown", steps);
        reactor.addSystemEventTrigger("before", "shutdown", [this, &reactor, &steps] {
            reactor.callLater(5ms, [this, &steps] {
                steps.add("timer");
                wire_.send("data");
            });
            return answer_.deferred();
        });
    }
    static constexpr const char* steps = "before-shutdown timer data during-shutdown after-shutdown";

private:
    Resolver<> answer_;
    Wire wire_;
};

} // namespace

class ForeignLoopTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r003_runInAHostsCallbackIsRefused_data() { ownedOrAttached(); }
    void r003_runInAHostsCallbackIsRefused() {
        QFETCH(bool, attached);
        bool refused = false;
        reactor().callWhenRunning([&] {
            host().hostCallback([&] {
                try {
                    reactor().run();
                } catch (const bine::ReactorAlreadyRunning&) {
                    refused = true;
                }
                attached ? host().quitHost() : host().quitRun();
            });
        });
        attached ? host().runHost() : run();
        QVERIFY(refused);
    }

    // --- Iterations by hand, inside a callback: a progress dialog's.

    void r245_everythingRunsWhileTurnsAreMade() {
        int timers = 0;
        int calls = 0;
        std::string heard;
        bool wentOn = false;
        Wire wire(reactor(), [&](std::string text) { heard += text; });
        std::function<void()> tick = [&] {
            if (++timers == 10)
                return;
            reactor().callLater(1ms, tick);
            reactor().callFromThread([&] { ++calls; });
            wire.send("x");
        };
        reactor().callLater(0s, [&] {
            tick();
            wentOn = host().spinUntil([&] { return timers == 10 && calls == 9 && heard == "xxxxxxxxx"; });
            reactor().stop();
        });
        run();
        QVERIFY(wentOn);
    }

    // --- stop() in nested loops.

    void r248_stopInNestedLoopsOfRun() {
        Steps steps;
        Nest nest(host());
        int inTheLastPhase = 0;
        int afterwards = 0;
        watchPhases(reactor(), "shutdown", steps);
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            inTheLastPhase = nest.inside();
            if (inQt())
                return; // all end by themselves
            host().hostCallback([&] {
                afterwards = nest.inside(); // run() waits for the application to end its own
                nest.quit();
            });
        });
        nest.open(3, [&] { reactor().stop(); });
        run();
        QCOMPARE(steps.text(), allPhases);
        QCOMPARE(inTheLastPhase, 3);
        QCOMPARE(afterwards, inQt() ? 0 : 3);
        QVERIFY(nest.over());
        QVERIFY(!reactor().running());
    }

    void r248_stopInNestedLoopsOfAHostThatGoesOn() {
        Steps steps;
        Nest nest(host());
        int afterwards = 0;
        bool wentOn = false;
        const std::function<void()> whenOver = [&] {
            if (nest.inside() > 0)
                return host().hostTimer(1ms, whenOver);
            wentOn = true;
            host().quitHost();
        };
        watchPhases(reactor(), "shutdown", steps);
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            host().hostCallback([&] {
                afterwards = nest.inside(); // they are the application's, whatever the host
                nest.quit();
                whenOver();
            });
        });
        nest.open(3, [&] { host().hostCallback([&] { reactor().stop(); }); });
        host().runHost();
        QCOMPARE(steps.text(), allPhases);
        QCOMPARE(afterwards, 3);
        QVERIFY(wentOn);
        QVERIFY(nest.over());
    }

    // --- The host ends first.

    void r249_theHostEndsRun() {
        for (int round = 0; round < 2; ++round) {
            Steps steps;
            SlowShutdown slow(reactor(), steps);
            reactor().callLater(1ms, [&] { host().quitRun(); });
            run();
            QCOMPARE(steps.text(), SlowShutdown::steps);
            QVERIFY(!reactor().running());
        }
        loopWorks();
    }

    void r249_theHostEndsRunInNestedLoops() {
        Steps steps;
        Nest nest(host());
        watchPhases(reactor(), "shutdown", steps);
        nest.open(3, [&] {
            host().quitRun();
            if (!inQt())
                nest.quit();
        });
        run();
        QCOMPARE(steps.text(), allPhases);
        QVERIFY(nest.over());
    }

    void r249_theHostEndsUnderAnAttachedReactor() {
        Steps steps;
        SlowShutdown slow(reactor(), steps);
        reactor().callLater(1ms, [&] { host().quitHost(); });
        host().runHost();
        const QString told = steps.text();
        const bool running = reactor().running();
        host().destroyReactor();
        QCOMPARE(told, inQt() ? SlowShutdown::steps : ""); // GLib has told nobody
        QCOMPARE(running, !inQt());
        QCOMPARE(steps.text(), SlowShutdown::steps);
    }

    void r249_theDestructorServesTheReactorAlone() {
        Steps steps;
        SlowShutdown slow(reactor(), steps);
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        bool hosts = false;
        host().hostCallback([&] { hosts = true; });
        host().destroyReactor();
        QCOMPARE(steps.text(), SlowShutdown::steps);
        QVERIFY(!hosts);
        QVERIFY(host().spinUntil([&] { return hosts; }));
    }

    void r249_notBeyondTheDeadline_data() { ownedOrAttached(); }
    void r249_notBeyondTheDeadline() {
        QFETCH(bool, attached);
        Steps steps;
        Resolver<> never;
        watchPhases(reactor(), "shutdown", steps);
        reactor().setShutdownDeadline(20ms);
        reactor().addSystemEventTrigger("before", "shutdown", [&] { return never.deferred(); });
        reactor().callLater(1ms, [&] { attached ? host().quitHost() : host().quitRun(); });
        attached ? host().runHost() : run();
        host().destroyReactor();
        QCOMPARE(steps.text(), allPhases);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        never.callback();
    }

    // --- The reactor ends first.

    void r250_stopLeavesTheHostsLoopAlone() {
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            host().hostTimer(1ms, [&] {
                steps.add(reactor().running() ? "running" : "the host goes on");
                host().quitHost();
            });
        });
        reactor().callLater(0s, [&] { reactor().stop(); });
        host().runHost();
        QCOMPARE(steps.text(), QString(allPhases) + " the host goes on");
    }

    void r250_stopEndsRun() {
        for (int round = 0; round < 3; ++round) {
            reactor().callLater(1ms, [&] { reactor().stop(); });
            run();
            QVERIFY(!reactor().running());
        }
        loopWorks();
    }

    void r250_anotherReactorInTheLoopGoesOn() {
        const auto other = host().anotherReactor();
        int calls = 0;
        for (bine::Reactor* one : {&reactor(), other.get()})
            one->callLater(0s, [&] { ++calls; });
        QVERIFY(host().spinUntil([&] { return calls == 2; }));
        other->stop();
        QVERIFY(host().spinUntil([&] { return !other->running(); }));
        reactor().callLater(0s, [&] { ++calls; });
        QVERIFY(host().spinUntil([&] { return calls == 3; }));
    }

    // --- Into a loop that runs, out of it, and in again.

    void r251_attachedToALoopThatRuns() {
        host().destroyReactor();
        std::string heard;
        std::unique_ptr<Wire> wire;
        host().hostCallback([&] {
            wire = std::make_unique<Wire>(reactor(), [&](std::string text) {
                heard = text;
                host().quitHost();
            });
            wire->send("data");
        });
        host().runHost();
        QCOMPARE(heard, std::string("data"));
    }

    void r251_attachedAndDetachedAndTheHostDoesNotNotice() {
        int starts = 0;
        const std::function<void()> round = [&] {
            if (starts == 5)
                return host().quitHost();
            if (starts > 0)
                host().attach();
            reactor().addSystemEventTrigger("after", "startup", [&] {
                ++starts;
                reactor().callLater(0s, [&] { reactor().stop(); });
            });
            reactor().addSystemEventTrigger("after", "shutdown", [&] { host().hostCallback(round); });
        };
        host().destroyReactor();
        const auto before = host().hostObjects();
        host().hostCallback(round);
        host().runHost();
        QCOMPARE(starts, 5);
        QCOMPARE(bine::kit::differences(before, host().hostObjects()), std::string());
    }

    // --- Iterations without sockets.

    void r252_iterationsWithoutSocketsLoseNothing() {
        std::string heard;
        int calls = 0;
        Wire wire(reactor(), [&](std::string text) { heard += text; });
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        wire.send("one");
        reactor().callLater(0s, [&] { ++calls; });
        reactor().callFromThread([&] { ++calls; });
        const auto before = reactor().stats().turns;
        for (int i = 0; i < 1000; ++i)
            host().turnWithoutSockets();
        const auto turns = reactor().stats().turns - before;
        QVERIFY2(turns <= 10, qPrintable(QString("%1 turns").arg(turns)));
        if (bine::kit::reactorName() == "qt-noglib") // the one that honours the filter to the letter
            QCOMPARE(heard, std::string());
        wire.send(" two");
        QVERIFY(host().spinUntil([&] { return heard == "one two" && calls == 2; }));
    }

    // --- Exceptions.

    void r253_noExceptionReachesTheHost() {
        reactor().addSystemEventTrigger("during", "startup",
                                        [] { throw std::runtime_error("at the start"); });
        reactor().addSystemEventTrigger("during", "shutdown", [] { throw std::runtime_error("at the end"); });
        reactor().callLater(0s, [] { throw std::runtime_error("in a call"); });
        reactor().callFromThread([] { throw 42; });
        reactor().callLater(5ms, [&] { host().quitHost(); });
        host().runHost();
        host().destroyReactor();
        QCOMPARE(loggedErrors().size(), std::size_t(4));
    }

    // --- What is written outside of the reactor's callbacks.

    void r266_whatTheHostWritesLeavesBeforeItsLoopWaits_data() {
        QTest::addColumn<QString>("where");
        QTest::newRow("callback") << "callback";
        QTest::newRow("timer") << "timer";
        QTest::newRow("before the loop") << "before";
    }
    void r266_whatTheHostWritesLeavesBeforeItsLoopWaits() {
        QFETCH(QString, where);
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        const auto loop = host().nestedLoop();
        Wire wire(reactor(), [&](std::string) { loop->quit(); }); // nothing else ends it
        const auto sender = Sender::make(reactor(), [&] { wire.send("x"); });
        const auto write = [&] { sender->write(); };
        if (where == "callback")
            host().hostCallback(write);
        else if (where == "timer")
            host().hostTimer(1ms, write);
        else
            write();
        QVERIFY2(loop->exec(), "nothing left before the limit");
        QCOMPARE(sender->sent, 1);
        QVERIFY(!sender->inATurn);
    }

    void r266_whatIsWrittenLeavesInTurnsThatDoNotWait() {
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        const auto sender = Sender::make(reactor());
        for (int i = 1; i <= 5; ++i) {
            sender->write();
            host().turn();
            QCOMPARE(sender->sent, i);
        }
    }

    // --- The reactor dies in a callback.

    void r258_r260_destroyedInNestedLoops_data() { depths(1); }
    void r258_r260_destroyedInNestedLoops() {
        QFETCH(int, depth);
        Nest nest(host());
        bool turnedOn = false;
        nest.open(depth, [&] {
            host().destroyReactor();
            // The innermost loop turns on, and with it whatever was to be deleted later.
            bool hosts = false;
            host().hostTimer(5ms, [&] { hosts = true; });
            turnedOn = host().nestedLoop([&] { return hosts; });
            nest.quit();
        });
        QVERIFY(host().spinUntil([&] { return nest.over(); }));
        QVERIFY(turnedOn);
        QVERIFY(!host().hasReactor());
    }

    void r258_r260_destroyedByAHostsCallbackInANestedLoop() {
        bool ended = false;
        reactor().callLater(0s, [&] {
            const auto dialog = host().nestedLoop();
            host().hostCallback([&] {
                host().destroyReactor();
                host().hostTimer(5ms, [&] { dialog->quit(); });
            });
            ended = dialog->exec();
        });
        QVERIFY(host().spinUntil([&] { return ended; }));
        QVERIFY(!host().hasReactor());
    }

    void r258_r260_destroyedInsideRunEndsIt_data() { depths(0); }
    void r258_r260_destroyedInsideRunEndsIt() {
        QFETCH(int, depth);
        Steps steps;
        Nest nest(host());
        watchPhases(reactor(), "shutdown", steps);
        nest.open(depth, [&] {
            host().destroyReactor();
            if (!inQt())
                nest.quit();
        });
        run();
        QVERIFY(!host().hasReactor());
        QCOMPARE(steps.text(), allPhases);
        QVERIFY(depth == 0 || nest.over());
        loopWorks();
    }

    void r258_r260_destroyedInItsLastShutdownTrigger_data() { ownedOrAttached(); }
    void r258_r260_destroyedInItsLastShutdownTrigger() {
        QFETCH(bool, attached);
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            host().destroyReactor();
            if (attached)
                host().hostCallback([&] { host().quitHost(); });
        });
        reactor().callLater(0s, [&] { reactor().stop(); });
        attached ? host().runHost() : run();
        QVERIFY(!host().hasReactor());
        loopWorks();
    }

private:
    static void ownedOrAttached() {
        QTest::addColumn<bool>("attached");
        QTest::newRow("owned") << false;
        QTest::newRow("attached") << true;
    }
    static void depths(int least) {
        QTest::addColumn<int>("depth");
        for (int depth = least; depth <= 3; ++depth)
            QTest::addRow("%d", depth) << depth;
    }
    /// The host's loop has taken no harm: it can be run, and nested.
    void loopWorks() {
        Steps steps;
        host().hostCallback([&] {
            const auto loop = host().nestedLoop();
            host().hostTimer(1ms, [&] {
                steps.add("inner");
                loop->quit();
            });
            loop->exec();
            steps.add("outer");
            host().quitHost();
        });
        host().runHost();
        QCOMPARE(steps.text(), "inner outer");
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ForeignLoopTest>(argc, argv); }
#include "foreign_loop.moc"
