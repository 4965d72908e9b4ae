// fork() without exec(): what a child does with its copy of a reactor does not reach the parent's.

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include "bine/net/network.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/native_reactors.h"
#include "bine/reactors/thread_pool.h"
#include "dialogs/scene.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace dialogs;

namespace {

/// Runs f in a child, which must not take long; its result, or 1000 + the signal that ended it.
int inChild(const std::function<int()>& f) {
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(30);
        int result = 99;
        try {
            result = f();
        } catch (...) {
            result = 98;
        }
        _exit(result);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

template <class F>
bool isRefused(F&& f) {
    try {
        f();
    } catch (const std::logic_error& error) {
        return std::string(error.what()).find("parent") != std::string::npos;
    }
    return false;
}

struct Chatty : Talker {
    int told = 0;
    void reactorStopping() override {
        ++told;
        transport().write("bye");
    }
};

} // namespace

class ForkTest : public bine::kit::ReactorTest {
    Q_OBJECT

    struct Line {
        std::unique_ptr<RawPeer> peer;
        std::shared_ptr<Chatty> chatty;
    };
    Line connected(Scene& scene) {
        Line line{nullptr, std::make_shared<Chatty>()};
        line.chatty->onData = [](Talker& self, std::string_view data) { self.transport().write(data); };
        scene.expect(line.chatty);
        line.peer = std::make_unique<RawPeer>(scene.port());
        scene.spinUntil([&] { return !line.chatty->events.empty(); });
        return line;
    }
    /// Connections, ports, timers, calls from threads: all of it works, and nothing came that nobody sent.
    void verifyItGoesOn(Scene& scene, Line& line) {
        line.peer->send("echo");
        QVERIFY(scene.spinUntil([&] { return line.chatty->data.ends_with("echo"); }));
        char buffer[64];
        std::string got;
        while (got.size() < 4) {
            scene.host.turn();
            const ssize_t n = ::recv(line.peer->fd(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (n > 0) got.append(buffer, static_cast<std::size_t>(n));
            QVERIFY(n != 0);
        }
        QCOMPARE(got, std::string("echo"));
        auto another = connected(scene);
        QVERIFY(!another.chatty->events.empty());
        bool timer = false;
        bool call = false;
        bool job = false;
        const auto loop = host().nestedLoop();
        const auto next = [&] {
            if (timer && call && job) loop->quit();
        };
        scene.reactor().callLater(0ms, [&] {
            scene.reactor().callLater(2ms, [&] {
                timer = true;
                next();
            });
            std::thread([&] {
                scene.reactor().callFromThread([&] {
                    call = true;
                    next();
                });
            }).join();
            bine::deferToThread(scene.reactor(), [] {}).addCallback([&] {
                job = true;
                next();
            });
            loop->exec();
        });
        QVERIFY(scene.spinUntil([&] { return timer && call && job; }));
        QVERIFY(!line.chatty->lost());
        QCOMPARE(line.chatty->told, 0);
    }

private slots:
    void r281_aChildThatDestroysTheReactor_data() {
        QTest::addColumn<bool>("inCallback");
        QTest::newRow("in a callback") << true;
        QTest::newRow("outside") << false;
    }
    void r281_aChildThatDestroysTheReactor() {
        QFETCH(bool, inCallback);
        Scene scene(host());
        auto line = connected(scene);
        const auto triggered = std::make_shared<bool>(false); // the parent's shutdown comes after this function
        scene.reactor().addSystemEventTrigger("before", "shutdown", [triggered] { *triggered = true; });
        scene.reactor().callLater(50ms, [] {});
        bine::kit::Wire wire(scene.reactor(), [](const std::string&) {});
        int result = -1;
        const auto forkNow = [&] {
            result = inChild([&] {
                host().destroyReactor();
                return *triggered || line.chatty->lost() || line.chatty->told != 0 ? 1 : 0;
            });
        };
        if (inCallback) {
            scene.reactor().callLater(0ms, forkNow);
            QVERIFY(scene.spinUntil([&] { return result >= 0; }));
        } else {
            forkNow();
        }
        QCOMPARE(result, 0);
        bool received = false;
        bine::kit::Wire other(scene.reactor(), [&](const std::string&) { received = true; });
        other.send("x");
        QVERIFY(scene.spinUntil([&] { return received; }));
        verifyItGoesOn(scene, line);
    }

    void r281_aChildWhoseDestructorsEndConnections() {
        Scene scene(host());
        auto line = connected(scene);
        auto other = connected(scene);
        auto owner = std::make_unique<bine::Scope>();
        other.chatty->transport().ownedBy(*owner);
        QCOMPARE(inChild([&] {
                     line.chatty->transport().write("from the child");
                     line.chatty->transport().write(std::string(100'000, 'x'));
                     scene.listeningPort().stopListening();
                     line.chatty->transport().loseConnection();
                     owner.reset();
                     line.chatty->transport().abortConnection();
                     host().destroyReactor();
                     scene.listeningPort().stopListening();
                     return 0;
                 }),
                 0);
        verifyItGoesOn(scene, line);
        verifyItGoesOn(scene, other);
    }

    void r281_aChildThatUsesTheReactorIsTold() {
        Scene scene(host());
        auto line = connected(scene);
        QCOMPARE(inChild([&] {
                     bine::ReactorBase& reactor = scene.reactor();
                     if (reactor.running()) return 1;
                     if (bine::kit::reactorName() != "embedded" && !isRefused([&] { reactor.run(); })) return 2;  // which has none of its own
                     if (!isRefused([&] { reactor.iterate(0ms); })) return 3;
                     if (!isRefused([&] { reactor.threadPool(); })) return 4;
                     if (!isRefused([&] { reactor.stop(); })) return 5;
                     if (!isRefused([&] {
                             bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Talker>(), bine::TCPServerOptions().listenOn("127.0.0.1"));
                         }))
                         return 6;
                     auto* const epoll = dynamic_cast<bine::EpollReactor*>(&reactor);
                     if (epoll && !isRefused([&] { epoll->dispatch(); })) return 7;
                     reactor.callFromThread([] {});
                     reactor.callLater(0ms, [] {});
                     return 0;
                 }),
                 0);
        verifyItGoesOn(scene, line);
    }

    // The child comes back out of its callback, into the loop.
    void r281_aChildThatForksInACallbackAndGoesOn() {
        if (host().hosted()) return; // the host's loop goes on
        int result = -1;
        reactor().callLater(0ms, [&] {
            const pid_t child = fork();
            if (child == 0) {
                result = -2;
                return;
            }
            int status = 0;
            waitpid(child, &status, 0);
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
            reactor().callLater(0ms, [&] { reactor().stop(); });
        });
        try {
            run();
        } catch (const std::logic_error&) {
            if (result == -2) _exit(7);
        }
        if (result == -2) _exit(8);
        QCOMPARE(result, 7);
    }

    // None of the threads are there, and what they may have locked stays so.
    void r281_aChildOfAReactorWithThreads() {
        Scene scene(host());
        auto line = connected(scene);
        scene.reactor().warnOfStalls(10s);
        struct Work {
            std::atomic<bool> began = false;
            std::binary_semaphore release{0};
        };
        const auto work = std::make_shared<Work>();
        scene.reactor().callInThread([work] {
            work->began = true;
            work->release.acquire();
        });
        bool heard = false;
        scene.reactor().callLater(0ms, [&] {
            bine::deferToThread(scene.reactor(), [work] { work->release.acquire(); }).addErrback([&](const bine::Failure&) { heard = true; });
        });
        auto pool = std::make_unique<bine::ThreadPool>();
        pool->callInThread([work] { work->release.acquire(); });
        QVERIFY(scene.spinUntil([&] { return work->began.load(); }));
        int result = -1;
        scene.reactor().callLater(0ms, [&] {
            result = inChild([&] {
                if (!isRefused([&] { pool->callInThread([] {}); })) return 1;
                pool->stop(bine::ReactorBase::infinite);
                pool.reset();
                host().destroyReactor();
                return heard ? 2 : 0;
            });
        });
        QVERIFY(scene.spinUntil([&] { return result >= 0; }));
        QCOMPARE(result, 0);
        work->release.release(3);
        pool.reset();
        verifyItGoesOn(scene, line);
    }

    void r281_aChildMakesAReactorOfItsOwn() {
        Scene scene(host());
        auto line = connected(scene);
        bine::networkOf(scene.reactor())->resolve("localhost").addBoth([](const bine::Result<std::vector<bine::Address>>&) {});
        QCOMPARE(inChild([&] {
                     bine::EpollReactor own;
                     int steps = 0;
                     own.callWhenRunning([&] {
                         bine::deferToThread(own, [] { return 1; }).addCallback([&](int one) {
                             steps += one;
                             bine::networkOf(own)->resolve("localhost").addBoth([&](const bine::Result<std::vector<bine::Address>>&) {
                                 ++steps;
                                 own.callLater(1ms, [&] { own.stop(); });
                             });
                         });
                     });
                     own.run();
                     host().destroyReactor();
                     return steps == 2 ? 0 : 1;
                 }),
                 0);
        verifyItGoesOn(scene, line);
    }

    void r281_signalsStayTheParents() {
        Scene scene(host());
        auto line = connected(scene);
        signal(SIGTERM, SIG_DFL); // not QTest's
        scene.reactor().setSignalHandling(bine::SignalHandling::on);
        QCOMPARE(inChild([&] {
                     bine::EpollReactor own;
                     own.callWhenRunning([] { raise(SIGTERM); });
                     own.run();
                     host().destroyReactor();
                     return own.exitSignal() == SIGTERM ? 0 : 1;
                 }),
                 0);
        verifyItGoesOn(scene, line);
        bool ended = false;
        scene.reactor().addSystemEventTrigger("after", "shutdown", [&] { ended = true; });
        raise(SIGTERM);
        QVERIFY(scene.spinUntil([&] { return ended; }));
        QCOMPARE(scene.reactor().exitSignal(), SIGTERM);
    }

    void r281_aHundredChildrenWhileOthersWork() {
        Scene scene(host());
        auto line = connected(scene);
        std::atomic<bool> over = false;
        std::jthread poster([&] {
            std::atomic<bool> ran = true;
            while (!over)
                if (ran.exchange(false)) scene.reactor().callFromThread([&] { ran = true; });
            while (!ran) std::this_thread::yield();
        });
        int failed = 0;
        int left = 100;
        std::function<void()> again = [&] {
            failed += inChild([&] {
                          host().destroyReactor();
                          return 0;
                      }) != 0;
            if (--left > 0) scene.reactor().callLater(0ms, again);
        };
        scene.reactor().callLater(0ms, again);
        QVERIFY(scene.spinUntil([&] { return left == 0; }));
        over = true;
        std::atomic<bool> posted = false;
        std::thread watcher([&] {
            poster.join();
            posted = true;
        });
        QVERIFY(scene.spinUntil([&] { return posted.load(); }));
        watcher.join();
        QCOMPARE(failed, 0);
        verifyItGoesOn(scene, line);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ForkTest>(argc, argv); }
#include "fork.moc"
