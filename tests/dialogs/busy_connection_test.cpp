// The connection whose callback opened the nested loop: it hears nothing and loses nothing, what it writes
// leaves, and its end is seen.

#include <algorithm>

#include "bine/net/producer.h"
#include "dialogs/kind_rows.h"
#include "kit/reactor_test.h"

using namespace dialogs;

namespace {

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

class BusyConnectionTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // --- What it hears.

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
        constexpr std::size_t size = 16 << 20; // more than the kernel keeps
        Scene scene(host());
        auto line = scene.line();
        line.peer->takeLittle();
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

private:
    static void endings() {
        QTest::addColumn<bool>("reset");
        QTest::addColumn<bool>("blocked");
        QTest::newRow("closed") << false << false;
        QTest::newRow("reset") << true << false;
        QTest::newRow("closed, with bytes to send") << false << true;
        QTest::newRow("reset, with bytes to send") << true << true;
    }

    static std::uint64_t turnsWhile(Scene& scene, const std::function<void()>& f) {
        const auto loop = scene.host.nestedLoop();
        scene.host.hostTimer(100ms, [&] { loop->quit(); });
        const auto before = scene.reactor().stats().turns;
        f();
        loop->exec();
        return scene.reactor().stats().turns - before;
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<BusyConnectionTest>(argc, argv); }
#include "busy_connection_test.moc"
