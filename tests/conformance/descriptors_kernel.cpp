// Contract 2.D: regular files, and the kernel's ways.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <stdexcept>
#include <thread>

#include "bine/defer/looping_call.h"
#include "bine/log/log.h"
#include "conformance/descriptor_testing.h"

using namespace std::chrono_literals;
using bine::Failure;
using bine::IoResult;
using bine::kit::cpuTimeOfThread;

class DescriptorsKernelTest : public DescriptorTest {
    Q_OBJECT

private slots:
    // --- Regular files

    void r067_aRegularFileIsRead() {
        const Fd disk = file(std::string(10'000, 'x'));
        Probe probe(disk);
        std::size_t size = 0;
        probe.onRead = [&]() -> IoResult {
            const std::string piece = take(disk);
            size += piece.size();
            if (piece.empty())
                return bine::ConnectionDone();
            return {};
        };
        reactor().addReader(probe);
        QCOMPARE(reactor().getReaders(), std::vector<bine::ReadDescriptor*>{&probe});
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        QCOMPARE(size, std::size_t(10'000));
        QVERIFY(probe.lost<bine::ConnectionDone>());
    }

    void r067_theClassicProgram() {
        // A reader of the input, a writer of a regular file, and a clock: it may not occupy the processor.
        const Pair input = Pair::pipe();
        const Fd disk = file();
        Probe reader(input.near), journal(disk);
        journal.onWrite = [&] {
            disk.send("x");
            return IoResult();
        };
        reactor().addReader(reader);
        reactor().addWriter(journal);
        int ticks = 0;
        bine::LoopingCall clock(reactor(), [&] {
            if (++ticks == 2)
                input.far.send("hello");
        });
        bine::TimePoint start;
        std::uint64_t turnsBefore = 0;
        std::chrono::nanoseconds cpu{};
        reactor().callWhenRunning([&] {
            clock.start(20ms);
            start = reactor().now();
            turnsBefore = reactor().stats().turns;
            cpu = cpuTimeOfThread();
        });
        reactor().callLater(300ms, [&] { // the length of what is looked at
            const auto milliseconds = static_cast<int>((reactor().now() - start) / 1ms);
            const auto used = reactor().stats().turns - turnsBefore;
            cpu = cpuTimeOfThread() - cpu;
            QVERIFY2(journal.writes > 3, qPrintable(QString::number(journal.writes)));
            QVERIFY2(journal.writes <= milliseconds + 1, qPrintable(QString::number(journal.writes)));
            QVERIFY2(used <= 4u * static_cast<unsigned>(milliseconds) + 50, qPrintable(QString::number(used)));
            QVERIFY2(cpu < (reactor().now() - start) / 2, qPrintable(QString::number(cpu.count())));
            QCOMPARE(reader.text, std::string("hello"));
            clock.stop();
            reactor().stop();
        });
        run();
        QVERIFY(ticks > 2);
        QVERIFY(journal.lost<bine::ConnectionLost>());
    }

    void r067_noneIsServedTwiceBeforeAllAreServedOnce() {
        std::deque<Fd> files;
        std::deque<Probe> probes;
        std::map<std::uint64_t, int> inTurn;
        for (int i = 0; i < 20; ++i) {
            Probe& probe = probes.emplace_back(files.emplace_back(file("x")));
            probe.onRead = [&] {
                ++inTurn[reactor().stats().turns];
                return IoResult();
            };
            reactor().addReader(probe);
        }
        reactor().setTurnBudget(0s);
        QCOMPARE(reactor().getDelayedCalls().size(), std::size_t(0));
        QCOMPARE(reactor().stats().delayedCalls, std::size_t(0));
        QVERIFY(host().spinUntil([&] { return probes.back().reads == 3; }));
        for (const Probe& probe : probes)
            QVERIFY2(probe.reads >= 2 && probe.reads <= 4, qPrintable(QString::number(probe.reads)));
        for (const auto& [turn, files] : inTurn)
            QCOMPARE(files, 1); // no more than the budget
    }

    void r067_withoutOneNothingWakesTheLoop() {
        const Fd disk = file("x");
        {
            Probe first(disk), second(disk);
            reactor().addReader(first);
            reactor().addWriter(second);
            reactor().removeReader(first);
            QVERIFY(host().spinUntil([&] { return second.writes > 0; }));
        }
        std::uint64_t used = 0;
        std::jthread other;
        reactor().callLater(20ms, [&] {
            used = reactor().stats().turns;
            other = std::jthread([&] {
                std::this_thread::sleep_for(150ms); // the length of the sleep that is looked at
                reactor().callFromThread([&] {
                    used = reactor().stats().turns - used;
                    reactor().stop();
                });
            });
        });
        if (host().hosted())
            host().nestedLoop([&] { return !reactor().running(); });
        else
            while (reactor().running())
                reactor().iterate(1h);
        QVERIFY2(used <= 2, qPrintable(QString::number(used)));
    }

    void r067_aFileLeftAloneInItsOwnDialogCostsNothing() {
        const Fd disk = file("x"), another = file("x");
        Probe busy(disk), other(another);
        other.onRead = [] { return IoResult(); };
        bool goneOn = false;
        busy.onRead = [&]() -> IoResult {
            if (goneOn)
                return {};
            const int before = other.reads;
            goneOn = host().nestedLoop([&] { return other.reads > before + 3; });
            return {};
        };
        reactor().addReader(busy);
        reactor().addReader(other);
        QVERIFY(host().spinUntil([&] { return goneOn; }));
        QCOMPARE(busy.deepest, 1);
        const int reads = busy.reads;
        QVERIFY(host().spinUntil([&] { return busy.reads > reads + 2; })); // and is served again
    }

    void r067_whatElseTheKernelCannotWaitFor() {
        const Fd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        Probe folder(directory), sink(null);
        reactor().addReader(folder);
        reactor().addReader(sink);
        reactor().addWriter(sink);
        QVERIFY(host().spinUntil([&] { return folder.reads > 1 && sink.writes > 1 && sink.reads > 1; }));
        reactor().removeReader(sink);
        const int reads = sink.reads, writes = sink.writes;
        QVERIFY(host().spinUntil([&] { return sink.writes > writes + 1; }));
        QCOMPARE(sink.reads, reads);
    }

    // --- The kernel's ways

    void r068_numbersBeyondThoseOfSelect() {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        const rlimit before = limit;
        limit.rlim_cur = (std::min<rlim_t>)(limit.rlim_max, FD_SETSIZE + 100);
        ::setrlimit(RLIMIT_NOFILE, &limit);
        {
            const Pair pair = Pair::sockets();
            const Fd high(::fcntl(pair.near, F_DUPFD_CLOEXEC, FD_SETSIZE));
            QVERIFY(high >= FD_SETSIZE);
            Probe probe(high), low(pair.near);
            if (bine::kit::reactorName() == "select") {
                QVERIFY_THROWS_EXCEPTION(std::out_of_range, reactor().addReader(probe));
                QVERIFY_THROWS_EXCEPTION(std::out_of_range, reactor().addWriter(probe));
                QVERIFY(reactor().getReaders().empty() && reactor().getWriters().empty());
                QCOMPARE(reactor().stats().descriptors, std::size_t(0));
                reactor().addReader(low);
                pair.far.send("x");
                QVERIFY(host().spinUntil([&] { return low.text == "x"; }));
                QVERIFY(probe.losses.empty());
            } else {
                reactor().addReader(probe);
                pair.far.send("x");
                QVERIFY(host().spinUntil([&] { return probe.text == "x"; }));
            }
        }
        ::setrlimit(RLIMIT_NOFILE, &before);
    }

    void r069_aSignalIsInvisible() {
        struct sigaction action {}, old {};
        static std::atomic<int> handled;
        handled = 0;
        action.sa_handler = [](int) { ++handled; }; // and no SA_RESTART
        ::sigaction(SIGUSR1, &action, &old);
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        reactor().addReader(probe);
        const pthread_t self = ::pthread_self();
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                // Again and again: TSan may keep one back until the thread makes its next call, which a loop that sleeps does not.
                while (handled < 50) {
                    ::pthread_kill(self, SIGUSR1);
                    std::this_thread::yield();
                }
                pair.far.send("x");
            });
        });
        probe.onRead = [&] {
            probe.text += take(pair.near);
            reactor().stop();
            return IoResult();
        };
        run();
        other.join();
        QCOMPARE(probe.text, std::string("x"));
        QCOMPARE(probe.reads, 1);
        ::sigaction(SIGUSR1, &old, nullptr);
    }

    void r070_aBadDescriptorCostsNobodyElse() {
        Pair one = Pair::sockets(), two = Pair::sockets();
        const Pair three = Pair::sockets();
        Probe culprit(one.near), writer(two.near), other(three.near);
        reactor().addReader(culprit);
        reactor().addWriter(writer);
        reactor().addReader(other);
        one.near.close();
        two.near.close();
        three.far.send("x");
        QVERIFY(host().spinUntil([&] { return other.text == "x"; }));
        turns();
        // epoll takes closed descriptors out by itself, and does not tell.
        const bool told = bine::kit::reactorName() == "poll" || bine::kit::reactorName() == "select";
        for (const Probe* bad : {&culprit, &writer}) {
            QCOMPARE(bad->reads + bad->writes, 0);
            QCOMPARE(bad->lost<bine::ConnectionFdescWentAway>(), told);
        }
        QCOMPARE(reactor().getReaders().size(), std::size_t(told ? 1 : 2));
        three.far.send("y");
        QVERIFY(host().spinUntil([&] { return other.text == "xy"; }));
        const auto used = reactor().stats().turns;
        turns();
        QVERIFY(reactor().stats().turns - used <= 10); // what is bad does not keep it awake
    }

    void r071_thePrefixLabelsWhatIsLogged() {
        std::vector<std::string> prefixes;
        const auto listening = bine::addLogObserver([&](const bine::LogEvent& event) {
            if (event.logNamespace == "test" || event.failure)
                prefixes.push_back(event.prefix);
        });
        const bine::Logger log("test");
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            log.info("reading");
            return IoResult();
        };
        probe.onWrite = [&]() -> IoResult {
            log.info("writing");
            throw std::runtime_error("no luck");
        };
        probe.onLost = [&](const Failure&) { log.info("lost"); };
        pair.far.send("x");
        reactor().addReader(probe);
        reactor().addWriter(probe);
        QVERIFY(host().spinUntil([&] { return !probe.losses.empty(); }));
        log.info("outside");
        QCOMPARE(prefixes, (std::vector<std::string>{"probe", "probe", "probe", "probe", ""}));
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r071_withoutOneItIsTheNameOfTheClass() {
        std::string prefix;
        const auto listening = bine::addLogObserver([&](const bine::LogEvent& event) { prefix = event.prefix; });
        const Pair pair = Pair::sockets();
        Nameless nameless(pair.near);
        pair.far.send("x");
        reactor().addReader(nameless);
        QVERIFY(host().spinUntil([&] { return !prefix.empty(); }));
        QVERIFY2(prefix.ends_with("Nameless"), prefix.c_str());
    }

    void r072_whoLeavesDataIsCalledAgain() {
        const Pair pair = Pair::sockets();
        Probe probe(pair.near);
        probe.onRead = [&] {
            probe.text += take(pair.near, 1);
            return IoResult();
        };
        pair.far.send("abc");
        reactor().addReader(probe);
        QVERIFY(host().spinUntil([&] { return probe.text == "abc"; }));
        turns();
        QCOMPARE(probe.reads, 3);
    }

    void r073_oneCallInAPass() {
        const Pair one = Pair::sockets(), two = Pair::sockets();
        Probe greedy(one.near), modest(two.near);
        std::vector<std::uint64_t> turnsOfGreedy;
        greedy.onRead = [&] {
            turnsOfGreedy.push_back(reactor().stats().turns);
            return IoResult();
        };
        one.far.send("x"); // never read
        reactor().addReader(greedy);
        reactor().addReader(modest);
        QVERIFY(host().spinUntil([&] { return greedy.reads > 5; }));
        two.far.send("x");
        int timers = 0;
        reactor().callLater(0s, [&] { ++timers; });
        const int before = greedy.reads;
        QVERIFY(host().spinUntil([&] { return modest.reads == 1 && timers == 1; }));
        QVERIFY2(greedy.reads <= before + 5, qPrintable(QString::number(greedy.reads - before)));
        for (std::size_t i = 1; i < turnsOfGreedy.size(); ++i)
            QVERIFY(turnsOfGreedy[i] > turnsOfGreedy[i - 1]);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<DescriptorsKernelTest>(argc, argv); }
#include "descriptors_kernel.moc"
