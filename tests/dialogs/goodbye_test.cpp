// The last words of connections when the reactor stops, however it comes to that.

#include <signal.h>
#include <sys/socket.h>

#include <stdexcept>
#include <thread>

#include "bine/net/memory_transport.h"
#include "bine/net/network.h"
#include "bine/reactors/reactor_core.h"
#include "dialogs/scene.h"
#include "kit/reactor_test.h"

using namespace dialogs;

namespace {

/// Says something when the reactor stops.
class Polite : public Talker {
public:
    std::function<void(Polite&)> onStopping = [](Polite& self) { self.transport().write("QUIT :bye\r\n"); };
    int told = 0;
    void reactorStopping() override {
        ++told;
        events.push_back("stopping");
        onStopping(*this);
    }
};

const std::string bye = "QUIT :bye\r\n";

/// What comes until the end; "reset" behind it, if it is one.
std::string readAll(const RawPeer& peer) {
    std::string all;
    char buffer[65536];
    ssize_t n = 0;
    while ((n = ::recv(peer.fd(), buffer, sizeof buffer, 0)) > 0) all.append(buffer, static_cast<std::size_t>(n));
    return n < 0 ? all + " reset" : all;
}

enum class End { stop, destroyed, hostEndsRun, hostEndsAttached, inADialog, signal };

} // namespace
Q_DECLARE_METATYPE(End)

class GoodbyeTest : public bine::kit::ReactorTest {
    Q_OBJECT

    struct Line {
        std::unique_ptr<RawPeer> peer;
        std::shared_ptr<Polite> polite;
    };
    Line connect(Scene& scene) {
        Line line{nullptr, std::make_shared<Polite>()};
        scene.expect(line.polite);
        line.peer = std::make_unique<RawPeer>(scene.port());
        return line;
    }
    Line connected(Scene& scene) {
        Line line = connect(scene);
        scene.spinUntil([&] { return !line.polite->events.empty(); });
        return line;
    }
    bool stopAndWait(Scene& scene) {
        bool ended = false;
        scene.reactor().addSystemEventTrigger("after", "shutdown", [&] { ended = true; });
        scene.reactor().stop();
        return scene.spinUntil([&] { return ended; });
    }

private slots:
    void r282_theyAreSentHoweverItEnds_data() {
        QTest::addColumn<End>("end");
        QTest::addColumn<bool>("holderFirst");
        std::vector<std::pair<End, const char*>> ends{{End::stop, "stop()"}, {End::destroyed, "destroyed"}, {End::inADialog, "in a dialog"}};
        if (bine::kit::inQt() || bine::kit::reactorName().starts_with("glib") || bine::kit::reactorName() == "qt+gtk") {
            ends.emplace_back(End::hostEndsRun, "the host ends run()");
            ends.emplace_back(End::hostEndsAttached, "the host ends");
        } else if (bine::kit::reactorName() != "embedded") {
            ends.emplace_back(End::signal, "SIGTERM"); // in a host they are the application's
        }
        for (const auto& [end, name] : ends)
            for (const bool first : {false, true}) QTest::addRow("%s, the window dies %s", name, first ? "first" : "last") << end << first;
    }
    void r282_theyAreSentHoweverItEnds() {
        QFETCH(End, end);
        QFETCH(bool, holderFirst);
        if (end == End::signal) ::signal(SIGTERM, SIG_DFL); // not QTest's
        /// A window of the program: it writes when it is destroyed.
        struct Window {
            std::shared_ptr<Polite> polite;
            ~Window() { polite->transport().write("late"); }
        };
        Line line;
        auto window = std::make_unique<Window>();
        {
            Scene scene(host());
            line = connect(scene);
            window->polite = line.polite;
            const auto loop = host().nestedLoop();
            if (end == End::inADialog && !bine::kit::inQt())
                scene.reactor().addSystemEventTrigger("after", "shutdown", [&] { loop->quit(); });
            line.polite->onMade = [&](Talker&) {
                scene.reactor().callLater(1ms, [&] {
                    if (end == End::stop)
                        scene.reactor().stop();
                    else if (end == End::destroyed)
                        host().destroyReactor();
                    else if (end == End::hostEndsRun)
                        host().quitRun();
                    else if (end == End::hostEndsAttached)
                        host().quitHost();
                    else if (end == End::signal)
                        ::raise(SIGTERM);
                    else {
                        scene.reactor().callLater(1ms, [&] { scene.reactor().stop(); });
                        loop->exec();
                    }
                });
            };
            if (end == End::hostEndsAttached)
                host().runHost();
            else
                host().run();
            QCOMPARE(line.polite->told, bine::kit::inQt() || end != End::hostEndsAttached ? 1 : 0); // GLib tells nobody
            if (holderFirst && line.polite->lost()) window.reset();
        }
        window.reset();
        QCOMPARE(line.polite->told, 1);
        QVERIFY(line.polite->lost());
        QCOMPARE(QByteArray::fromStdString(readAll(*line.peer)), QByteArray::fromStdString(bye));
    }

    void r282_afterTheTriggersAndNotAfterTheirDeferreds() {
        Scene scene(host());
        auto line = connected(scene);
        bine::kit::Steps steps;
        bine::Resolver<> resolver;
        scene.reactor().addSystemEventTrigger("before", "shutdown", [&] {
            steps.add("trigger");
            return resolver.deferred();
        });
        line.polite->onStopping = [&](Polite&) {
            steps.add("stopping");
            scene.reactor().callLater(5ms, [&] {
                steps.add("fired");
                resolver.callback();
            });
        };
        line.polite->onLost = [&](Talker&) { steps.add("lost"); };
        QVERIFY(stopAndWait(scene));
        QCOMPARE(steps.text(), "trigger stopping fired lost");
    }

    void r282_whoIsBeingClosedIsNotTold() {
        Scene scene(host());
        auto line = connected(scene);
        line.polite->transport().write(std::string(8 * 1024 * 1024, 'x'));
        line.polite->transport().loseConnection();
        scene.reactor().setShutdownDeadline(20ms);
        QVERIFY(stopAndWait(scene));
        QCOMPARE(line.polite->told, 0);
    }

    void r282_loseConnectionInItIsACleanEnd() {
        Scene scene(host());
        auto line = connected(scene);
        line.polite->onStopping = [](Polite& self) {
            self.transport().write(bye);
            self.transport().loseConnection();
        };
        QVERIFY(stopAndWait(scene));
        QVERIFY(line.polite->reason->check<bine::ConnectionDone>());
        QCOMPARE(readAll(*line.peer), bye);
    }

    void r282_whatIsNotReadMakesNoReset() {
        Scene scene(host());
        auto line = connected(scene);
        line.polite->transport().pauseProducing();
        line.peer->send("never read");
        QVERIFY(stopAndWait(scene));
        QCOMPARE(QByteArray::fromStdString(readAll(*line.peer)), QByteArray::fromStdString(bye));
    }

    void r282_anExceptionIsTheConnectionsReason() {
        Scene scene(host());
        auto bad = connected(scene);
        auto good = connected(scene);
        bad.polite->onStopping = [](Polite&) { throw std::runtime_error("oops"); };
        QVERIFY(stopAndWait(scene));
        QVERIFY(bad.polite->reason->check<std::runtime_error>());
        QCOMPARE(readAll(*good.peer), bye);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r282_aBusyProtocolHearsItWhenItsCallbackReturns() {
        Scene scene(host());
        auto busy = connected(scene);
        auto other = connected(scene);
        const auto loop = host().nestedLoop();
        bine::Resolver<> resolver;
        scene.reactor().addSystemEventTrigger("before", "shutdown", [&] { return resolver.deferred(); });
        int toldInside = -1;
        other.polite->onStopping = [&](Polite& self) {
            self.transport().write(bye);
            scene.reactor().callLater(1ms, [&] {
                toldInside = busy.polite->told;
                loop->quit();
            });
        };
        busy.polite->onData = [&](Talker&, std::string_view) {
            scene.reactor().callLater(0ms, [&] { scene.reactor().stop(); });
            loop->exec();
            scene.reactor().callLater(1ms, [&] { resolver.callback(); });
        };
        bool ended = false;
        scene.reactor().addSystemEventTrigger("after", "shutdown", [&] { ended = true; });
        busy.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return ended; }));
        QCOMPARE(toldInside, 0);
        QCOMPARE(busy.polite->told, 1);
        QCOMPARE(busy.polite->deepest, 1);
        QCOMPARE(readAll(*busy.peer), bye);
        QCOMPARE(readAll(*other.peer), bye);
    }

    void r282_theShutdownDoesNotWaitForABusyProtocol() {
        Scene scene(host());
        auto busy = connected(scene);
        const auto loop = host().nestedLoop();
        bool ended = false;
        scene.reactor().setShutdownDeadline(bine::ReactorBase::infinite);
        scene.reactor().addSystemEventTrigger("after", "shutdown", [&] {
            ended = true;
            loop->quit();
        });
        busy.polite->onData = [&](Talker&, std::string_view) {
            scene.reactor().callLater(0ms, [&] { scene.reactor().stop(); });
            loop->exec();
        };
        busy.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return ended && busy.polite->lost(); }));
        QCOMPARE(busy.polite->told, 0);
    }

    void r282_aLoopInItHoldsNobodyUp() {
        Scene scene(host());
        std::vector<Line> lines;
        for (int i = 0; i < 3; ++i) lines.push_back(connected(scene));
        const auto loop = host().nestedLoop();
        for (auto& line : lines)
            line.polite->onStopping = [&, first = &line == &lines.front()](Polite& self) {
                self.transport().write(bye);
                if (first) loop->exec();
            };
        scene.reactor().addSystemEventTrigger("after", "shutdown", [&] { loop->quit(); }); // it ends while that loop runs
        QVERIFY(stopAndWait(scene));
        for (auto& line : lines) {
            QCOMPARE(line.polite->told, 1);
            QCOMPARE(readAll(*line.peer), bye);
        }
    }

    void r282_veryManyAreToldInSlices() {
        constexpr int many = 100;
        Scene scene(host());
        std::vector<Line> lines;
        for (int i = 0; i < many; ++i) lines.push_back(connected(scene));
        scene.reactor().setTurnBudget(0ms);
        scene.reactor().setShutdownDeadline(1min);
        std::map<std::uint64_t, int> perTurn;
        for (auto& line : lines)
            line.polite->onStopping = [&](Polite& self) {
                ++perTurn[scene.reactor().core()->turnNumber()];
                self.transport().write(bye);
            };
        QVERIFY(stopAndWait(scene));
        for (auto& line : lines) QCOMPARE(line.polite->told, 1);
        QVERIFY(perTurn.size() > many / 4);
    }

    void r282_whoComesWhileTheShutdownWaitsIsToldToo() {
        Scene scene(host());
        auto first = connected(scene);
        bine::Resolver<> resolver;
        Line late;
        scene.reactor().addSystemEventTrigger("before", "shutdown", [&] { return resolver.deferred(); });
        first.polite->onStopping = [&](Polite&) {
            scene.reactor().callLater(1ms, [&] {
                late = connect(scene);
                late.polite->onStopping = [&](Polite& self) {
                    self.transport().write(bye);
                    scene.reactor().callLater(0ms, [&] { resolver.callback(); });
                };
            });
        };
        QVERIFY(stopAndWait(scene));
        QCOMPARE(late.polite->told, 1);
        QCOMPARE(first.polite->told, 1);
        QCOMPARE(readAll(*late.peer), bye);
    }

    void r282_everyShutdownIsTold() {
        for (int i = 0; i < 2; ++i) {
            std::shared_ptr<Polite> polite;
            bine::ListeningPort port;
            std::unique_ptr<RawPeer> peer;
            reactor().callWhenRunning([&] {
                polite = std::make_shared<Polite>();
                polite->onMade = [&](Talker&) { reactor().stop(); };
                port = bine::listenTCP(reactor(), 0, bine::Factory::make([&](const bine::Address&) { return polite; }),
                                       bine::TCPServerOptions().listenOn("127.0.0.1"));
                peer = std::make_unique<RawPeer>(port.getHost().port());
            });
            run();
            QCOMPARE(polite->told, 1);
            QCOMPARE(readAll(*peer), bye);
        }
    }

    void r282_crashTellsNobody() {
        Scene scene(host());
        auto line = connected(scene);
        scene.reactor().crash();
        host().destroyReactor();
        QCOMPARE(line.polite->told, 0);
    }

    // --- What is unsent.

    void r283_theShutdownWaitsUntilItIsSent() {
        Scene scene(host());
        auto line = connected(scene);
        scene.reactor().setShutdownDeadline(1min);
        const std::string much(8 * 1024 * 1024, 'x');
        line.polite->onStopping = [&](Polite& self) { self.transport().write(much); };
        std::string got;
        std::jthread reader([&] { got = readAll(*line.peer); });
        QVERIFY(stopAndWait(scene));
        reader.join();
        QCOMPARE(got.size(), much.size());
    }

    void r283_alsoForWhatWasWrittenBefore() {
        Scene scene(host());
        auto line = connected(scene);
        scene.reactor().setShutdownDeadline(1min);
        const std::string much(8 * 1024 * 1024, 'x');
        line.polite->onStopping = [](Polite&) {};
        line.polite->transport().write(much);
        std::string got;
        std::jthread reader([&] { got = readAll(*line.peer); });
        QVERIFY(stopAndWait(scene));
        reader.join();
        QCOMPARE(got.size(), much.size());
    }

    void r283_whatIsUnsentAtTheDeadlineIsLogged_data() {
        QTest::addColumn<bool>("infinite");
        QTest::newRow("a deadline") << false;
        QTest::newRow("no deadline") << true;
    }
    void r283_whatIsUnsentAtTheDeadlineIsLogged() {
        QFETCH(bool, infinite);
        Scene scene(host());
        auto line = connected(scene);
        std::vector<std::string> warnings;
        const auto log = bine::addLogObserver([&](const bine::LogEvent& event) {
            if (event.level == bine::LogLevel::warn) warnings.push_back(event.message);
        });
        line.polite->onStopping = [](Polite& self) { self.transport().write(std::string(32 * 1024 * 1024, 'x')); };
        scene.reactor().setShutdownDeadline(infinite ? bine::Duration(bine::ReactorBase::infinite) : bine::Duration(50ms));
        QVERIFY(stopAndWait(scene));
        QVERIFY(line.polite->lost());
        QCOMPARE(warnings.size(), std::size_t(1));
        QVERIFY2(warnings.front().find("on 1 connection") != std::string::npos, warnings.front().c_str());
    }

    void r283_otherTransportsAreToldAndWaitedFor() {
        Scene scene(host());
        scene.reactor().setShutdownDeadline(1min);
        const auto polite = std::make_shared<Polite>();
        const auto transport = std::make_shared<bine::MemoryTransport>();
        bine::attach(scene.reactor(), transport, polite);
        transport->blockOutput(true);
        QVERIFY(scene.spinUntil([&] { return scene.reactor().running(); }));
        bool lostBefore = true;
        std::string sent;
        polite->onStopping = [&](Polite& self) {
            self.transport().write(bye);
            host().hostTimer(20ms, [&] {
                lostBefore = polite->lost();
                sent = transport->takeOutput();
            });
        };
        QVERIFY(stopAndWait(scene));
        QCOMPARE(polite->told, 1);
        QVERIFY(!lostBefore);
        QVERIFY(polite->lost());
        QCOMPARE(sent, bye);
    }

    void r283_atTheDeadlineThoseNotYetToldAreTold() {
        Scene scene(host());
        auto line = connected(scene);
        scene.reactor().setShutdownDeadline(0ms);
        bine::Resolver<> never;
        scene.reactor().addSystemEventTrigger("before", "shutdown", [&] { return never.deferred(); });
        QVERIFY(stopAndWait(scene));
        QCOMPARE(line.polite->told, 1);
        QCOMPARE(readAll(*line.peer), bye);
        QCOMPARE(loggedErrors().size(), std::size_t(1)); // the trigger
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<GoodbyeTest>(argc, argv); }
#include "goodbye_test.moc"
