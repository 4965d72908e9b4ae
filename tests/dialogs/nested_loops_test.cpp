// A nested loop of the host, opened in any callback: everything else goes on, and the one whose callback it is loses nothing (R-245 to,
//

#include <QtTest/QtTest>

#include <stdexcept>

#include "bine/net/producer.h"
#include "dialogs/scene.h"
#include "kit/reactor_test.h"

using namespace dialogs;
using bine::kit::NestedLoop;

Q_DECLARE_METATYPE(dialogs::Kind)

namespace {

struct Oops : std::runtime_error {
    Oops() : std::runtime_error("oops") {}
};

/// How an attached program sees the host: loops that were nested by the application itself end by the application, except in Qt, where the reactor's run() ends all.
bool hostEndsNestedLoops() {
    return bine::kit::reactorName() == "qt" || bine::kit::reactorName() == "qt-noglib";
}

/// Keeps the peer's window full: streams until it has written so much.
class Stream final : public bine::Producer {
public:
    Stream(Talker& talker, std::size_t left) : talker_(talker), left_(left) {}
    void resumeProducing() override {
        paused_ = false;
        while (!paused_ && left_ > 0) {
            const std::size_t n = std::min<std::size_t>(left_, 16384);
            left_ -= n;
            talker_.transport().write(std::string(n, 's'));
        }
        if (left_ == 0)
            talker_.transport().unregisterProducer();
    }
    void pauseProducing() override {
        paused_ = true;
        ++pauses;
    }
    void stopProducing() override {}
    int pauses = 0;

private:
    Talker& talker_;
    std::size_t left_;
    bool paused_ = false;
};

} // namespace

class NestedLoopsTest : public bine::kit::ReactorTest {
    Q_OBJECT

    static void kindRows() {
        QTest::addColumn<Kind>("kind");
        for (const Kind kind : kinds())
            QTest::newRow(nameOf(kind)) << kind;
    }

private slots:
    // What a process makes once: a port's spare descriptor, the host's wake-ups.
    void initTestCase() {
        bine::kit::ReactorHost host;
        Scene scene(host);
        Others others(scene);
    }

    // --- Everything else goes on.

    void r245_r267_everythingElseGoesOn_data() { kindRows(); }
    void r245_r267_everythingElseGoesOn() {
        QFETCH(Kind, kind);
        Scene scene(host());
        Others others(scene);
        bool wentOn = false;
        bool returned = false;
        inCallback(scene, kind, [&] {
            wentOn = others.nestedWhileTheyGoOn();
            returned = true;
        });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QVERIFY2(wentOn, others.text().c_str());
    }

    void r245_aLoopInsideALoop_data() { kindRows(); }
    void r245_aLoopInsideALoop() {
        QFETCH(Kind, kind);
        Scene scene(host());
        Others others(scene);
        int returned = 0;
        bool wentOn = true;
        const auto outer = scene.host.nestedLoop();
        inCallback(scene, Kind::dataReceived, [&] {
            inCallback(scene, kind, [&] {
                wentOn = wentOn && others.nestedWhileTheyGoOn();
                ++returned;
                outer->quit();
            });
            wentOn = outer->exec() && others.nestedWhileTheyGoOn() && wentOn;
            ++returned;
        });
        QVERIFY(scene.spinUntil([&] { return returned == 2; }));
        QVERIFY2(wentOn, others.text().c_str());
    }

    void r245_fiftyDeep() {
        constexpr int depth = 50;
        Scene scene(host());
        Others others(scene);
        std::vector<std::shared_ptr<NestedLoop>> loops;
        std::vector<int> order;
        bool wentOn = false;
        std::function<void(int)> deeper = [&](int level) {
            if (level == depth) {
                wentOn = others.nestedWhileTheyGoOn();
                for (const auto& loop : loops)
                    loop->quit();
                return;
            }
            const auto loop = loops.emplace_back(scene.host.nestedLoop());
            const std::size_t n = static_cast<std::size_t>(level) % kinds().size();
            inCallback(scene, kinds()[n], [&, level] { deeper(level + 1); });
            loop->exec();
            order.push_back(level);
        };
        scene.reactor().callLater(0ms, [&] { deeper(0); });
        QVERIFY(scene.spinUntil([&] { return order.size() == depth; }));
        QVERIFY2(wentOn, others.text().c_str());
        for (int level = 0; level < depth; ++level)
            QCOMPARE(order[static_cast<std::size_t>(level)], depth - 1 - level);
        QVERIFY(others.nestedWhileTheyGoOn());
    }

    void r247_aTimersLoopHoldsNoOtherTimer() {
        Scene scene(host());
        const auto loop = scene.host.nestedLoop();
        int runs = 0;
        int others = 0;
        int before = 0;
        bool wasActive = true;
        bine::DelayedCall call;
        auto other = [&] {
            ++others;
            if (others == 12)
                loop->quit();
        };
        for (int i = 0; i < 5; ++i)
            scene.reactor().callLater(1ms, other); // due with the call itself, before and behind it
        call = scene.reactor().callLater(1ms, [&] {
            ++runs;
            before = others;
            wasActive = call.active();
            scene.reactor().callLater(0ms, other);
            scene.reactor().callLater(3ms, other);
            loop->exec();
        });
        for (int i = 0; i < 5; ++i)
            scene.reactor().callLater(1ms, other);
        QVERIFY(scene.spinUntil([&] { return others == 12; }));
        QCOMPARE(before, 5);
        QCOMPARE(runs, 1);
        QVERIFY(!wasActive);
    }

    void r247_fiftyCallsFromThreadsDoNotWaitForTheDialog() {
        Scene scene(host());
        const auto loop = scene.host.nestedLoop();
        std::vector<int> order;
        bool ended = false;
        std::thread([&] {
            scene.reactor().callFromThread([&] { ended = loop->exec(); });
            for (int i = 0; i < 50; ++i)
                scene.reactor().callFromThread([&, i] {
                    order.push_back(i);
                    if (i == 49)
                        loop->quit();
                });
        }).join();
        QVERIFY(scene.spinUntil([&] { return order.size() == 50; }));
        QVERIFY(scene.spinUntil([&] { return ended; }));
        for (int i = 0; i < 50; ++i)
            QCOMPARE(order[static_cast<std::size_t>(i)], i);
    }

    void r267_aDeferredFiredInsideRunsAtOnce() {
        Scene scene(host());
        Others others(scene);
        const auto loop = scene.host.nestedLoop();
        bine::Resolver<> outer;
        bine::Resolver<int> inner;
        std::string heard;
        auto d = outer.deferred();
        d.addCallback([&] {
            // Two that are fired meanwhile: one has its callback already, the other gets it when it has fired.
            scene.reactor().callLater(1ms, [&] {
                inner.callback(1);
                heard += heard == "i" ? "+" : "-";
                bine::succeed().addCallback([&] { heard += "s"; });
                heard += heard == "i+s" ? "+" : "-";
                d.addCallback(
                    [&] { heard += "late"; }); // of the chain on the stack: waits for its turn (D-015)
                loop->quit();
            });
            loop->exec();
            heard += "o";
        });
        inner.deferred().addCallback([&](int) { heard += "i"; });
        scene.reactor().callLater(0ms, [&] { outer.callback(); });
        QVERIFY(scene.spinUntil([&] { return heard.ends_with("late"); }));
        QCOMPARE(QByteArray::fromStdString(heard), QByteArray("i+s+olate"));
    }

    // --- The busy connection.

    void r246_theBusyConnectionIsServedInOrderAfterwards() {
        Scene scene(host());
        Others others(scene);
        auto line = scene.line();
        Talker& talker = *line.talker;
        std::string heardInside = "nothing yet";
        bool wentOn = false;
        std::uint64_t returnedIn = 0;
        std::uint64_t servedIn = 0;
        talker.onData = [&](Talker&, std::string_view) {
            if (returnedIn != 0) {
                if (servedIn == 0)
                    servedIn = scene.reactor().stats().turns;
                return;
            }
            for (int i = 0; i < 10; ++i)
                line.peer->send(std::to_string(i));
            line.peer->close();
            wentOn = others.nestedWhileTheyGoOn();
            heardInside = talker.data;
            returnedIn = scene.reactor().stats().turns;
        };
        line.peer->send("first ");
        QVERIFY(scene.spinUntil([&] { return talker.lost(); }));
        QVERIFY2(wentOn, others.text().c_str());
        QCOMPARE(QByteArray::fromStdString(heardInside), QByteArray("first "));
        QCOMPARE(QByteArray::fromStdString(talker.data), QByteArray("first 0123456789"));
        QCOMPARE(talker.events, (std::vector<std::string>{"made", "data", "lost"}));
        QCOMPARE(talker.deepest, 1);
        QVERIFY(talker.reason->check<bine::ConnectionDone>());
        // With one callback per turn every other connection may have its turn in between, twice.
        const bool oneByOne = qEnvironmentVariable("BINE_BUDGET") == "one";
        const auto most = oneByOne ? 2 * scene.reactor().stats().descriptors + 2 : 2;
        QVERIFY2(servedIn <= returnedIn + most,
                 qPrintable(QString("served %1 turns later").arg(servedIn - returnedIn)));
    }

    void r246_connectionMadeThatDoesNotReturn() {
        Scene scene(host());
        Others others(scene);
        auto line = scene.dial();
        Talker& talker = *line.talker;
        bool wentOn = false;
        std::vector<std::string> inside;
        talker.onMade = [&](Talker&) {
            wentOn = others.nestedWhileTheyGoOn();
            inside = talker.events;
        };
        line.peer->send("hello");
        line.peer->close();
        QVERIFY(scene.spinUntil([&] { return talker.lost(); }));
        QVERIFY2(wentOn, others.text().c_str());
        QCOMPARE(inside, std::vector<std::string>{"made"});
        QCOMPARE(QByteArray::fromStdString(talker.data), QByteArray("hello"));
        QCOMPARE(talker.events, (std::vector<std::string>{"made", "data", "lost"}));
        QCOMPARE(talker.deepest, 1);
    }

    void r246_manyBusyConnections() {
        Scene scene(host());
        Others others(scene);
        std::vector<Scene::Line> lines;
        int inside = 0;
        int returned = 0;
        bool wentOn = true;
        for (int i = 0; i < 20; ++i)
            lines.push_back(scene.line());
        for (auto& line : lines)
            line.talker->onData = [&](Talker& talker, std::string_view) {
                if (talker.data != "open")
                    return;
                ++inside;
                wentOn = others.nestedWhileTheyGoOn(2) && wentOn;
                ++returned;
            };
        for (auto& line : lines)
            line.peer->send("open");
        QVERIFY(scene.spinUntil([&] { return inside == 20; }));
        for (auto& line : lines)
            line.peer->send(", then more");
        QVERIFY(scene.spinUntil([&] {
            return std::all_of(lines.begin(), lines.end(),
                               [](auto& line) { return line.talker->data == "open, then more"; });
        }));
        QCOMPARE(returned, 20);
        QVERIFY2(wentOn, others.text().c_str());
        for (auto& line : lines)
            QCOMPARE(line.talker->deepest, 1);
    }

    void r246_theViewStaysWhatItWas() {
        Scene scene(host());
        auto one = scene.line();
        auto two = scene.line();
        const auto loop = scene.host.nestedLoop();
        std::string after;
        one.talker->onData = [&](Talker&, std::string_view view) {
            two.peer->send(std::string(5000, '2'));
            loop->exec();
            after = view;
        };
        two.talker->onData = [&](Talker&, std::string_view) { loop->quit(); };
        one.peer->send(std::string(5000, '1'));
        QVERIFY(scene.spinUntil([&] { return !after.empty(); }));
        QCOMPARE(QByteArray::fromStdString(after), QByteArray(static_cast<int>(after.size()), '1'));
    }

    // --- What it writes leaves.

    void r266_bytesWrittenBeforeLeaveWhileTheLoopRuns_data() { kindRows(); }
    void r266_bytesWrittenBeforeLeaveWhileTheLoopRuns() {
        QFETCH(Kind, kind);
        Scene scene(host());
        auto line = scene.line();
        std::string seen;
        bool ended = false;
        bool returned = false;
        const auto loop = scene.host.nestedLoop();
        std::unique_ptr<Witness> witness;
        inCallback(scene, kind, [&] {
            line.talker->transport().write("before");
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 6, [&](Witness::Seen what) {
                seen = what.data;
                loop->quit();
            });
            ended = loop->exec();
            returned = true;
        });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QVERIFY2(ended, "nothing left before the limit");
        QCOMPARE(QByteArray::fromStdString(seen), QByteArray("before"));
    }

    void r266_bytesOfTheBusyConnectionLeave() {
        Scene scene(host());
        auto line = scene.line();
        std::string seen;
        bool ended = false;
        const auto loop = scene.host.nestedLoop();
        std::unique_ptr<Witness> witness;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            talker.transport().write("before,");
            // A button inside the dialog: no callback of the reactor is there to end.
            scene.host.hostTimer(5ms, [&] { talker.transport().write("inside"); });
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 13, [&](Witness::Seen what) {
                seen = what.data;
                loop->quit();
            });
            ended = loop->exec();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return ended || !seen.empty(); }));
        QCOMPARE(QByteArray::fromStdString(seen), QByteArray("before,inside"));
        QVERIFY(ended);
    }

    void r266_itsProducerIsPumped() {
        constexpr std::size_t size = 4 << 20;
        Scene scene(host());
        auto line = scene.line();
        std::size_t seen = 0;
        bool returned = false;
        const auto loop = scene.host.nestedLoop();
        std::shared_ptr<Stream> stream;
        std::unique_ptr<Witness> witness;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            stream = std::make_shared<Stream>(talker, size);
            talker.transport().registerProducer(stream, true);
            stream->resumeProducing();
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, size, [&](Witness::Seen what) {
                seen = what.data.size();
                loop->quit();
            });
            loop->exec();
            returned = true;
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QCOMPARE(seen, size);
        QVERIFY(stream->pauses > 0);
    }

    // --- Its end.

    void r270_itsEndIsSeenAtOnce_data() {
        QTest::addColumn<bool>("abort");
        QTest::addColumn<bool>("inside");
        QTest::newRow("lose, then the dialog") << false << false;
        QTest::newRow("abort, then the dialog") << true << false;
        QTest::newRow("lose in the dialog") << false << true;
        QTest::newRow("abort in the dialog") << true << true;
    }
    void r270_itsEndIsSeenAtOnce() {
        QFETCH(bool, abort);
        QFETCH(bool, inside);
        Scene scene(host());
        auto line = scene.line();
        Witness::Seen seen;
        bool lostInside = true;
        bool ended = false;
        const auto loop = scene.host.nestedLoop();
        std::unique_ptr<Witness> witness;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            auto end = [&, abort] {
                talker.transport().write("bye");
                if (abort)
                    talker.transport().abortConnection();
                else
                    talker.transport().loseConnection();
            };
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 100, [&](Witness::Seen what) {
                seen = what;
                loop->quit();
            });
            if (inside)
                scene.host.hostTimer(2ms, end);
            else
                end();
            ended = loop->exec();
            lostInside = talker.lost();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->lost(); }));
        QVERIFY2(ended, "the peer saw no end before the limit");
        QVERIFY(!lostInside);
        QCOMPARE(seen.reset, abort);
        QCOMPARE(seen.end, !abort);
        QCOMPARE(QByteArray::fromStdString(seen.data), QByteArray(abort ? "" : "bye"));
        QCOMPARE(line.talker->deepest, 1);
        const auto* aborted = line.talker->reason->check<bine::ConnectionAborted>();
        QCOMPARE(aborted != nullptr, abort);
    }

    void r271_aPeerThatEndsABusyConnectionCausesNoSpinning_data() { endings(); }
    void r271_aPeerThatEndsABusyConnectionCausesNoSpinning() {
        QFETCH(bool, reset);
        QFETCH(bool, blocked);
        Scene scene(host());
        auto line = scene.line();
        std::uint64_t turns = 0;
        bool lostInside = true;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            if (blocked)
                talker.transport().write(std::string(16 << 20, 'b'));
            turns = turnsWhile(scene, [&] { reset ? line.peer->reset() : line.peer->close(); });
            lostInside = talker.lost();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->lost(); }));
        QVERIFY(!lostInside);
        QVERIFY2(turns <= 10, qPrintable(QString("%1 turns").arg(turns)));
        QCOMPARE(line.talker->deepest, 1);
    }

    void r271_aPeerThatEndsAPausedConnectionCausesNoSpinning_data() { endings(); }
    void r271_aPeerThatEndsAPausedConnectionCausesNoSpinning() {
        QFETCH(bool, reset);
        QFETCH(bool, blocked);
        Scene scene(host());
        auto line = scene.line();
        Talker& talker = *line.talker;
        if (blocked)
            talker.transport().write(std::string(16 << 20, 'b'));
        talker.transport().pauseProducing();
        const auto turns = turnsWhile(scene, [&] { reset ? line.peer->reset() : line.peer->close(); });
        QVERIFY2(turns <= 10, qPrintable(QString("%1 turns").arg(turns)));
        talker.transport().resumeProducing();
        QVERIFY(scene.spinUntil([&] { return talker.lost(); }));
        if (reset)
            QVERIFY(talker.reason->check<bine::ConnectionLost>());
    }

    // --- The reactor's end.

    void r248_stopInsideANestedLoop_data() { kindRows(); }
    void r248_stopInsideANestedLoop() {
        QFETCH(Kind, kind);
        Scene scene(host());
        Others others(scene);
        auto line = scene.line();
        const auto loop = scene.host.nestedLoop();
        bool open = false;
        std::string order;
        auto note = [&](const char* what) { order += std::string(what) + (open ? " (open) " : " "); };
        scene.reactor().addSystemEventTrigger("before", "shutdown", [&] { note("before"); });
        scene.reactor().addSystemEventTrigger("during", "shutdown", [&] { note("during"); });
        line.talker->onLost = [&](Talker&) { note("lost"); };
        scene.reactor().addSystemEventTrigger("after", "shutdown", [&] {
            note("after");
            if (!hostEndsNestedLoops())
                loop->quit();
        });
        // run() wants a reactor that nobody has started yet, or one that stopped.
        scene.reactor().crash();
        inCallback(scene, kind == Kind::hostTimer && !scene.host.hosted() ? Kind::timer : kind, [&] {
            scene.reactor().callLater(1ms, [&] { scene.reactor().stop(); });
            open = true;
            loop->exec();
            open = false;
            note("returned");
        });
        scene.host.run();
        QCOMPARE(QByteArray::fromStdString(order),
                 QByteArray("before (open) lost (open) during (open) after (open) returned "));
        QVERIFY(!scene.reactor().running());
    }

    void r269_theReactorIsDestroyedInside_data() { kindRows(); }
    void r269_theReactorIsDestroyedInside() {
        QFETCH(Kind, kind);
        for (int depth = 1; depth <= 3; ++depth) {
            Scene scene(host());
            Others others(scene);
            auto line = scene.line();
            scene.reactor().crash();
            std::vector<std::shared_ptr<NestedLoop>> loops;
            int returned = 0;
            std::function<void()> deeper = [&] {
                if (static_cast<int>(loops.size()) == depth) {
                    scene.host.destroyReactor();
                    for (const auto& loop : loops)
                        loop->quit();
                    return;
                }
                const auto loop = loops.emplace_back(scene.host.nestedLoop());
                inCallback(scene, kind, [&] { deeper(); });
                loop->exec();
                ++returned;
            };
            inCallback(scene, kind, [&] { deeper(); });
            scene.host.run();
            QCOMPARE(returned, depth);
            QVERIFY(line.talker->lost());
            QVERIFY(!scene.host.hasReactor());
        }
    }

    void r269_destroyedFiftyTimes() {
        for (int i = 0; i < 50; ++i) {
            Scene scene(host());
            auto line = scene.line();
            const auto loop = scene.host.nestedLoop();
            scene.reactor().crash();
            bool returned = false;
            line.talker->onData = [&](Talker&, std::string_view) {
                scene.reactor().callLater(0ms, [&] {
                    scene.host.destroyReactor();
                    loop->quit();
                });
                loop->exec();
                returned = true;
            };
            line.peer->send("x");
            scene.host.run();
            QVERIFY(returned);
            QVERIFY(line.talker->lost());
        }
    }

    // --- Owners.

    void r268_theOwnerOfADeferredDiesInside() {
        Scene scene(host());
        auto owner = std::make_unique<bine::Scope>();
        const auto loop = scene.host.nestedLoop();
        bine::Resolver<> resolver;
        std::string heard;
        std::weak_ptr<int> captured;
        bool returned = false;
        {
            auto alive = std::make_shared<int>(0);
            captured = alive;
            resolver.deferred()
                .ownedBy(*owner)
                .addCallback([&] {
                    scene.host.hostTimer(1ms, [&] {
                        owner.reset();
                        loop->quit();
                    });
                    loop->exec();
                    heard += "returned";
                    returned = true;
                })
                .addCallback([&, alive] { heard += ", went on"; })
                .addBoth([&](const bine::Result<>&) { heard += ", ended"; });
        }
        scene.reactor().callLater(0ms, [&] { resolver.callback(); });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QCOMPARE(QByteArray::fromStdString(heard), QByteArray("returned"));
        QVERIFY(captured.expired());
    }

    void r268_theOwnerOfACoroutineDiesInside() {
        Scene scene(host());
        auto owner = std::make_unique<bine::Scope>();
        const auto loop = scene.host.nestedLoop();
        std::string heard;
        auto alive = std::make_shared<int>(0);
        const std::weak_ptr<int> local = alive;
        bine::Resolver<> first, second;
        std::function<void()> dialog = [&] {
            scene.host.hostTimer(1ms, [&] {
                owner.reset();
                loop->quit();
            });
            loop->exec();
        };
        twoSteps(first.deferred(), second.deferred(), std::move(alive), dialog, heard).ownedBy(*owner);
        scene.reactor().callLater(0ms, [&] { first.callback(); });
        QVERIFY(scene.spinUntil([&] { return heard.ends_with("returned") && local.expired(); }));
        if (!second.called())
            second.callback();
        QCOMPARE(QByteArray::fromStdString(heard), QByteArray("began, returned"));
        QVERIFY(local.expired());
    }

    void r268_theOwnerOfAConnectionDiesInside() {
        Scene scene(host());
        auto owner = std::make_unique<bine::Scope>();
        auto line = scene.line();
        const auto loop = scene.host.nestedLoop();
        Witness::Seen seen;
        bool ended = false;
        line.talker->transport().ownedBy(*owner);
        std::unique_ptr<Witness> witness;
        line.talker->onData = [&](Talker&, std::string_view) {
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 1, [&](Witness::Seen what) {
                seen = what;
                loop->quit();
            });
            scene.host.hostTimer(1ms, [&] { owner.reset(); });
            ended = loop->exec();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return ended; }));
        QVERIFY(seen.reset);
        QVERIFY(scene.spinUntil([&] { return line.talker.use_count() == 1; }));
        QVERIFY(!line.talker->lost());
    }

    void r268_timersAndPortsOfAnOwnerEndInside() {
        Scene scene(host());
        auto owner = std::make_unique<bine::Scope>();
        const auto loop = scene.host.nestedLoop();
        auto port = bine::listenTCP(scene.reactor(), 0, bine::Factory::forProtocol<Talker>(),
                                    bine::TCPServerOptions().interface("127.0.0.1"));
        port.ownedBy(*owner);
        auto alive = std::make_shared<int>(0);
        const std::weak_ptr<int> captured = alive;
        bool fired = false;
        bool returned = false;
        bool listened = true;
        auto other = scene.reactor().callLater(2ms, [&fired, alive = std::move(alive)] { fired = true; });
        other.ownedBy(*owner);
        scene.reactor()
            .callLater(0ms,
                       [&] {
                           scene.reactor().callLater(0ms, [&] {
                               owner.reset();
                               listened = port.listening();
                               scene.reactor().callLater(4ms, [&] { loop->quit(); });
                           });
                           loop->exec();
                           returned = true;
                       })
            .ownedBy(*owner);
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QVERIFY(!fired);
        QVERIFY(!other.active());
        QVERIFY(captured.expired());
        QVERIFY(!listened);
    }

    // --- Exceptions.

    void r253_anExceptionAfterALoopIsTheConnectionsReason() {
        Scene scene(host());
        Others others(scene);
        auto line = scene.line();
        bool wentOn = false;
        line.talker->onData = [&](Talker&, std::string_view) {
            wentOn = others.nestedWhileTheyGoOn();
            throw Oops();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->lost(); }));
        QVERIFY(wentOn);
        QVERIFY(line.talker->reason->check<Oops>());
        QCOMPARE(loggedErrors().size(), std::size_t(1));
        QVERIFY(others.nestedWhileTheyGoOn());
    }

    void r253_exceptionsInsideALoopStayThere_data() { kindRows(); }
    void r253_exceptionsInsideALoopStayThere() {
        QFETCH(Kind, kind);
        if (kind == Kind::hostTimer)
            return; // the application's own business
        Scene scene(host());
        Others others(scene);
        int thrown = 0;
        bool wentOn = false;
        bool returned = false;
        inCallback(scene, Kind::dataReceived, [&] {
            const auto loop = scene.host.nestedLoop();
            inCallback(scene, kind, [&] {
                ++thrown;
                scene.reactor().callLater(0ms, [&] { loop->quit(); });
                throw Oops();
            });
            wentOn = loop->exec() && others.nestedWhileTheyGoOn();
            returned = true;
        });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QCOMPARE(thrown, 1);
        QVERIFY2(wentOn, others.text().c_str());
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

private:
    static void endings() {
        QTest::addColumn<bool>("reset");
        QTest::addColumn<bool>("blocked");
        QTest::newRow("closed") << false << false;
        QTest::newRow("reset") << true << false;
        QTest::newRow("closed, with bytes to send") << false << true;
        QTest::newRow("reset, with bytes to send") << true << true;
    }

    /// How many turns there are in a tenth of a second in a nested loop. Spinning makes tens of thousands.
    static std::uint64_t turnsWhile(Scene& scene, const std::function<void()>& f) {
        const auto loop = scene.host.nestedLoop();
        scene.host.hostTimer(100ms, [&] { loop->quit(); });
        const auto before = scene.reactor().stats().turns;
        f();
        loop->exec();
        return scene.reactor().stats().turns - before;
    }

    static Deferred<> twoSteps(Deferred<> first, Deferred<> second, std::shared_ptr<int> local,
                               std::function<void()> dialog, std::string& heard) {
        co_await first;
        heard += "began";
        dialog();
        heard += ", returned";
        co_await second;
        heard += ", went on";
        local.reset();
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<NestedLoopsTest>(argc, argv); }
#include "nested_loops_test.moc"
