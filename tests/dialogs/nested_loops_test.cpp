// A nested loop of the host, opened in any callback: everything else goes on, at any depth (R-245, R-247,
//

#include <stdexcept>
#include <thread>

#include "dialogs/kind_rows.h"
#include "kit/reactor_test.h"

using namespace dialogs;
using bine::kit::NestedLoop;

namespace {

struct Oops : std::runtime_error {
    Oops() : std::runtime_error("oops") {}
};

} // namespace

class NestedLoopsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
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
};

int main(int argc, char** argv) { return bine::kit::runTests<NestedLoopsTest>(argc, argv); }
#include "nested_loops_test.moc"
