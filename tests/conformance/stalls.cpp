// what held the loop: the longest callback by name, and the warning while it is held. A stall here is a callback that waits for the line that tells of it.

#include <atomic>
#include <fstream>
#include <mutex>
#include <semaphore>
#include <thread>

#include <dirent.h>

#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::kit::Wire;

namespace {

/// The wall's time, which is what is measured. Not CPU time: a callback that sleeps freezes a window too.
void hold(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
}

/// The lines about stalls, as they come from the thread that looks on.
class Lines {
public:
    Lines()
        : listening_(bine::addLogObserver([this](const bine::LogEvent& event) { heard(event); }, bine::LogLevel::warn)) {}

    /// Calls f, on that thread, when a line has both.
    void when(std::string a, std::string b, std::function<void()> f) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({std::move(a), std::move(b), std::move(f)});
    }
    /// Blocks until such a line is there.
    void wait(std::string a, std::string b) {
        std::binary_semaphore there(0);
        when(std::move(a), std::move(b), [&] { there.release(); });
        if (!there.try_acquire_for(bine::kit::safetyLimit()))
            qFatal("no such line");
    }
    /// "begins" and "ends" of those that name `what`.
    QString of(const std::string& what) {
        const std::lock_guard lock(mutex_);
        bine::kit::Steps steps;
        for (const auto& line : lines_)
            if (line.find(what) != std::string::npos)
                steps.add(line.find("holding") != std::string::npos ? "begins" : "ends");
        return steps.text();
    }

private:
    struct Wait {
        std::string a, b;
        std::function<void()> f;
    };
    void heard(const bine::LogEvent& event) {
        std::vector<std::function<void()>> due;
        {
            const std::lock_guard lock(mutex_);
            lines_.push_back(event.message);
            std::erase_if(waiting_, [&](Wait& wait) {
                if (event.message.find(wait.a) == std::string::npos || event.message.find(wait.b) == std::string::npos)
                    return false;
                due.push_back(std::move(wait.f));
                return true;
            });
        }
        for (const auto& f : due)
            f();
    }

    std::mutex mutex_;
    std::vector<std::string> lines_;
    std::vector<Wait> waiting_;
    bine::LogSubscription listening_;
};

/// How often the watchdog's thread went to sleep; -1 if there is none.
long sleepsOfTheWatchdog() {
    long sleeps = -1;
    DIR* const tasks = opendir("/proc/self/task");
    while (const dirent* task = readdir(tasks)) {
        const std::string where = std::string("/proc/self/task/") + task->d_name;
        std::string word;
        std::getline(std::ifstream(where + "/comm"), word);
        if (word != "bine stalls")
            continue;
        // A thread that has been joined is listed for a moment yet. Then it is at its end, and says so.
        constexpr unsigned long exiting = 4; // PF_EXITING, the kernel's include/linux/sched.h
        unsigned long flags = 0;
        std::ifstream stat(where + "/stat"); // proc(5): number, (name), state, five more, flags
        std::getline(stat, word, ')');
        for (int i = 0; i < 6; ++i)
            stat >> word;
        if (stat >> flags && (flags & exiting))
            continue;
        std::ifstream status(where + "/status");
        while (status >> word)
            if (word == "voluntary_ctxt_switches:")
                status >> sleeps;
    }
    closedir(tasks);
    return sleeps;
}

std::string here(unsigned line) { return "stalls.cpp:" + std::to_string(line); }

struct Slow : bine::Protocol {
    explicit Slow(std::function<void()> f) : f(std::move(f)) {}
    void dataReceived(std::string_view) override { f(); }
    std::function<void()> f;
};

} // namespace

class StallsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // --- The statistics.

    void r255_noCallbackNoName() {
        QCOMPARE(reactor().stats().longestCallback, bine::Duration::zero());
        QCOMPARE(reactor().stats().longestCallbackName, std::string());
    }

    void r255_theLongestCallbackIsNamed() {
        reactor().callLater(0s, [] {});
        reactor().callLater(0s, [] { hold(50ms); });
        const auto line = static_cast<unsigned>(__LINE__) - 1;
        reactor().callLater(1ms, [] {});
        reactor().callLater(2ms, [&] { reactor().stop(); });
        run();
        const auto stats = reactor().stats();
        QVERIFY(stats.longestCallback >= 50ms);
        QVERIFY2(stats.longestCallbackName.ends_with(here(line)), stats.longestCallbackName.c_str());
        QVERIFY2(stats.longestCallbackName.starts_with("callLater() at "), stats.longestCallbackName.c_str());
    }

    void r255_callsFromThreadsAndDescriptorsHaveNames() {
        reactor().callFromThread([] { hold(50ms); });
        std::string afterCall;
        Wire wire(reactor(), [&](const std::string&) {
            afterCall = reactor().stats().longestCallbackName;
            hold(100ms);
            reactor().stop();
        });
        reactor().callLater(1ms, [&] { wire.send("x"); });
        run();
        QCOMPARE(afterCall, std::string("callFromThread()"));
        const std::string name = reactor().stats().longestCallbackName;
        QVERIFY2(name.find("Wire::End, descriptor ") != std::string::npos, name.c_str());
        QVERIFY(reactor().stats().longestCallback >= 100ms);
    }

    void r255_connectionsAreCalledByTheirProtocol() {
        auto port = bine::listenTCP(reactor(), 0, bine::Factory::make([&](const bine::Address&) {
                                        return std::make_shared<Slow>([&] {
                                            hold(100ms);
                                            reactor().stop();
                                        });
                                    }),
                                    bine::TCPServerOptions().listenOn("127.0.0.1"));
        bine::connectProtocol(reactor(), "127.0.0.1", port.getHost().port(), std::make_shared<Slow>([] {}))
            .addCallback([](std::shared_ptr<Slow> client) { client->transport().write("x"); });
        run();
        const std::string name = reactor().stats().longestCallbackName;
        QVERIFY2(name.find("Slow,") != std::string::npos && !name.ends_with("client"), name.c_str());
    }

    void r255_startupIsMeasured() {
        reactor().callWhenRunning([&] {
            hold(50ms);
            reactor().stop();
        });
        run();
        QCOMPARE(reactor().stats().longestCallbackName, std::string("startup"));
        QVERIFY(reactor().stats().longestCallback >= 50ms);
    }

    void r255_aCallbackThatThrowsIsMeasured() {
        reactor().callLater(1ms, [] {
            hold(50ms);
            throw std::runtime_error("no luck");
        });
        reactor().callLater(2ms, [&] { reactor().stop(); });
        run();
        QVERIFY(reactor().stats().longestCallback >= 50ms);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    // Waiting in a dialog freezes nothing: what is not the whole of it belongs to the stretches beside it.
    void r255_aDialogIsNotOneLongCallback() {
        const auto loop = host().nestedLoop();
        std::chrono::nanoseconds dialog{};
        reactor().callLater(1ms, [&] {
            const auto began = std::chrono::steady_clock::now();
            reactor().callLater(600ms, [&] { loop->quit(); });
            loop->exec();
            dialog = std::chrono::steady_clock::now() - began;
            reactor().stop();
        });
        run();
        QVERIFY(dialog >= 600ms);
        QVERIFY2(reactor().stats().longestCallback < 600ms, reactor().stats().longestCallbackName.c_str());
    }

    // --- The warning.

    void r255_aStallIsToldWhileItLastsAndWhenItIsOver() {
        Lines lines;
        reactor().warnOfStalls(20ms);
        QString meanwhile;
        int stalls = 0;
        const unsigned line = static_cast<unsigned>(__LINE__) + 1;
        std::function<void()> stall = [&] { reactor().callLater(1ms, [&] {
            lines.wait(here(line), "holding");
            meanwhile += lines.of(here(line)) + "; ";
            lines.when(here(line), "let go", [&] { reactor().callFromThread([&] { ++stalls < 2 ? stall() : reactor().stop(); }); });
        }); };
        reactor().callWhenRunning([&] { stall(); });
        run();
        QCOMPARE(meanwhile, QString("begins; begins ends begins; "));
        QCOMPARE(lines.of(here(line)), QString("begins ends begins ends"));
    }

    void r255_eachStallIsToldOnce() {
        Lines lines;
        reactor().warnOfStalls(10ms);
        const unsigned line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] {
            lines.wait(here(line), "holding");
            hold(100ms); // ten times as long as it takes to be told of
        });
        lines.when(here(line), "let go", [&] { reactor().callFromThread([&] { reactor().stop(); }); });
        run();
        QCOMPARE(lines.of(here(line)), QString("begins ends"));
    }

    void r255_theEventHasTheNameAndTheDuration() {
        std::atomic<int> good{0};
        Lines lines;
        unsigned line = 0;
        const auto listening = bine::addLogObserver([&](const bine::LogEvent& event) {
            if (event.logNamespace != "bine.reactor" || event.fields.size() != 2 || event.level != bine::LogLevel::warn)
                return;
            if (event.fields[0].key() == "callback" && event.fields[0].value().ends_with(here(line)) &&
                event.fields[1].key() == "milliseconds" && std::stoi(event.fields[1].value()) >= 10)
                ++good;
        });
        reactor().warnOfStalls(10ms);
        line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] { lines.wait(here(line), "holding"); });
        lines.when(here(line), "let go", [&] { reactor().callFromThread([&] { reactor().stop(); }); });
        run();
        QCOMPARE(good.load(), 2);
    }

    void r255_aDialogIsNoStallButWhatFollowsItIs() {
        Lines lines;
        reactor().warnOfStalls(250ms);
        const auto loop = host().nestedLoop();
        QString before;
        const unsigned line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] {
            reactor().callLater(600ms, [&] { loop->quit(); }); // nothing happens in it
            loop->exec();
            before = lines.of(here(line));
            lines.wait(here(line), "holding");
            reactor().stop();
        });
        run();
        QCOMPARE(before, QString());
    }

    void r255_aStallInADialogHasTheNameOfWhoStalls() {
        Lines lines;
        reactor().warnOfStalls(10ms);
        const auto loop = host().nestedLoop();
        QString outside;
        const unsigned line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] {
            reactor().callLater(1ms, [&] {
                lines.wait(here(line + 1), "holding");
                loop->quit();
            });
            loop->exec();
            reactor().stop();
        });
        run();
        QVERIFY(lines.of(here(line + 1)).startsWith("begins"));
    }

    void r256_theWatchdogSleepsWhileTheLoopDoes() {
        reactor().warnOfStalls(10ms);
        const auto loop = host().nestedLoop();
        long slept = 0;
        host().hostTimer(100ms, [&] {
            slept = sleepsOfTheWatchdog();
            QVERIFY(slept >= 0);
            host().hostTimer(500ms, [&] {
                slept = sleepsOfTheWatchdog() - slept;
                loop->quit();
            });
        });
        reactor().callWhenRunning([] {});
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        loop->exec();
        // Where the reactor is the loop the timers are its own: awake for the rest of the first one's time, asleep again, and awake for the second.
        QVERIFY2(slept <= 5, qPrintable(QString("%1 times").arg(slept)));
    }

    void r255_itIsOffUnlessAskedForAndMayBeSwitchedOff() {
        long before = 0, on = 0, off = 0;
        reactor().callLater(1ms, [&] {
            before = sleepsOfTheWatchdog();
            reactor().warnOfStalls(10s);
            while ((on = sleepsOfTheWatchdog()) < 0) // until the thread has its name
                std::this_thread::yield();
            reactor().warnOfStalls(bine::ReactorBase::infinite);
            off = sleepsOfTheWatchdog();
            reactor().stop();
        });
        run();
        QCOMPARE(before, -1L);
        QCOMPARE(off, -1L);
    }

    void r255_whatIsSwitchedOnInACallbackWatchesThatCallback() {
        Lines lines;
        const unsigned line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] {
            reactor().warnOfStalls(10ms);
            lines.wait(here(line), "holding");
            reactor().warnOfStalls(20ms); // again, and from now on
            lines.wait(here(line), "holding");
            reactor().stop();
        });
        run();
        QVERIFY(lines.of(here(line)).startsWith("begins"));
    }

    void r269_itEndsWithTheReactor() {
        reactor().warnOfStalls(10ms);
        runToTheEnd();
        QCOMPARE(sleepsOfTheWatchdog(), -1L);
        if (host().hosted())
            host().attach();
        runToTheEnd(); // and comes again with it
        QCOMPARE(sleepsOfTheWatchdog(), -1L);
    }

    void r269_theReactorDiesInTheCallbackThatStalls() {
        Lines lines;
        reactor().warnOfStalls(10ms);
        const unsigned line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] {
            lines.wait(here(line), "holding");
            host().destroyReactor();
        });
        run();
        QVERIFY(lines.of(here(line)).startsWith("begins"));
        QCOMPARE(sleepsOfTheWatchdog(), -1L);
    }

    void r269_anObserverThatDoesNotReturnHoldsNoEndUp() {
        std::binary_semaphore heard(0), release(0);
        unsigned line = 0;
        auto listening = bine::addLogObserver([&](const bine::LogEvent& event) {
            if (event.message.find(here(line)) == std::string::npos || event.message.find("holding") == std::string::npos)
                return;
            heard.release();
            release.acquire();
        }, bine::LogLevel::warn);
        reactor().warnOfStalls(10ms);
        line = static_cast<unsigned>(__LINE__) + 1;
        reactor().callLater(1ms, [&] {
            heard.acquire();
            reactor().stop();
        });
        run();
        QVERIFY(!reactor().running());
        release.release();
    }

    void r255_whatIsNotPositiveIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().warnOfStalls(0ms));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().warnOfStalls(-1ms));
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<StallsTest>(argc, argv); }
#include "stalls.moc"
