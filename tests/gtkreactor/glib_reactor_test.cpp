// What only GLib has: priorities and contexts. The rest of the reactor's life in a context is in
// tests/conformance.

#include <glib.h>

#include <functional>
#include <memory>
#include <thread>

#include "bine/gtkreactor/glib_reactor.h"
#include "bine/reactors/errors.h"
#include "kit/reactor_test.h"
#include "kit/sender.h"

using namespace std::chrono_literals;
using bine::GlibReactor;

namespace {

/// A callback of the host: f is called until it returns false.
class HostSource {
public:
    HostSource(GSource* source, GMainContext* context, int priority, std::function<bool()> f)
        : source_(source), f_(std::move(f)) {
        g_source_set_priority(source_, priority);
        g_source_set_callback(
            source_, [](gpointer self) -> gboolean { return static_cast<HostSource*>(self)->f_(); }, this,
            nullptr);
        g_source_attach(source_, context);
    }
    ~HostSource() {
        g_source_destroy(source_);
        g_source_unref(source_);
    }
    HostSource(const HostSource&) = delete;
    HostSource& operator=(const HostSource&) = delete;

private:
    GSource* source_;
    std::function<bool()> f_;
};

/// A context of the test's own.
class Context {
public:
    Context() : context_(g_main_context_new()) {}
    ~Context() { g_main_context_unref(context_); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    operator GMainContext*() const { return context_; }

private:
    GMainContext* context_;
};

} // namespace

class GlibReactorTest : public bine::kit::ReactorTest {
    Q_OBJECT

    GMainContext* context() { return static_cast<GlibReactor&>(reactor()).context(); }
    bool start() {
        return host().spinUntil([&] { return reactor().running(); });
    }
    /// Whether the context serves the reactor and sources of these priorities in that order. A turn that comes
    /// 20 ms after the last is the most urgent, so on a busy machine it may take more than one attempt.
    bool serves(bine::ReactorBase& reactor, GMainContext* context, std::vector<int> priorities,
                const QString& expected) {
        QString order;
        for (int attempt = 0; attempt < 50 && order != expected; ++attempt) {
            order.clear();
            std::size_t served = 0;
            const auto note = [&](const QString& who) {
                order += order.isEmpty() ? who : " " + who;
                ++served;
            };
            bool ready = false;
            reactor.callLater(0s, [&] { ready = true; });
            while (!ready)
                g_main_context_iteration(context, TRUE);
            reactor.callLater(0s, [&] { note("reactor"); });
            std::vector<std::unique_ptr<HostSource>> sources;
            for (const int priority : priorities)
                sources.push_back(
                    std::make_unique<HostSource>(g_idle_source_new(), context, priority, [&, priority] {
                        note(QString::number(priority));
                        return false;
                    }));
            while (served <= priorities.size())
                g_main_context_iteration(context, TRUE);
        }
        if (order != expected)
            qInfo("%s", qPrintable(order));
        return order == expected;
    }

private slots:
    // --- Priorities.

    void r260_itsPriorityByDefault() {
        QVERIFY(start());
        if (context() == g_main_context_default()) // that of GTK's redrawing
            QVERIFY(serves(reactor(), context(), {119, 121}, "119 reactor 121"));
        else
            QVERIFY(serves(reactor(), context(), {-1, 1}, "-1 reactor 1"));
    }

    void r260_thePriorityCanBeSet() {
        const Context other;
        for (GMainContext* one : {context(), static_cast<GMainContext*>(other)}) {
            GlibReactor reactor(one, GlibReactor::Options().priority(250));
            QVERIFY(serves(reactor, one, {249, 251}, "249 reactor 251"));
        }
    }

    void r255_aBusyHostDoesNotStarveTheReactor() {
        QVERIFY(start());
        const auto loop = host().nestedLoop();
        int served = 0;
        int busyRounds = 0;
        const std::function<void()> again = [&] {
            if (++served == 3)
                return loop->quit();
            reactor().callLater(0s, again);
        };
        reactor().callLater(0s, again);
        const HostSource busy(g_idle_source_new(), context(), G_PRIORITY_HIGH, [&] {
            ++busyRounds;
            return true;
        });
        // The limit of exec() would be starved, too.
        const HostSource limit(g_timeout_source_new(10'000), context(), G_PRIORITY_HIGH, [&] {
            loop->quit();
            return false;
        });
        loop->exec();
        QCOMPARE(served, 3);
        QVERIFY(busyRounds > 3); // and it is the guard that serves, now and then
    }

    void r266_whatIsWrittenLeavesWhileSomethingMoreUrgentIsBusy() {
        QVERIFY(start());
        const auto sender = bine::kit::Sender::make(reactor());
        const auto loop = host().nestedLoop();
        int rounds = 0;
        int late = 0;
        const HostSource busy(g_idle_source_new(), context(), G_PRIORITY_HIGH, [&] {
            late += sender->sent != rounds;
            if (rounds == 5) {
                loop->quit();
                return false;
            }
            ++rounds;
            sender->write();
            return true;
        });
        QVERIFY(loop->exec());
        QCOMPARE(late, 0);
    }

    // --- Contexts and loops.

    void r249_mainLoopIsThatOfRun() {
        auto& glib = static_cast<GlibReactor&>(reactor());
        bool running = false;
        QVERIFY(!glib.mainLoop());
        glib.callLater(0s, [&] {
            running = glib.mainLoop() && g_main_loop_is_running(glib.mainLoop());
            glib.stop();
        });
        run();
        QVERIFY(running);
        QVERIFY(!glib.mainLoop());
    }

    void r254_theContextIsDroppedFirst() {
        GMainContext* dropped = g_main_context_new();
        GlibReactor reactor(dropped);
        g_main_context_unref(dropped);
        reactor.callLater(0s, [&] { reactor.stop(); });
        reactor.run();
        QVERIFY(!reactor.running());
        QCOMPARE(reactor.context(), dropped);
    }

    void r260_theThreadsDefaultContextIsItsOwn() {
        bool right = false;
        bool served = false;
        std::thread([&] {
            const Context own;
            g_main_context_push_thread_default(own);
            {
                GlibReactor reactor;
                right = reactor.context() == own;
                reactor.callLater(1ms, [&] {
                    served = true;
                    reactor.stop();
                });
                reactor.run();
            }
            g_main_context_pop_thread_default(own);
        }).join();
        QVERIFY(right);
        QVERIFY(served);
    }

    void r260_aContextThatAnotherThreadRunsIsRefused() {
        bool refused = false;
        reactor().callLater(0s, [&] {
            std::thread([&] {
                try {
                    const GlibReactor other(context());
                } catch (const bine::NoHostLoop&) {
                    refused = true;
                }
            }).join();
            reactor().stop();
        });
        run();
        QVERIFY(refused);
    }

    // Not nested: who runs another context sleeps, as in any blocking call; nothing is lost by it.
    void r260_aLoopOnAnotherContextBlocks() {
        int calls = 0;
        int callsInside = -1;
        const Context other;
        reactor().callLater(0s, [&] {
            reactor().callLater(0s, [&] { ++calls; });
            reactor().callLater(1ms, [&] { reactor().stop(); });
            bool over = false;
            const HostSource end(g_timeout_source_new(10), other, G_PRIORITY_DEFAULT, [&] {
                over = true;
                return false;
            });
            while (!over)
                g_main_context_iteration(other, TRUE);
            callsInside = calls;
        });
        run();
        QCOMPARE(callsInside, 0);
        QCOMPARE(calls, 1);
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<GlibReactorTest>(argc, argv); }
#include "glib_reactor_test.moc"
