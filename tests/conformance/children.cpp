// Contract 2.O, R-209, R-212, R-213, R-226, R-227, R-229, R-261, as far as they are about the end of a child: it is noticed, and the child
// reaped, by its pidfd.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <QtCore/qprocess.h>

#ifdef BINE_HAVE_GTK
#include <glib.h>
#endif

#include "bine/reactors/child_watch.h"
#include "bine/reactors/native_reactors.h"
#include "kit/nest.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::detail::ChildExit;
using bine::detail::ChildWatch;
using bine::detail::openPidfd;
using Kind = ChildExit::Kind;

namespace {

/// A shell that runs that.
pid_t spawn(const char* command) {
    pid_t child = -1;
    const char* const arguments[] = {"sh", "-c", command, nullptr};
    char* const environment[] = {nullptr};
    if (posix_spawn(&child, "/bin/sh", nullptr, nullptr, const_cast<char* const*>(arguments), environment) != 0)
        throw std::runtime_error("posix_spawn");
    return child;
}

/// A child that lives until it is told to end.
class Sleeper {
public:
    Sleeper() {
        if (pipe2(ends_, O_CLOEXEC) != 0)
            throw std::runtime_error("pipe2");
        pid_ = fork();
        if (pid_ == 0) {
            close(ends_[1]);
            char c = 0;
            _exit(read(ends_[0], &c, 1) == 1 ? c : 77);
        }
        close(ends_[0]);
    }
    ~Sleeper() { close(ends_[1]); }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    pid_t pid() const { return pid_; }
    void end(char status = 0) { QCOMPARE(write(ends_[1], &status, 1), ssize_t(1)); }

private:
    int ends_[2];
    pid_t pid_;
};

bool isOver(pid_t child, int options) {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT | options) == 0 && info.si_pid == child;
}
void waitUntilOver(pid_t child) { QVERIFY(isOver(child, 0)); }

/// It is no child of ours any more, not even a dead one.
bool isReaped(pid_t child) {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT | WNOHANG) < 0 && errno == ECHILD;
}

/// SIGCHLD as it is to be, while this lives.
class OnSigchld {
public:
    explicit OnSigchld(void (*handler)(int)) {
        struct sigaction action{};
        action.sa_handler = handler;
        sigaction(SIGCHLD, &action, &before_);
    }
    ~OnSigchld() { sigaction(SIGCHLD, &before_, nullptr); }
    OnSigchld(const OnSigchld&) = delete;
    OnSigchld& operator=(const OnSigchld&) = delete;

private:
    struct sigaction before_;
};

constexpr ChildExit exitedWith(int status) { return {Kind::exited, status, false}; }

} // namespace

class ChildrenTest : public bine::kit::ReactorTest {
    Q_OBJECT

    ChildWatch watch(pid_t child, std::optional<ChildExit>& exit) {
        return ChildWatch(reactor(), openPidfd(child), [this, &exit](ChildExit how) {
            exit = how;
            reactor().stop();
        });
    }
    /// How the child ends that is watched in a run.
    ChildExit endOf(const char* command) {
        std::optional<ChildExit> exit;
        ChildWatch watching;
        pid_t child = -1;
        reactor().callWhenRunning([&] {
            child = spawn(command);
            watching = watch(child, exit);
        });
        run();
        return isReaped(child) ? exit.value() : ChildExit{};
    }

private slots:
    // --- How it ended

    void r212_anExitStatus() {
        QCOMPARE(endOf("exit 0"), exitedWith(0));
        QCOMPARE(endOf("exit 3"), exitedWith(3));
        QCOMPARE(endOf("exit 255"), exitedWith(255));
    }

    void r212_aSignal() {
        const ChildExit exit = endOf("kill -TERM $$");
        QVERIFY(exit.kind == Kind::killed);
        QCOMPARE(exit.number, SIGTERM);
        QVERIFY(!exit.dumpedCore);
    }

    void stoppedIsNotEnded() {
        QCOMPARE(endOf("(sleep 0.05; kill -CONT $$) & kill -STOP $$; exit 4"), exitedWith(4));
    }

    // --- When

    void r209_itEndsBeforeItIsWatched() {
        const pid_t child = spawn("exit 5");
        waitUntilOver(child);
        std::optional<ChildExit> exit;
        const auto watching = watch(child, exit);
        QVERIFY(!exit);
        run();
        QCOMPARE(exit, exitedWith(5));
        QVERIFY(isReaped(child));
    }

    void r209_itEndsBeforeTheReactorRuns() {
        const pid_t child = spawn("exit 5");
        std::optional<ChildExit> exit;
        const auto watching = watch(child, exit);
        waitUntilOver(child);
        QVERIFY(!exit);
        run();
        QCOMPARE(exit, exitedWith(5));
        QVERIFY(isReaped(child));
    }

    void r209_itEndsBetweenTwoRuns() {
        Sleeper child;
        std::optional<ChildExit> exit;
        const auto watching = watch(child.pid(), exit);
        runToTheEnd();
        child.end(6);
        waitUntilOver(child.pid());
        QVERIFY(!exit);
        run();
        QCOMPARE(exit, exitedWith(6));
    }

    void r213_inALaterTurn() {
        std::uint64_t watched = 0;
        std::uint64_t told = 0;
        ChildWatch watching;
        reactor().callLater(0s, [&] {
            const pid_t child = spawn("exit 0");
            waitUntilOver(child);
            watching = ChildWatch(reactor(), openPidfd(child), [&](ChildExit) {
                told = reactor().stats().turns;
                reactor().stop();
            });
            watched = reactor().stats().turns;
        });
        run();
        QVERIFY(told > watched);
    }

    void r213_nothingElseHasToHappen() {
        Sleeper child;
        std::optional<ChildExit> exit;
        ChildWatch watching;
        std::jthread other;
        reactor().callWhenRunning([&] {
            watching = watch(child.pid(), exit);
            other = std::jthread([&] { child.end(1); });
        });
        run(); // hangs if nothing wakes the reactor
        QCOMPARE(exit, exitedWith(1));
    }

    void itIsToldOnce() {
        int told = 0;
        const ChildWatch watching(reactor(), openPidfd(spawn("exit 0")), [&](ChildExit) {
            ++told;
            reactor().callLater(10ms, [&] { reactor().stop(); });
        });
        run();
        QCOMPARE(told, 1);
        QCOMPARE(watching.pidfd(), -1);
        QCOMPARE(reactor().stats().descriptors, std::size_t(0));
    }

    void r245_insideANestedLoop() {
        Sleeper child;
        bine::kit::Nest nest(host());
        int inside = 0;
        const ChildWatch watching(reactor(), openPidfd(child.pid()), [&](ChildExit) {
            inside = nest.inside();
            nest.quit();
            reactor().stop();
        });
        nest.open(2, [&] { child.end(); });
        run();
        QCOMPARE(inside, 2);
    }

    void r245_aDialogInsideItHoldsUpNoOtherChild() {
        Sleeper second;
        bine::kit::Nest nest(host());
        bool nested = false;
        const ChildWatch watching(reactor(), openPidfd(spawn("exit 0")), [&](ChildExit) {
            const auto loop = host().nestedLoop();
            const ChildWatch other(reactor(), openPidfd(second.pid()), [&](ChildExit) {
                nested = true;
                loop->quit();
            });
            second.end();
            QVERIFY(loop->exec());
            reactor().stop();
        });
        run();
        QVERIFY(nested);
    }

    void manyAtOnce() {
        constexpr int count = 50;
        std::vector<ChildWatch> watches;
        std::vector<int> statuses(count, -1);
        int left = count;
        for (int i = 0; i < count; ++i) {
            const pid_t child = fork();
            if (child == 0)
                _exit(i);
            watches.emplace_back(reactor(), openPidfd(child), [&, i](ChildExit exit) {
                statuses[static_cast<std::size_t>(i)] = exit.number;
                if (--left == 0)
                    reactor().stop();
            });
        }
        run();
        for (int i = 0; i < count; ++i)
            QCOMPARE(statuses[static_cast<std::size_t>(i)], i);
    }

    // --- Who dies first

    void withoutItsWatchItIsReapedAllTheSame() {
        Sleeper child;
        const auto token = std::make_shared<int>();
        {
            const ChildWatch watching(reactor(), openPidfd(child.pid()),
                                      [token](ChildExit) { QFAIL("nobody is there to be told"); });
            QCOMPARE(token.use_count(), 2L);
        }
        QCOMPARE(token.use_count(), 1L);
        child.end();
        QVERIFY(host().spinUntil([&] { return isReaped(child.pid()); }));
    }

    void anotherWatchInItsPlace() {
        Sleeper first;
        std::optional<ChildExit> exit;
        ChildWatch watching(reactor(), openPidfd(first.pid()),
                            [](ChildExit) { QFAIL("nobody is there to be told"); });
        watching = ChildWatch(reactor(), openPidfd(spawn("exit 2")), [&](ChildExit how) { exit = how; });
        first.end();
        QVERIFY(host().spinUntil([&] { return exit && isReaped(first.pid()); }));
        QCOMPARE(exit, exitedWith(2));
    }

    void theWatchDiesWhileItTells() {
        auto watching = std::make_unique<ChildWatch>();
        const auto token = std::make_shared<int>();
        *watching = ChildWatch(reactor(), openPidfd(spawn("exit 0")), [&, token](ChildExit) {
            watching.reset();
            QCOMPARE(token.use_count(), 2L);
            reactor().stop();
        });
        run();
        QVERIFY(!watching);
        QCOMPARE(token.use_count(), 1L);
    }

    void theReactorDiesWhileItTells() {
        const pid_t child = spawn("exit 0");
        bool told = false;
        const ChildWatch watching(reactor(), openPidfd(child), [&](ChildExit) {
            told = true;
            host().destroyReactor();
        });
        run();
        QVERIFY(told);
        QVERIFY(isReaped(child));
        QVERIFY(!host().hasReactor());
    }

    void aChildWhoseReactorIsGoneIsReapedWithTheNext() {
        Sleeper child;
        const auto token = std::make_shared<int>();
        {
            bine::EpollReactor gone;
            const ChildWatch watching(gone, openPidfd(child.pid()),
                                      [token](ChildExit) { QFAIL("nobody is there to be told"); });
        }
        QCOMPARE(token.use_count(), 1L);
        child.end();
        waitUntilOver(child.pid());
        QCOMPARE(endOf("exit 0"), exitedWith(0));
        QVERIFY(isReaped(child.pid()));
    }

    void aDeadChildIsReapedWhenItsReactorDies() {
        const pid_t child = spawn("exit 0");
        ChildWatch watching;
        {
            bine::EpollReactor gone;
            watching = ChildWatch(gone, openPidfd(child), [](ChildExit) { QFAIL("it never ran"); });
            waitUntilOver(child);
        }
        QVERIFY(isReaped(child));
        QCOMPARE(watching.pidfd(), -1);
    }

    // --- Mistakes

    void whatItThrowsIsLogged() {
        const ChildWatch watching(reactor(), openPidfd(spawn("exit 0")), [&](ChildExit) {
            reactor().stop();
            throw std::runtime_error("no luck");
        });
        run();
        QCOMPARE(loggedErrors(), std::vector<std::string>{"Unhandled error in the reactor: no luck"});
    }

    void nobodyNeedsToBeTold() {
        const pid_t child = spawn("exit 0");
        const ChildWatch watching(reactor(), openPidfd(child), nullptr);
        QVERIFY(host().spinUntil([&] { return isReaped(child); }));
        QCOMPARE(watching.pidfd(), -1);
    }

    void thereIsNoSuchProcess() {
        const pid_t child = spawn("exit 0");
        QCOMPARE(waitpid(child, nullptr, 0), child);
        QVERIFY_THROWS_EXCEPTION(std::system_error, openPidfd(child));
    }

    void aReactorWithoutDescriptors() {
        const pid_t child = spawn("exit 0");
        waitUntilOver(child);
        class Simulated : public bine::EpollReactor {
            bine::detail::ReactorCore* core() noexcept override { return nullptr; }
        } simulated;
        QVERIFY_THROWS_EXCEPTION(std::logic_error, ChildWatch(simulated, openPidfd(child), nullptr));
        QVERIFY(isReaped(child));
    }

    // --- Others

    void r226_aBlockingCallIsNotInterrupted() {
        int ends[2];
        QCOMPARE(pipe2(ends, O_CLOEXEC), 0);
        Sleeper child;
        std::optional<ChildExit> exit;
        const auto watching = watch(child.pid(), exit);
        const int pidfd = watching.pidfd(); // the watch itself is the parent's
        const pid_t writer = fork();
        if (writer == 0) { // ends the child, while its parent reads
            child.end();
            pollfd ended{pidfd, POLLIN, 0};
            _exit(poll(&ended, 1, -1) == 1 && write(ends[1], "x", 1) == 1 ? 0 : 1);
        }
        char c = 0;
        QCOMPARE(read(ends[0], &c, 1), ssize_t(1));
        run();
        QCOMPARE(exit, exitedWith(0));
        QCOMPARE(waitpid(writer, nullptr, 0), writer);
        close(ends[0]);
        close(ends[1]);
    }

    void r227_childrenOfOthersAreTheirs() {
        const pid_t other = spawn("exit 7");
        waitUntilOver(other);
        QCOMPARE(endOf("exit 0"), exitedWith(0));
        int status = 0;
        QCOMPARE(waitpid(other, &status, 0), other);
        QCOMPARE(WEXITSTATUS(status), 7);
    }

    void r227_oursReapedBySomebodyElse() {
        const pid_t child = spawn("exit 7");
        std::optional<ChildExit> exit;
        const auto watching = watch(child, exit);
        QCOMPARE(waitpid(child, nullptr, 0), child);
        run();
        QCOMPARE(exit, ChildExit{});
    }

    void r227_besideQProcess() {
        if (!QCoreApplication::instance())
            return; // QProcess needs Qt's loop
        toolkitComesAndGoes();
        std::optional<ChildExit> exit;
        ChildWatch watching;
        int code = -1;
        QProcess process;
        QObject::connect(&process, &QProcess::finished, &process, [&](int status) { code = status; });
        process.start("/bin/sh", {"-c", "exit 9"});
        watching = ChildWatch(reactor(), openPidfd(spawn("exit 8")), [&](ChildExit how) { exit = how; });
        QVERIFY(host().spinUntil([&] { return exit && code >= 0; }));
        QCOMPARE(exit, exitedWith(8));
        QCOMPARE(code, 9);
    }

#ifdef BINE_HAVE_GTK
    void r227_besideGSpawn() {
        if (!QByteArray(bine::kit::reactorName().c_str()).startsWith("glib"))
            return; // it needs GLib's loop
        toolkitComesAndGoes();
        gchar shell[] = "/bin/sh";
        gchar option[] = "-c";
        gchar command[] = "exit 9";
        gchar* arguments[] = {shell, option, command, nullptr};
        GPid spawned = 0;
        QVERIFY(g_spawn_async(nullptr, arguments, nullptr, G_SPAWN_DO_NOT_REAP_CHILD, nullptr, nullptr, &spawned, nullptr));
        int code = -1;
        GSource* source = g_child_watch_source_new(spawned);
        g_source_set_callback(
            source,
            G_SOURCE_FUNC(+[](GPid, gint status, gpointer code) { *static_cast<int*>(code) = WEXITSTATUS(status); }), &code,
            nullptr);
        g_source_attach(source, g_main_context_get_thread_default());
        std::optional<ChildExit> exit;
        const ChildWatch watching(reactor(), openPidfd(spawn("exit 8")), [&](ChildExit how) { exit = how; });
        QVERIFY(host().spinUntil([&] { return exit && code >= 0; }));
        g_source_unref(source);
        QCOMPARE(exit, exitedWith(8));
        QCOMPARE(code, 9);
    }
#endif

    void r261_whateverStandsAtSigchld() {
        const OnSigchld ours(+[](int) {});
        QCOMPARE(endOf("exit 3"), exitedWith(3));
    }

    void r229_sigchldIsNotTouched() {
        const OnSigchld nobody(SIG_DFL);
        Sleeper child;
        std::optional<ChildExit> exit;
        const auto watching = watch(child.pid(), exit);
        struct sigaction now{};
        sigaction(SIGCHLD, nullptr, &now);
        QVERIFY(now.sa_handler == SIG_DFL);
        child.end();
        run();
        QCOMPARE(exit, exitedWith(0));
    }

    // The kernel reaps it, and nobody knows how it ended.
    void sigchldIsIgnored() {
        const OnSigchld ignored(SIG_IGN);
        Sleeper child;
        std::optional<ChildExit> exit;
        const auto watching = watch(child.pid(), exit);
        child.end(3);
        run();
        QCOMPARE(exit, ChildExit{});
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ChildrenTest>(argc, argv); }

#include "children.moc"
