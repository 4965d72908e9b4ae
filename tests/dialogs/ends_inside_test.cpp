// What ends while a nested loop is open: the reactor, by stop() or its destruction, and the owners of
// Deferreds, calls, connections and ports.

#include "dialogs/kind_rows.h"
#include "kit/reactor_test.h"

using namespace dialogs;
using bine::kit::NestedLoop;

class EndsInsideTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
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
            if (!bine::kit::inQt())
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
                                    bine::TCPServerOptions().listenOn("127.0.0.1"));
        port.ownedBy(*owner);
        auto alive = std::make_shared<int>(0);
        const std::weak_ptr<int> captured = alive;
        bool fired = false;
        bool returned = false;
        bool listened = true;
        auto other = scene.reactor().callLater(1h, [&fired, alive = std::move(alive)] { fired = true; });
        other.ownedBy(*owner);
        scene.reactor()
            .callLater(0ms,
                       [&] {
                           scene.reactor().callLater(0ms, [&] {
                               other.reset(2ms);  // not before: a machine that is late would let it fire
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

private:
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

int main(int argc, char** argv) { return bine::kit::runTests<EndsInsideTest>(argc, argv); }
#include "ends_inside_test.moc"
