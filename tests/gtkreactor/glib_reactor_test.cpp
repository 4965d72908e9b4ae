// The reactor in a GMainContext: its life, nested loops, priorities, contexts of other threads.

#include <glib.h>

#include <QtTest/QtTest>

#include <sys/eventfd.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>

#include "bine/gtkreactor/glib_reactor.h"
#include "bine/log/log.h"
#include "bine/log/recorder.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/io_handler.h"

using namespace std::chrono_literals;
using bine::GlibReactor;

namespace {

/// A callback of the host: f is called until it returns false.
class HostSource {
public:
    HostSource(GSource* source, GMainContext* context, std::function<bool()> f, int priority = G_PRIORITY_DEFAULT)
        : source_(source), f_(std::move(f)) {
        g_source_set_priority(source_, priority);
        g_source_set_callback(
            source_, [](gpointer self) -> gboolean { return static_cast<HostSource*>(self)->f_(); }, this, nullptr);
        g_source_attach(source_, context);
    }
    ~HostSource() {
        g_source_destroy(source_);
        g_source_unref(source_);
    }
    HostSource(const HostSource&) = delete;

private:
    GSource* source_;
    std::function<bool()> f_;
};

class Loop {
public:
    explicit Loop(GMainContext* context = nullptr) : loop_(g_main_loop_new(context, FALSE)) {}
    ~Loop() { g_main_loop_unref(loop_); }
    Loop(const Loop&) = delete;
    void run() { g_main_loop_run(loop_); }
    void quit() { g_main_loop_quit(loop_); }
    bool running() const { return g_main_loop_is_running(loop_); }

private:
    GMainLoop* loop_;
};

template <class Done>
bool serveUntil(Done done, GMainContext* context = nullptr) {
    HostSource tick(g_timeout_source_new(5), context, [] { return true; }, G_PRIORITY_HIGH);
    QDeadlineTimer limit(20'000);
    while (!done() && !limit.hasExpired()) g_main_context_iteration(context, TRUE);
    return done();
}

/// Runs f in a loop nested `depth` times inside the current callback.
void nest(bine::Reactor& reactor, int depth, std::function<void(Loop&)> f) {
    Loop loop;
    reactor.callLater(0s, [&reactor, &loop, depth, f] {
        if (depth > 1) {
            nest(reactor, depth - 1, f);
            loop.quit();
        } else {
            f(loop);
        }
    });
    loop.run();
}

class Sender : public bine::detail::IoHandler {
public:
    explicit Sender(bine::Reactor& reactor) : reactor_(reactor) {}
    void open() { openIn(*reactor_.core(), ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
    void write() { markDirty(); }
    void ioReady(unsigned) override {}
    void flush() override { ++sent; }
    void reactorStopped() override { closeDescriptor(); }
    int sent = 0;

private:
    bine::Reactor& reactor_;
};

} // namespace

class GlibReactorTest : public QObject {
    Q_OBJECT

private slots:
    void r250_stopDetachesAndTheHostGoesOn() {
        GlibReactor reactor;
        Loop loop;
        bool shutdown = false;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
        reactor.callLater(0s, [&] { reactor.stop(); });
        HostSource end(g_timeout_source_new(50), nullptr, [&] { return loop.quit(), false; });
        loop.run();
        QVERIFY(shutdown);
        QVERIFY(!reactor.running());
    }

    void r250_stopEndsRun() {
        GlibReactor reactor;
        for (int i = 0; i < 3; ++i) {
            reactor.callLater(1ms, [&] { reactor.stop(); });
            reactor.run();
            QVERIFY(!reactor.mainLoop());
        }
    }

    void r251_attachDetachAttachInARunningLoop() {
        GlibReactor reactor;
        Loop loop;
        int starts = 0;
        std::function<void()> round = [&] {
            ++starts;
            reactor.callLater(0s, [&] { reactor.stop(); });
        };
        reactor.addSystemEventTrigger("after", "startup", round);
        HostSource again(g_timeout_source_new(1), nullptr, [&] {
            if (reactor.running()) return true;
            if (starts == 5) return loop.quit(), false;
            try {
                reactor.attach();
                reactor.addSystemEventTrigger("after", "startup", round);
            } catch (const bine::ReactorAlreadyRunning&) {
            }
            return true;
        });
        loop.run();
        QCOMPARE(starts, 5);
    }

    void r003_runInsideTheLoopIsRefused() {
        GlibReactor reactor;
        int refused = 0;
        auto tryIt = [&] {
            try {
                reactor.run();
            } catch (const bine::ReactorAlreadyRunning&) {
                ++refused;
            }
        };
        std::unique_ptr<HostSource> source;
        reactor.callWhenRunning([&] {
            tryIt();
            source = std::make_unique<HostSource>(g_idle_source_new(), nullptr, [&] {
                tryIt();
                reactor.stop();
                return false;
            });
        });
        reactor.run();
        QCOMPARE(refused, 2);
    }

    void r005_crashEndsRun() {
        GlibReactor reactor;
        bool shutdown = false;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
        reactor.callLater(0s, [&] { reactor.crash(); });
        reactor.run();
        QVERIFY(!shutdown);
        reactor.callLater(0s, [&] { reactor.stop(); });
        reactor.run();
        QVERIFY(shutdown);
    }

    void r017_stopFromAHostCallback() {
        GlibReactor reactor;
        std::unique_ptr<HostSource> source;
        reactor.callWhenRunning([&] {
            source = std::make_unique<HostSource>(g_timeout_source_new(5), nullptr, [&] { return reactor.stop(), false; });
        });
        reactor.run();
        QVERIFY(!reactor.running());
    }

    void r041_timersSetFromAHostCallbackFire() {
        GlibReactor reactor;
        auto call = reactor.callLater(1h, [&] { reactor.stop(); });
        HostSource source(g_timeout_source_new(5), nullptr, [&] { return call.reset(1ms), false; });
        reactor.run();
        QVERIFY(!call.active());
    }

    void r248_stopInNestedLoops() {
        GlibReactor reactor;
        bool inside = false;
        bool unwound = false;
        reactor.callLater(0s, [&] {
            nest(reactor, 3, [&](Loop& loop) {
                reactor.addSystemEventTrigger("after", "shutdown", [&] {
                    inside = loop.running() && !unwound;
                    loop.quit();
                });
                reactor.stop();
            });
            unwound = true;
        });
        reactor.run();
        QVERIFY(inside);
        QVERIFY(unwound);
    }

    void r249_theLoopOfRunIsQuit() {
        GlibReactor reactor;
        QStringList phases;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { phases << "before"; });
        reactor.addSystemEventTrigger("after", "shutdown", [&] { phases << "after"; });
        reactor.callLater(1ms, [&] { g_main_loop_quit(reactor.mainLoop()); });
        reactor.run();
        QCOMPARE(phases, QStringList({"before", "after"}));
        QVERIFY(!reactor.running());
    }

    void r249_attachedTheDestructorShutsDown() {
        QStringList phases;
        bine::Resolver<> answer;
        Loop loop;
        {
            GlibReactor reactor;
            reactor.addSystemEventTrigger("before", "shutdown", [&] {
                reactor.callLater(5ms, [&] {
                    phases << "waited";
                    answer.callback();
                });
                return answer.deferred();
            });
            reactor.addSystemEventTrigger("after", "shutdown", [&] { phases << "after"; });
            reactor.callLater(0s, [&] { loop.quit(); });
            loop.run();
            QVERIFY(phases.isEmpty());
        }
        QCOMPARE(phases, QStringList({"waited", "after"}));
    }

    void r254_theContextIsDroppedFirst() {
        GMainContext* context = g_main_context_new();
        GlibReactor reactor(context);
        g_main_context_unref(context);
        reactor.callLater(0s, [&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(reactor.context(), context);
    }

    void r260_destroyedAtDepth3() {
        for (int depth = 1; depth <= 3; ++depth) {
            auto reactor = std::make_unique<GlibReactor>();
            bool unwound = false;
            reactor->callLater(0s, [&] {
                nest(*reactor, depth, [&](Loop& loop) {
                    reactor.reset();
                    loop.quit();
                    g_main_context_iteration(nullptr, FALSE);
                });
                unwound = true;
            });
            QVERIFY(serveUntil([&] { return unwound; }));
            QVERIFY(!reactor);
        }
    }

    void r260_destroyedByAHostCallbackInANestedLoop() {
        auto reactor = std::make_unique<GlibReactor>();
        bool unwound = false;
        reactor->callLater(0s, [&] {
            Loop dialog;
            HostSource destroy(g_idle_source_new(), nullptr, [&] { return reactor.reset(), false; });
            HostSource end(g_timeout_source_new(10), nullptr, [&] { return dialog.quit(), false; });
            dialog.run();
            unwound = true;
        });
        QVERIFY(serveUntil([&] { return unwound; }));
        QVERIFY(!reactor);
    }

    void r260_destroyedInsideRunEndsIt() {
        for (int depth = 1; depth <= 3; ++depth) {
            auto reactor = std::make_unique<GlibReactor>();
            bool shutdown = false;
            reactor->addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
            reactor->callLater(0s, [&] {
                nest(*reactor, depth, [&](Loop& loop) {
                    reactor.reset();
                    loop.quit();
                });
            });
            reactor->run();
            QVERIFY(!reactor);
            QVERIFY(shutdown);
        }
    }

    void r260_destroyedInItsLastShutdownTrigger() {
        auto reactor = std::make_unique<GlibReactor>();
        reactor->addSystemEventTrigger("after", "shutdown", [&] { reactor.reset(); });
        reactor->callLater(0s, [&] { reactor->stop(); });
        reactor->run();
        QVERIFY(!reactor);
    }

    void r245_everythingRunsInANestedLoop() {
        GlibReactor reactor;
        int timers = 0;
        int calls = 0;
        reactor.callLater(0s, [&] {
            Loop dialog;
            std::function<void()> tick = [&] {
                if (++timers == 10) return dialog.quit();
                reactor.callLater(1ms, tick);
                reactor.callFromThread([&] { ++calls; });
            };
            tick();
            dialog.run();
            reactor.stop();
        });
        reactor.run();
        QCOMPARE(timers, 10);
        QCOMPARE(calls, 9);
    }

    void r266_whatAHostCallbackWritesLeavesBeforeTheLoopBlocks() {
        GlibReactor reactor;
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        auto sender = std::make_shared<Sender>(reactor);
        sender->open();
        const auto turns = reactor.stats().turns;
        Loop loop;
        HostSource write(g_idle_source_new(), nullptr, [&] { return sender->write(), false; });
        HostSource end(g_timeout_source_new(20), nullptr, [&] { return loop.quit(), false; });
        loop.run();
        QCOMPARE(sender->sent, 1);
        QCOMPARE(reactor.stats().turns, turns); // the hook did it, not a turn
    }

    void r266_whatIsWrittenLeavesWhileSomethingMoreUrgentIsBusy() {
        GlibReactor reactor;
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        auto sender = std::make_shared<Sender>(reactor);
        sender->open();
        Loop loop;
        int idles = 0;
        int late = 0;
        HostSource busy(g_idle_source_new(), nullptr, [&] {
            late += sender->sent != idles;
            if (idles == 5) return loop.quit(), false;
            ++idles;
            return sender->write(), true;
        }, G_PRIORITY_HIGH);
        loop.run();
        QCOMPARE(late, 0);
    }

    void r260_lessUrgentThanRedrawingByDefault() {
        GlibReactor reactor;
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        QStringList order;
        reactor.callLater(0s, [&] { order << "reactor"; });
        HostSource redraw(g_idle_source_new(), nullptr, [&] { return order << "redraw", false; }, 119);
        HostSource idle(g_idle_source_new(), nullptr, [&] { return order << "idle", false; }, 121);
        reactor.callLater(1ms, [] {}); // the last turn is young: the guard is silent
        QVERIFY(serveUntil([&] { return order.size() == 3; }));
        QCOMPARE(order, QStringList({"redraw", "reactor", "idle"}));
    }

    void r260_urgentAsAnyOnOtherContexts() {
        GMainContext* context = g_main_context_new();
        {
            GlibReactor reactor(context);
            QVERIFY(serveUntil([&] { return reactor.running(); }, context));
            QStringList order;
            HostSource idle(g_idle_source_new(), context, [&] { return order << "host", false; }, 1);
            reactor.callLater(0s, [&] { order << "reactor"; });
            QVERIFY(serveUntil([&] { return order.size() == 2; }, context));
            QCOMPARE(order, QStringList({"reactor", "host"}));
        }
        g_main_context_unref(context);
    }

    void r260_thePriorityCanBeSet() {
        GlibReactor reactor(nullptr, GlibReactor::Options().priority(250));
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        QStringList order;
        reactor.callLater(0s, [&] { order << "reactor"; });
        HostSource idle(g_idle_source_new(), nullptr, [&] { return order << "host", false; }, 200);
        QVERIFY(serveUntil([&] { return order.size() == 2; }));
        QCOMPARE(order, QStringList({"host", "reactor"}));
    }

    void r255_aBusyHostDoesNotStarveTheReactor() {
        GlibReactor reactor;
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        Loop loop;
        int served = 0;
        std::function<void()> again = [&] {
            if (++served == 3) return loop.quit();
            reactor.callLater(0s, again);
        };
        reactor.callLater(0s, again);
        QDeadlineTimer limit(20'000);
        int busyRounds = 0;
        HostSource busy(g_idle_source_new(), nullptr, [&] {
            ++busyRounds;
            if (limit.hasExpired()) loop.quit();
            return true;
        });
        loop.run();
        QCOMPARE(served, 3);
        QVERIFY(busyRounds > 3); // and it is the guard that serves, now and then
    }

    void r256_idleTheReactorHasNoTurns() {
        GlibReactor reactor;
        reactor.callLater(1h, [] {});
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        while (g_main_context_iteration(nullptr, FALSE)) {
        }
        const auto turns = reactor.stats().turns;
        bool over = false;
        int iterations = 0;
        HostSource end(g_timeout_source_new(100), nullptr, [&] { return over = true, false; });
        while (!over) {
            g_main_context_iteration(nullptr, TRUE);
            ++iterations;
        }
        QCOMPARE(reactor.stats().turns, turns);
        QVERIFY2(iterations < 10, qPrintable(QString::number(iterations)));
    }

    void r253_exceptionsEndAtTheBoundary() {
        GlibReactor reactor;
        bine::LogRecorder recorder;
        reactor.callLater(0s, [] { throw std::runtime_error("ouch"); });
        reactor.callFromThread([] { throw 42; });
        reactor.callLater(5ms, [&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(recorder.flush().size(), std::size_t(2));
    }

    void glibsLogIsTheOutputWhileAttached() {
        static QStringList seen;
        seen.clear();
        const guint handler = g_log_set_handler(
            "bine", G_LOG_LEVEL_MASK,
            [](const gchar*, GLogLevelFlags level, const gchar* text, gpointer) {
                seen << QString("%1 %2").arg(int(level)).arg(text);
            },
            nullptr);
        {
            GlibReactor reactor;
            bine::Logger("bine.test").critical("100 %s");
            bine::Logger("mine").info("two");
        }
        g_log_remove_handler("bine", handler);
        QCOMPARE(seen.size(), 2);
        QVERIFY2(seen[0].startsWith(QString("%1 [bine.test] 100 %s").arg(int(G_LOG_LEVEL_CRITICAL))), qPrintable(seen[0]));
        QVERIFY2(seen[1].startsWith(QString("%1 [mine] two").arg(int(G_LOG_LEVEL_INFO))), qPrintable(seen[1]));
    }

    void r260_aThreadsOwnContext() {
        bool served = false;
        bool right = false;
        std::thread([&] {
            GMainContext* context = g_main_context_new();
            g_main_context_push_thread_default(context);
            {
                GlibReactor reactor;
                right = reactor.context() == context;
                reactor.callLater(1ms, [&] {
                    served = true;
                    reactor.stop();
                });
                reactor.run();
            }
            g_main_context_pop_thread_default(context);
            g_main_context_unref(context);
        }).join();
        QVERIFY(right);
        QVERIFY(served);
    }

    void r260_aContextThatAnotherThreadRunsIsRefused() {
        GlibReactor reactor;
        bool refused = false;
        reactor.callLater(0s, [&] {
            std::thread([&] {
                try {
                    GlibReactor other;
                } catch (const bine::NoHostLoop&) {
                    refused = true;
                }
            }).join();
            reactor.stop();
        });
        reactor.run();
        QVERIFY(refused);
    }

    void r260_anInnerLoopOnAnotherContextBlocks() {
        // Not nested: whoever runs another context sleeps, as in any blocking call; nothing is lost by it.
        GlibReactor reactor;
        int calls = 0;
        GMainContext* other = g_main_context_new();
        reactor.callLater(0s, [&] {
            reactor.callLater(0s, [&] { ++calls; });
            Loop inner(other);
            HostSource end(g_timeout_source_new(10), other, [&] { return inner.quit(), false; });
            inner.run();
            QCOMPARE(calls, 0);
            reactor.callLater(1ms, [&] { reactor.stop(); });
        });
        reactor.run();
        g_main_context_unref(other);
        QCOMPARE(calls, 1);
    }

    void r020_twoReactorsOnOneContext() {
        GlibReactor first;
        GlibReactor second;
        int calls = 0;
        first.callLater(0s, [&] { ++calls; });
        second.callLater(0s, [&] { ++calls; });
        QVERIFY(serveUntil([&] { return calls == 2; }));
        second.stop();
        QVERIFY(serveUntil([&] { return !second.running(); }));
        first.callLater(0s, [&] { ++calls; });
        QVERIFY(serveUntil([&] { return calls == 3; }));
    }
};

QTEST_APPLESS_MAIN(GlibReactorTest)
#include "glib_reactor_test.moc"
