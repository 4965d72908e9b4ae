// Contract 2.O, R-009, R-229, R-230, R-261: SIGINT and SIGTERM. (Children are in children.cpp.)

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>

#include "bine/defer/deferred.h"
#include "bine/log/sanitizer.h"
#include "bine/reactors/native_reactors.h"
#include "kit/nest.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::Resolver;
using bine::SignalHandling;
using bine::kit::Steps;
using bine::kit::watchPhases;

namespace {

#if defined(BINE_SANITIZED) && !defined(BINE_ASAN)
constexpr bool underTsan = true;
#else
constexpr bool underTsan = false;
#endif

using Handler = void (*)(int);

struct sigaction dispositionOf(int number) {
    struct sigaction now{};
    sigaction(number, nullptr, &now);
    return now;
}

bool isDefault(int number) { return dispositionOf(number).sa_handler == SIG_DFL; }

bool bothAreDefault() { return isDefault(SIGINT) && isDefault(SIGTERM); }

void put(int number, Handler handler) {
    struct sigaction action{};
    action.sa_handler = handler;
    sigaction(number, &action, nullptr);
}

/// The dispositions of a fresh process, while it lives: Qt Test has handlers of its own.
class FreshProcess {
public:
    FreshProcess() {
        for (int i = 0; i < 3; ++i) {
            sigaction(numbers[i], nullptr, &before_[i]);
            put(numbers[i], SIG_DFL);
        }
    }
    ~FreshProcess() {
        for (int i = 0; i < 3; ++i)
            sigaction(numbers[i], &before_[i], nullptr);
    }
    FreshProcess(const FreshProcess&) = delete;
    FreshProcess& operator=(const FreshProcess&) = delete;

private:
    static constexpr int numbers[] = {SIGINT, SIGTERM, SIGCHLD};
    struct sigaction before_[3];
};

std::atomic<int> noted{0};
void note(int number) { noted = number; }
std::atomic<int> calls{0};
std::atomic<pid_t> origin{0};
void noteOrigin(int, siginfo_t* info, void*) { origin = info->si_pid; }

struct sigaction foundThere{};
void callWhomItFound(int number, siginfo_t* info, void* context) {
    ++calls;
    foundThere.sa_sigaction(number, info, context);
}

/// How a fork ended that ran f.
template <class F>
int statusOfFork(F f) {
    const pid_t child = fork();
    if (child == 0) {
        f();
        _exit(0);
    }
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

bool diedOf(int status, int number) { return WIFSIGNALED(status) && WTERMSIG(status) == number; }

} // namespace

class SignalsTest : public bine::kit::ReactorTest {
    Q_OBJECT

    /// run(), with signals, and `f` called in it.
    template <class F>
    void runAnd(F f) {
        reactor().setSignalHandling(SignalHandling::on);
        reactor().callLater(0s, std::move(f));
        run();
    }

private slots:
    // --- Coming and going

    void r009_theyComeDuringStartup() {
        const FreshProcess fresh;
        reactor().setSignalHandling(SignalHandling::on);
        QVERIFY(bothAreDefault());
        bool before = false;
        bool during = false;
        reactor().addSystemEventTrigger("before", "startup", [&] { before = bothAreDefault(); });
        reactor().addSystemEventTrigger("during", "startup",
                                        [&] { during = !isDefault(SIGINT) && !isDefault(SIGTERM); });
        runToTheEnd();
        QVERIFY(before);
        QVERIFY(during);
    }

    void r009_notWhileStartupWaits() {
        const FreshProcess fresh;
        Resolver<> answer;
        bool waiting = false;
        reactor().setSignalHandling(SignalHandling::on);
        reactor().addSystemEventTrigger("before", "startup", [&] { return answer.deferred(); });
        reactor().callLater(1ms, [&] {
            waiting = bothAreDefault();
            answer.callback();
        });
        runToTheEnd();
        QVERIFY(waiting);
    }

    void r230_theyAreBackAfterTheEnd() {
        const FreshProcess fresh;
        bool after = false;
        reactor().addSystemEventTrigger("after", "shutdown", [&] { after = !isDefault(SIGTERM); });
        runAnd([&] { reactor().stop(); });
        QVERIFY(after); // the run is not over before
        QVERIFY(bothAreDefault());
    }

    void r230_theyAreBackAfterASignal_data() {
        QTest::addColumn<int>("number");
        QTest::newRow("SIGINT") << SIGINT;
        QTest::newRow("SIGTERM") << SIGTERM;
    }
    void r230_theyAreBackAfterASignal() {
        QFETCH(int, number);
        const FreshProcess fresh;
        runAnd([&] { raise(number); });
        QVERIFY(bothAreDefault());
    }

    void r230_theyAreBackAfterACrash() {
        const FreshProcess fresh;
        runAnd([&] { reactor().crash(); });
        QVERIFY(bothAreDefault());
    }

    void r230_theyAreBackAfterTheReactorsDeath() {
        const FreshProcess fresh;
        reactor().setSignalHandling(SignalHandling::on);
        QVERIFY(host().spinUntil([&] { return reactor().running(); }));
        QVERIFY(!isDefault(SIGTERM));
        host().destroyReactor();
        QVERIFY(bothAreDefault());
    }

    // --- Who takes them

    void r229_aLoopOfItsOwnTakesThemAndAHostIsAsked() {
        const FreshProcess fresh;
        bool taken = false;
        reactor().callLater(0s, [&] {
            taken = !isDefault(SIGINT) && !isDefault(SIGTERM);
            reactor().stop();
        });
        run();
        QCOMPARE(taken, !host().hosted());
    }

    void r229_offTouchesNothing() {
        const FreshProcess fresh;
        bool untouched = false;
        reactor().setSignalHandling(SignalHandling::off);
        reactor().callLater(0s, [&] {
            untouched = bothAreDefault() && isDefault(SIGCHLD);
            reactor().stop();
        });
        run();
        QVERIFY(untouched);
    }

    void r229_sigchldIsNeverTouched() {
        const FreshProcess fresh;
        bool untouched = false;
        runAnd([&] {
            untouched = isDefault(SIGCHLD);
            reactor().stop();
        });
        QVERIFY(untouched);
    }

    void r229_aHandlerThatWasThereStays() {
        const FreshProcess fresh;
        put(SIGINT, &note);
        noted = 0;
        bool goesOn = false;
        runAnd([&] {
            raise(SIGINT);
            reactor().callLater(5ms, [&] {
                goesOn = true;
                raise(SIGTERM);
            });
        });
        QCOMPARE(noted.load(), SIGINT);
        QVERIFY(goesOn);
        QCOMPARE(reactor().exitSignal(), SIGTERM);
        QVERIFY(dispositionOf(SIGINT).sa_handler == &note);
    }

    // As nohup and a shell's background jobs have it.
    void r229_whatWasIgnoredStaysIgnored() {
        const FreshProcess fresh;
        put(SIGINT, SIG_IGN);
        bool goesOn = false;
        runAnd([&] {
            raise(SIGINT);
            reactor().callLater(5ms, [&] {
                goesOn = true;
                reactor().stop();
            });
        });
        QVERIFY(goesOn);
        QCOMPARE(reactor().exitSignal(), 0);
        QVERIFY(dispositionOf(SIGINT).sa_handler == SIG_IGN);
    }

    void r229_onAndOffWhileItRuns() {
        const FreshProcess fresh;
        reactor().setSignalHandling(SignalHandling::off);
        Steps steps;
        reactor().callLater(0s, [&] {
            reactor().setSignalHandling(SignalHandling::on);
            steps.add(bothAreDefault() ? "default" : "ours");
            reactor().setSignalHandling(SignalHandling::off);
            steps.add(bothAreDefault() ? "default" : "ours");
            reactor().setSignalHandling(SignalHandling::on);
            raise(SIGTERM);
        });
        run();
        QCOMPARE(steps.text(), "ours default");
        QCOMPARE(reactor().exitSignal(), SIGTERM);
    }

    void r229_onAfterTheEndWaitsForTheNextRun() {
        const FreshProcess fresh;
        runToTheEnd();
        reactor().setSignalHandling(SignalHandling::on);
        QVERIFY(bothAreDefault());
    }

    // --- What they do

    void r229_theyStopTheReactor_data() { r230_theyAreBackAfterASignal_data(); }
    void r229_theyStopTheReactor() {
        QFETCH(int, number);
        const FreshProcess fresh;
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        QCOMPARE(reactor().exitSignal(), 0);
        runAnd([&] {
            raise(number);
            steps.add("raised");
        });
        QCOMPARE(steps.text(), "raised before-shutdown during-shutdown after-shutdown");
        QCOMPARE(reactor().exitSignal(), number);
    }

    void r229_itIsKnownDuringTheShutdown() {
        const FreshProcess fresh;
        int number = 0;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { number = reactor().exitSignal(); });
        runAnd([&] { raise(SIGTERM); });
        QCOMPARE(number, SIGTERM);
    }

    void r229_theNextRunHasNoneYet() {
        const FreshProcess fresh;
        runAnd([&] { raise(SIGTERM); });
        int number = -1;
        runAnd([&] {
            number = reactor().exitSignal();
            reactor().stop();
        });
        QCOMPARE(number, 0);
        QCOMPARE(reactor().exitSignal(), 0);
        runAnd([&] { raise(SIGINT); });
        QCOMPARE(reactor().exitSignal(), SIGINT);
    }

    void r229_inTheHostsOwnCallback() {
        const FreshProcess fresh;
        reactor().setSignalHandling(SignalHandling::on);
        reactor().callWhenRunning([&] { host().hostTimer(5ms, [] { raise(SIGTERM); }); });
        run(); // hangs if nothing wakes the reactor
        QCOMPARE(reactor().exitSignal(), SIGTERM);
    }

    void r229_onWhateverThreadItComes() {
        const FreshProcess fresh;
        std::jthread other;
        runAnd([&] { other = std::jthread([] { pthread_kill(pthread_self(), SIGINT); }); });
        QCOMPARE(reactor().exitSignal(), SIGINT);
    }

    void r229_fromAnotherProcess() {
        const FreshProcess fresh;
        runAnd([&] {
            const pid_t own = getpid();
            QCOMPARE(statusOfFork([own] { kill(own, SIGTERM); }), 0);
        });
        QCOMPARE(reactor().exitSignal(), SIGTERM);
    }

    void r229_insideANestedLoop() {
        const FreshProcess fresh;
        bine::kit::Nest nest(host());
        int inside = 0;
        reactor().addSystemEventTrigger("after", "shutdown", [&] {
            inside = nest.inside();
            nest.quit();
        });
        reactor().setSignalHandling(SignalHandling::on);
        nest.open(2, [] { raise(SIGINT); });
        run();
        QCOMPARE(inside, 2); // the dialogs were still open
        QCOMPARE(reactor().exitSignal(), SIGINT);
    }

    void r229_theFirstCounts() {
        const FreshProcess fresh;
        runAnd([&] {
            raise(SIGTERM);
            raise(SIGINT);
        });
        QCOMPARE(reactor().exitSignal(), SIGTERM);
    }

    void r229_furtherSigtermsChangeNothing() {
        const FreshProcess fresh;
        Resolver<> answer;
        Steps steps;
        watchPhases(reactor(), "shutdown", steps);
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            raise(SIGTERM);
            reactor().callLater(5ms, [&] {
                raise(SIGTERM);
                answer.callback();
            });
            return answer.deferred();
        });
        runAnd([&] {
            raise(SIGTERM);
            raise(SIGTERM);
        });
        QCOMPARE(steps.text(), "before-shutdown during-shutdown after-shutdown");
        QVERIFY(bothAreDefault());
    }

    void r229_theSecondSigintEndsTheProcess() {
        const FreshProcess fresh;
        bool stillOurs = true;
        runAnd([&] {
            raise(SIGINT);
            stillOurs = !isDefault(SIGINT); // even if the loop hangs in this callback
        });
        QVERIFY(!stillOurs);
    }

    void r229_aSignalDuringTheShutdownDidNotEndTheRun() {
        const FreshProcess fresh;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { raise(SIGTERM); });
        runAnd([&] { reactor().stop(); });
        QCOMPARE(reactor().exitSignal(), 0);
    }

    void r229_afterStopInTheSameCallback() {
        const FreshProcess fresh;
        runAnd([&] {
            raise(SIGTERM);
            reactor().stop(); // it has not been seen yet
        });
        QCOMPARE(reactor().exitSignal(), 0);
    }

    // --- More than one

    void r229_ofTwoReactorsTheInnerOneStopsFirst() {
        const FreshProcess fresh;
        Steps steps;
        runAnd([&] {
            bine::EpollReactor inner;
            inner.callLater(0s, [] { raise(SIGINT); });
            inner.run();
            steps.add(inner.exitSignal() == SIGINT && reactor().exitSignal() == 0 ? "inner" : "both");
            steps.add(isDefault(SIGINT) ? "default" : "ours");
            raise(SIGINT);
        });
        QCOMPARE(steps.text(), "inner ours");
        QCOMPARE(reactor().exitSignal(), SIGINT);
        QVERIFY(bothAreDefault());
    }

    void r229_theOuterOneMayEndFirst() {
        const FreshProcess fresh;
        bine::EpollReactor later;
        later.setSignalHandling(SignalHandling::on);
        runAnd([&] {
            later.dispatch();
            reactor().stop();
        });
        QVERIFY(!isDefault(SIGTERM));
        raise(SIGTERM);
        while (later.running())
            later.dispatch();
        QCOMPARE(later.exitSignal(), SIGTERM);
        QVERIFY(bothAreDefault());
    }

    void r229_otherThreadsLeaveThemToTheMainThread() {
        const FreshProcess fresh;
        bool untouched = false;
        std::jthread([&] {
            bine::EpollReactor reactor;
            reactor.callLater(0s, [&] {
                untouched = bothAreDefault();
                reactor.stop();
            });
            reactor.run();
        }).join();
        QVERIFY(untouched);
    }

    void r229_otherThreadsMayHaveThem() {
        const FreshProcess fresh;
        int number = 0;
        bine::kit::onThread([&](bine::kit::ReactorHost& host) {
            host.reactor().setSignalHandling(SignalHandling::on);
            host.reactor().callLater(0s, [] { raise(SIGTERM); });
            host.run();
            number = host.reactor().exitSignal();
        });
        QCOMPARE(number, SIGTERM);
        QVERIFY(bothAreDefault());
    }

    // Signals pour in while reactors come and go: none may write where one has been.
    void r230_reactorsThatEndUnderAShower() {
        const FreshProcess fresh;
        runAnd([&] {
            std::latch begun(1);
            const std::jthread shower([&](std::stop_token stop) {
                pthread_kill(pthread_self(), SIGTERM);
                begun.count_down();
                while (!stop.stop_requested())
                    pthread_kill(pthread_self(), SIGTERM);
            });
            begun.wait();
            for (int i = 0; i < 200; ++i) {
                bine::EpollReactor inner;
                inner.setSignalHandling(SignalHandling::on);
                inner.dispatch();
            }
        });
        QCOMPARE(reactor().exitSignal(), SIGTERM);
        QVERIFY(bothAreDefault());
    }

    // --- Besides

    void r229_aBlockingCallIsNotInterrupted() {
        const FreshProcess fresh;
        int ends[2];
        QCOMPARE(pipe(ends), 0);
        ssize_t got = -1;
        runAnd([&] {
            const pthread_t self = pthread_self();
            const std::jthread other([&] {
                pthread_kill(self, SIGTERM);
                for (int i = 0; i < 1000; ++i)
                    std::this_thread::yield();
                QCOMPARE(write(ends[1], "x", 1), ssize_t(1));
            });
            char c = 0;
            got = read(ends[0], &c, 1);
        });
        QCOMPARE(got, ssize_t(1));
        close(ends[0]);
        close(ends[1]);
    }

    void r229_aForkDiesOfItsOwnSignals() {
        if (underTsan)
            return; // which runs no handler in the fork of a process with threads
        const FreshProcess fresh;
        int status = 0;
        bool goesOn = false;
        runAnd([&] {
            status = statusOfFork([] { raise(SIGTERM); });
            reactor().callLater(5ms, [&] {
                goesOn = true;
                reactor().stop();
            });
        });
        QVERIFY(diedOf(status, SIGTERM));
        QVERIFY(goesOn);
    }

    void r256_aSignalThatNobodyWantsAnyMoreKeepsNobodyAwake() {
        const FreshProcess fresh;
        std::uint64_t turns = 0;
        runAnd([&] {
            raise(SIGTERM);
            reactor().setSignalHandling(SignalHandling::off);
            turns = reactor().stats().turns;
            reactor().callLater(50ms, [&] {
                turns = reactor().stats().turns - turns;
                reactor().stop();
            });
        });
        QVERIFY2(turns < 10, qPrintable(QString::number(turns)));
    }

    void r229_exitWithSignalIsHonest_data() { r230_theyAreBackAfterASignal_data(); }
    void r229_exitWithSignalIsHonest() {
        QFETCH(int, number);
        const FreshProcess fresh;
        const int status = statusOfFork([number] {
            put(number, SIG_IGN);
            sigset_t all;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, nullptr);
            bine::exitWithSignal(number);
        });
        QVERIFY(diedOf(status, number));
    }

    // --- Toolkits

    void r261_aToolkitTakesThem() {
        const FreshProcess fresh;
        noted = 0;
        runAnd([&] {
            put(SIGINT, &note);
            put(SIGTERM, &note);
            reactor().callLater(5ms, [] { raise(SIGINT); });
        });
        QCOMPARE(reactor().exitSignal(), SIGINT);
        QCOMPARE(noted.load(), SIGINT); // and it is not lost to the toolkit
        QVERIFY(dispositionOf(SIGINT).sa_handler == &note);
        QVERIFY(dispositionOf(SIGTERM).sa_handler == &note);
    }

    void r261_aToolkitThatWantsToKnowMore() {
        const FreshProcess fresh;
        origin = 0;
        runAnd([&] {
            struct sigaction action{};
            action.sa_sigaction = &noteOrigin;
            action.sa_flags = SA_SIGINFO;
            sigaction(SIGTERM, &action, nullptr);
            reactor().callLater(5ms, [] { kill(getpid(), SIGTERM); });
        });
        QCOMPARE(reactor().exitSignal(), SIGTERM);
        QCOMPARE(origin.load(), getpid());
    }

    void r261_aToolkitThatCallsWhomItFound() {
        const FreshProcess fresh;
        calls = 0;
        runAnd([&] {
            struct sigaction action{};
            action.sa_sigaction = &callWhomItFound;
            action.sa_flags = SA_SIGINFO;
            sigaction(SIGTERM, &action, &foundThere);
            reactor().callLater(5ms, [] { raise(SIGTERM); });
        });
        QCOMPARE(reactor().exitSignal(), SIGTERM);
        QCOMPARE(calls.load(), 1);
    }

    void r261_aToolkitPutsTheDefaultBack() {
        const FreshProcess fresh;
        runAnd([&] {
            put(SIGINT, SIG_DFL);
            reactor().callLater(5ms, [] { raise(SIGINT); });
        });
        QCOMPARE(reactor().exitSignal(), SIGINT);
        QVERIFY(bothAreDefault());
    }

    // In a callback of the host, after which nothing wakes the reactor.
    void r261_aToolkitTakesThemLater() {
        if (!host().hosted())
            return;
        const FreshProcess fresh;
        noted = 0;
        reactor().setSignalHandling(SignalHandling::on);
        reactor().callWhenRunning([&] {
            host().hostTimer(5ms, [&] {
                put(SIGINT, &note);
                host().hostTimer(5ms, [] { raise(SIGINT); });
            });
        });
        run();
        QCOMPARE(reactor().exitSignal(), SIGINT);
        QCOMPARE(noted.load(), SIGINT);
    }

    void r261_theProgramMayAskForThemAgain() {
        const FreshProcess fresh;
        noted = 0;
        runAnd([&] {
            reactor().callLater(5ms, [&] {
                put(SIGINT, &note);
                reactor().setSignalHandling(SignalHandling::on);
                raise(SIGINT);
            });
        });
        QCOMPARE(reactor().exitSignal(), SIGINT);
        QCOMPARE(noted.load(), SIGINT);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<SignalsTest>(argc, argv); }

#include "signals.moc"
