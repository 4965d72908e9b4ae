// Callbacks that run the host's loop, as progress bars do, in any number: turns nest as deep as setNestingLimit() says and no deeper, nothing spins meanwhile, and all is
// served.

#include <sys/resource.h>
#include <sys/socket.h>

#include <stdexcept>
#include <thread>

#include "bine/reactors/reactor_core.h"
#include "dialogs/scene.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace dialogs;

namespace {

constexpr int many = 3000;

enum class What { timers, zeroDelay, threadCalls, descriptors, nextTurn, triggers };

} // namespace
Q_DECLARE_METATYPE(What)

class NestingLimitTest : public bine::kit::ReactorTest {
    Q_OBJECT

    /// What a callback does that keeps the window alive: runs the loop until there is nothing to do.
    void pump() {
        deepest_ = std::max(deepest_, reactor().core()->depth());
        for (int i = 0; i < 3; ++i) host().turn();
        ++ran_;
    }
    int deepest_ = 0;
    int ran_ = 0;
    int expected_ = many;

    std::vector<std::string> warnings() const {
        std::vector<std::string> all;
        for (const bine::LogEvent& event : seen_)
            if (event.level == bine::LogLevel::warn && event.message.find("esting limit") != std::string::npos) all.push_back(event.message);
        return all;
    }
    std::vector<bine::LogEvent> seen_;
    bine::LogSubscription log_;

private slots:
    void r280_turnsNestNoDeeperThanTheLimit_data() {
        QTest::addColumn<What>("what");
        QTest::newRow("timers") << What::timers;
        QTest::newRow("calls with zero delay") << What::zeroDelay;
        QTest::newRow("calls from a thread") << What::threadCalls;
        QTest::newRow("descriptors") << What::descriptors;
        QTest::newRow("what is left for the next turn") << What::nextTurn;
        QTest::newRow("triggers") << What::triggers;
    }
    void r280_turnsNestNoDeeperThanTheLimit() {
        QFETCH(What, what);
        begin();
        reactor().setNestingLimit(5);
        std::vector<std::unique_ptr<bine::kit::Wire>> wires;
        reactor().callLater(0ms, [&] {
            for (int i = 0; i < many; ++i) {
                if (what == What::timers)
                    reactor().callLater(1ms, [this] { pump(); });
                else if (what == What::zeroDelay)
                    reactor().callLater(0ms, [this] { pump(); });
                else if (what == What::nextTurn)
                    reactor().core()->soon([this] { pump(); });
                else if (what == What::triggers)
                    reactor().addSystemEventTrigger("during", "pumping", [this] { pump(); });
            }
            if (what == What::threadCalls)
                std::thread([this] {
                    for (int i = 0; i < many; ++i) reactor().callFromThread([this] { pump(); });
                }).join();
            if (what == What::descriptors) {
                expected_ = 200;
                for (int i = 0; i < expected_; ++i) wires.push_back(std::make_unique<bine::kit::Wire>(reactor(), [this](const std::string&) { pump(); }));
                for (auto& wire : wires) wire->send("x");
            }
            if (what == What::triggers) {
                for (int i = 0; i < many; ++i) reactor().callLater(0ms, [this] { pump(); });
                expected_ += many;
                reactor().callLater(0ms, [this] { reactor().fireSystemEvent("pumping"); });
            }
        });
        QVERIFY(host().spinUntil([&] { return ran_ == expected_; }));
        QVERIFY2(deepest_ <= 5, qPrintable(QString::number(deepest_)));
        QVERIFY(deepest_ > 1);
        QCOMPARE(reactor().core()->depth(), 0);
        wires.clear();
    }

    void r280_theDefaultIsEnoughForRealDialogs() {
        begin();
        reactor().callLater(0ms, [&] {
            for (int i = 0; i < many; ++i) reactor().callLater(0ms, [this] { pump(); });
        });
        QVERIFY(host().spinUntil([&] { return ran_ == many; }));
        QCOMPARE(deepest_, 64);
    }

    void r280_oneWarningNamesTheCallback() {
        begin();
        reactor().setNestingLimit(3);
        reactor().callLater(0ms, [&] {
            for (int i = 0; i < many; ++i) reactor().callLater(0ms, [this] { pump(); });
        });
        QVERIFY(host().spinUntil([&] { return ran_ == many; }));
        QCOMPARE(warnings().size(), std::size_t(1));
        QVERIFY2(warnings().front().find("callLater() at ") != std::string::npos, warnings().front().c_str());
        QVERIFY2(warnings().front().find("nesting_limit_test.cpp") != std::string::npos, warnings().front().c_str());
    }

    // The loop beyond the limit waits as ever: the descriptor is readable all the time.
    void r280_theLoopBeyondTheLimitDoesNotSpin() {
        begin();
        reactor().setNestingLimit(1);
        std::chrono::nanoseconds used{};
        long slept = 0;
        bool served = false;
        bool servedInside = false;
        reactor().callLater(0ms, [&] {
            reactor().callLater(0ms, [&] { served = true; });
            const auto before = threadTime();
            const long sleepsBefore = sleeps();
            const auto end = std::chrono::steady_clock::now() + 300ms;
            if (host().hosted()) {
                const auto loop = host().nestedLoop();
                host().hostTimer(300ms, [&] { loop->quit(); });
                loop->exec();
            } else {
                while (std::chrono::steady_clock::now() < end) reactor().iterate(100ms);
            }
            used = threadTime() - before;
            slept = sleeps() - sleepsBefore;
            servedInside = served;
        });
        QVERIFY(host().spinUntil([&] { return served; }));
        QVERIFY(!servedInside);
        QVERIFY2(used < 100ms, qPrintable(QString::number(used.count())));
        QVERIFY(slept >= 1 && slept < 100);
    }

    void r280_whatWasWrittenLeavesAlsoBeyondTheLimit() {
        begin();
        Scene scene(host());
        auto line = scene.line();
        reactor().setNestingLimit(1);
        Witness::Seen seen;
        bool inside = false;
        std::string got;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            talker.transport().write("before the loop");
            pump();
            char buffer[64];
            const ssize_t n = ::recv(line.peer->fd(), buffer, sizeof buffer, MSG_DONTWAIT);
            got.assign(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
            inside = true;
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return inside; }));
        QCOMPARE(QByteArray::fromStdString(got), QByteArray("before the loop"));
    }

    void r280_iterateBeyondTheLimitReturnsInTime() {
        begin();
        reactor().setNestingLimit(1);
        bool over = false;
        bool served = false;
        reactor().callLater(0ms, [&] {
            reactor().callLater(0ms, [&] { served = true; });
            reactor().iterate(0ms);
            reactor().iterate(10ms);
            reactor().iterate(bine::ReactorBase::infinite);
            QVERIFY(!served);
            over = true;
        });
        QVERIFY(host().spinUntil([&] { return over && served; }));
    }

    void r280_theReactorIsDestroyedAtTheLimit() {
        begin();
        reactor().setNestingLimit(3);
        bool ended = false;
        int depth = 0;
        reactor().addSystemEventTrigger("after", "shutdown", [&] { ended = true; });
        std::function<void()> deeper = [&] {
            if (!host().hasReactor()) return;
            if (++depth < 3) {
                reactor().callLater(0ms, [&] { deeper(); });
                for (int i = 0; i < 5 && host().hasReactor(); ++i) host().turn();
                return;
            }
            host().turn();
            host().destroyReactor();
        };
        reactor().callLater(0ms, [&] { deeper(); });
        for (int i = 0; i < 100 && host().hasReactor(); ++i) host().turn();
        QVERIFY(ended);
        QVERIFY(!host().hasReactor());
    }

    void r280_aHigherLimitCountsAtOnce() {
        begin();
        reactor().setNestingLimit(1);
        bool inside = false;
        bool served = false;
        reactor().callLater(0ms, [&] {
            reactor().callLater(0ms, [&] { served = true; });
            pump();
            QVERIFY(!served);
            reactor().setNestingLimit(2);
            pump();
            inside = served;
        });
        QVERIFY(host().spinUntil([&] { return served; }));
        QVERIFY(inside);
    }

    void r280_aLimitBelowOneIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().setNestingLimit(0));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().setNestingLimit(-1));
    }

private:
    void begin() {
        deepest_ = ran_ = 0;
        expected_ = many;
        seen_.clear();
        log_ = bine::addLogObserver([this](const bine::LogEvent& event) { seen_.push_back(event); });
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
        setrlimit(RLIMIT_NOFILE, &files);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<NestingLimitTest>(argc, argv); }
#include "nesting_limit_test.moc"
