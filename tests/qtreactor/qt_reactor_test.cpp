// The reactor in Qt's event loop: its life beside that of the application, of threads and of nested loops.

#include <QtTest/QtTest>

#include <sys/eventfd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include "bine/log/log.h"
#include "bine/log/recorder.h"
#include "bine/qtreactor/qt_reactor.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/io_handler.h"

using namespace std::chrono_literals;
using bine::QtReactor;

namespace {

/// An application for one test: its loop is this thread's, and gone afterwards.
struct Application {
    int argc = 1;
    char name[5] = "test";
    char* argv[2] = {name, nullptr};
    QCoreApplication qt{argc, argv};
};

/// A host slot.
template <class F>
void later(F f) {
    QTimer::singleShot(0, std::move(f));
}

/// Serves until done(); false after many turns of the host that did not help.
template <class Done>
bool serveUntil(Done done) {
    QDeadlineTimer limit(20'000);
    while (!done() && !limit.hasExpired()) QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 100);
    return done();
}

/// Runs f in a loop nested `depth` times inside the current callback.
void nest(bine::Reactor& reactor, int depth, std::function<void(QEventLoop&)> f) {
    QEventLoop loop;
    reactor.callLater(0s, [&reactor, &loop, depth, f] {
        if (depth > 1) {
            nest(reactor, depth - 1, f);
            loop.quit();
        } else {
            f(loop);
        }
    });
    loop.exec();
}

/// Counts what a transport would send.
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

QStringList seen;

} // namespace

class QtReactorTest : public QObject {
    Q_OBJECT

private slots:
    void r251_withoutALoopOnTheThreadItThrows() {
        QVERIFY_THROWS_EXCEPTION(bine::NoHostLoop, QtReactor());
        Application application;
        bool thrown = false;
        std::thread([&] {
            try {
                QtReactor reactor;
            } catch (const bine::NoHostLoop&) {
                thrown = true;
            }
        }).join();
        QVERIFY(thrown);
    }

    void r250_stopDetachesAndTheHostGoesOn() {
        Application application;
        QtReactor reactor;
        QStringList order;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { order << "shutdown"; });
        reactor.callLater(0s, [&] { reactor.stop(); });
        QTimer::singleShot(50, [&] {
            order << (reactor.running() ? "running" : "stopped");
            QCoreApplication::quit();
        });
        application.qt.exec();
        QCOMPARE(order, QStringList({"shutdown", "stopped"}));
    }

    void r250_stopEndsRun() {
        Application application;
        QtReactor reactor;
        reactor.callWhenRunning([&] { reactor.stop(); });
        reactor.run();
        QVERIFY(!reactor.running());
        // It was Qt's loop that ended, and it can be run again.
        later([] { QCoreApplication::exit(7); });
        QCOMPARE(application.qt.exec(), 7);
    }

    void r251_attachDetachAttachInARunningLoop() {
        Application application;
        QtReactor reactor;
        int starts = 0;
        std::function<void()> round = [&] {
            ++starts;
            reactor.callLater(0s, [&] { reactor.stop(); });
        };
        reactor.addSystemEventTrigger("after", "startup", round);
        QTimer check;
        QObject::connect(&check, &QTimer::timeout, [&] {
            if (reactor.running() || reactor.getDelayedCalls().size() > 0) return;
            if (starts == 5) return QCoreApplication::quit();
            try {
                reactor.addSystemEventTrigger("after", "startup", round);
                reactor.attach();
            } catch (const bine::ReactorAlreadyRunning&) {
            }
        });
        check.start(1);
        application.qt.exec();
        QVERIFY(starts >= 5);
    }

    void r004_runTwice() {
        Application application;
        QtReactor reactor;
        int calls = 0;
        for (int i = 0; i < 3; ++i) {
            reactor.callLater(1ms, [&] {
                ++calls;
                reactor.stop();
            });
            reactor.run();
        }
        QCOMPARE(calls, 3);
    }

    void r003_runInsideTheLoopIsRefused() {
        Application application;
        QtReactor reactor;
        int refused = 0;
        auto tryIt = [&] {
            try {
                reactor.run();
            } catch (const bine::ReactorAlreadyRunning&) {
                ++refused;
            }
        };
        later(tryIt);
        reactor.callLater(1ms, [&] {
            tryIt();
            reactor.stop();
        });
        reactor.run();
        QCOMPARE(refused, 2);
    }

    void r005_crashEndsRun() {
        Application application;
        QtReactor reactor;
        bool shutdown = false;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
        reactor.callLater(0s, [&] { reactor.crash(); });
        reactor.run();
        QVERIFY(!shutdown);
        reactor.callLater(0s, [&] { reactor.stop(); });
        reactor.run();
        QVERIFY(shutdown);
    }

    void r017_stopFromAHostSlot() {
        Application application;
        QtReactor reactor;
        reactor.callWhenRunning([&] { QTimer::singleShot(5, [&] { reactor.stop(); }); });
        reactor.run();
        QVERIFY(!reactor.running());
    }

    void r041_timersSetFromAHostSlotFire() {
        Application application;
        QtReactor reactor;
        auto call = reactor.callLater(1h, [&] { reactor.stop(); });
        QTimer::singleShot(5, [&] { call.reset(1ms); });
        reactor.run();
        QVERIFY(!call.active());
    }

    void r248_stopInNestedLoopsEndsThemAll() {
        Application application;
        QtReactor reactor;
        bool shutdownInside = false;
        bool unwound = false;
        reactor.addSystemEventTrigger("during", "shutdown", [&] { shutdownInside = !unwound; });
        reactor.callLater(0s, [&] {
            nest(reactor, 3, [&](QEventLoop&) { reactor.stop(); });
            unwound = true;
        });
        reactor.run();
        QVERIFY(shutdownInside);
        QVERIFY(unwound);
    }

    void r248_stopInANestedLoopOfAnAttachedHost() {
        Application application;
        QtReactor reactor;
        bool inside = false;
        reactor.callLater(0s, [&] {
            QEventLoop dialog;
            reactor.addSystemEventTrigger("after", "shutdown", [&] {
                inside = dialog.isRunning();
                dialog.quit();
            });
            later([&] { reactor.stop(); });
            dialog.exec();
            QCoreApplication::quit();
        });
        application.qt.exec();
        QVERIFY(inside);
    }

    void r249_theHostQuitsFirst() {
        Application application;
        QtReactor reactor;
        QStringList phases;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { phases << "before"; });
        reactor.addSystemEventTrigger("after", "shutdown", [&] { phases << "after"; });
        reactor.callWhenRunning([] { later([] { QCoreApplication::quit(); }); });
        application.qt.exec();
        QCOMPARE(phases, QStringList({"before", "after"}));
        QVERIFY(!reactor.running());
    }

    void r249_theHostQuitsRun() {
        Application application;
        QtReactor reactor;
        int shutdowns = 0;
        for (int i = 0; i < 2; ++i) {
            reactor.addSystemEventTrigger("before", "shutdown", [&] { ++shutdowns; });
            reactor.callLater(1ms, [&] { QCoreApplication::quit(); });
            reactor.run();
        }
        QCOMPARE(shutdowns, 2);
        QEventLoop still;
        QTimer::singleShot(0, [&] { still.exit(5); });
        QCOMPARE(still.exec(), 5);
    }

    void r249_shutdownWaitsForADeferred() {
        Application application;
        QtReactor reactor;
        bine::Resolver<> answer;
        bool fired = false;
        reactor.addSystemEventTrigger("before", "shutdown", [&] {
            reactor.callLater(5ms, [&] {
                fired = true;
                answer.callback();
            });
            return answer.deferred();
        });
        reactor.callLater(0s, [&] { QCoreApplication::quit(); });
        application.qt.exec();
        QVERIFY(fired);
    }

    void r254_theApplicationDiesFirst() {
        auto application = std::make_unique<Application>();
        QtReactor reactor;
        bool called = false;
        reactor.callLater(0s, [&] { called = true; });
        application.reset();
        QVERIFY_THROWS_EXCEPTION(bine::NoHostLoop, reactor.run());
        QVERIFY(!called);
    }

    void r254_aNewApplicationServesTheReactor() {
        auto application = std::make_unique<Application>();
        QtReactor reactor;
        int calls = 0;
        for (int i = 0; i < 3; ++i) {
            reactor.callLater(0s, [&] { ++calls; });
            QVERIFY(serveUntil([&] { return calls == i + 1; }));
            application.reset();
            application = std::make_unique<Application>();
        }
        QVERIFY(reactor.running());
        later([] { QCoreApplication::quit(); });
        application->qt.exec(); // aboutToQuit of the new one
        QVERIFY(!reactor.running());
    }

    void r254_detachedWhileThereWasNoApplication() {
        auto application = std::make_unique<Application>();
        auto reactor = std::make_unique<QtReactor>();
        QVERIFY(serveUntil([&] { return reactor->running(); }));
        application.reset();
        reactor->crash();
        application = std::make_unique<Application>();
        reactor->attach();
        QVERIFY(serveUntil([&] { return reactor->running(); }));
        application.reset();
        reactor.reset(); // lost
        application = std::make_unique<Application>();
        QCoreApplication::processEvents();
    }

    void r258_destroyedAtDepth3() {
        Application application;
        for (int depth = 1; depth <= 3; ++depth) {
            auto reactor = std::make_unique<QtReactor>();
            bool unwound = false;
            reactor->callLater(0s, [&] {
                QEventLoop outer;
                nest(*reactor, depth, [&](QEventLoop& loop) {
                    reactor.reset();
                    loop.quit();
                    // the loop turns on, and with it whatever was to be deleted later
                    QEventLoop more;
                    QTimer::singleShot(5, &more, &QEventLoop::quit);
                    more.exec();
                });
                unwound = true;
            });
            QVERIFY(serveUntil([&] { return unwound; }));
            QVERIFY(!reactor);
            QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
        }
    }

    void r258_destroyedByAHostSlotInANestedLoop() {
        Application application;
        auto reactor = std::make_unique<QtReactor>();
        bool unwound = false;
        reactor->callLater(0s, [&] {
            QEventLoop dialog;
            later([&] { reactor.reset(); });
            QTimer::singleShot(10, &dialog, &QEventLoop::quit);
            dialog.exec();
            unwound = true;
        });
        QVERIFY(serveUntil([&] { return unwound; }));
        QVERIFY(!reactor);
        QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    }

    void r258_destroyedInsideRunEndsIt() {
        Application application;
        for (int depth = 1; depth <= 3; ++depth) {
            auto reactor = std::make_unique<QtReactor>();
            bool shutdown = false;
            reactor->addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
            reactor->callLater(0s, [&] { nest(*reactor, depth, [&](QEventLoop&) { reactor.reset(); }); });
            reactor->run();
            QVERIFY(!reactor);
            QVERIFY(shutdown);
        }
    }

    void r258_destroyedInItsLastShutdownTrigger() {
        Application application;
        auto reactor = std::make_unique<QtReactor>();
        reactor->addSystemEventTrigger("after", "shutdown", [&] { reactor.reset(); });
        reactor->callLater(0s, [&] { reactor->stop(); });
        reactor->run();
        QVERIFY(!reactor);
    }

    void r245_everythingRunsInANestedLoop() {
        Application application;
        QtReactor reactor;
        int timers = 0;
        int calls = 0;
        reactor.callLater(0s, [&] {
            QEventLoop dialog;
            std::function<void()> tick = [&] {
                if (++timers == 10) return dialog.quit();
                reactor.callLater(1ms, tick);
                reactor.callFromThread([&] { ++calls; });
            };
            tick();
            dialog.exec();
            reactor.stop();
        });
        reactor.run();
        QCOMPARE(timers, 10);
        QCOMPARE(calls, 9);
    }

    void r252_excludedSocketNotifiersLoseNothing() {
        Application application;
        QtReactor reactor;
        int calls = 0;
        for (int i = 0; i < 5; ++i) reactor.callLater(0s, [&] { ++calls; });
        for (int i = 0; i < 20; ++i) QCoreApplication::processEvents(QEventLoop::ExcludeSocketNotifiers);
        QVERIFY(serveUntil([&] { return calls == 5; }));
    }

    void r266_whatAHostSlotWritesLeavesBeforeTheLoopBlocks() {
        Application application;
        QtReactor reactor;
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        auto sender = std::make_shared<Sender>(reactor);
        sender->open();
        const auto turns = reactor.stats().turns;
        QEventLoop loop;
        bool written = false;
        int sentWhenItBlocked = -1;
        QObject::connect(QAbstractEventDispatcher::instance(), &QAbstractEventDispatcher::aboutToBlock, &loop, [&] {
            if (written && sentWhenItBlocked < 0) sentWhenItBlocked = sender->sent;
        });
        later([&] {
            sender->write();
            written = true;
        });
        QTimer::singleShot(20, &loop, &QEventLoop::quit);
        loop.exec();
        QCOMPARE(sentWhenItBlocked, 1);
        QCOMPARE(sender->sent, 1);
        QCOMPARE(reactor.stats().turns, turns); // the hook did it, not a turn
    }

    void r266_whatIsWrittenLeavesInAProcessEventsLoop() {
        Application application;
        QtReactor reactor;
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        auto sender = std::make_shared<Sender>(reactor);
        sender->open();
        for (int i = 1; i <= 5; ++i) {
            sender->write();
            QCoreApplication::processEvents();
            QCOMPARE(sender->sent, i);
        }
    }

    void r256_idleTheReactorHasNoTurns() {
        Application application;
        QtReactor reactor;
        reactor.callLater(1h, [] {});
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        for (int i = 0; i < 10; ++i) QCoreApplication::processEvents(); // what the start left behind
        const auto turns = reactor.stats().turns;
        int awakenings = 0;
        QEventLoop loop;
        QObject::connect(QAbstractEventDispatcher::instance(), &QAbstractEventDispatcher::awake, &loop,
                         [&] { ++awakenings; });
        QTimer::singleShot(100, &loop, &QEventLoop::quit);
        loop.exec();
        QCOMPARE(reactor.stats().turns, turns);
        QVERIFY2(awakenings < 10, qPrintable(QString::number(awakenings)));
    }

    void r253_exceptionsEndAtTheBoundary() {
        Application application;
        QtReactor reactor;
        bine::LogRecorder recorder;
        reactor.callLater(0s, [] { throw std::runtime_error("ouch"); });
        reactor.callFromThread([] { throw 42; });
        reactor.callLater(5ms, [&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(recorder.flush().size(), std::size_t(2));
    }

    void qtsLogIsTheOutputWhileAttached() {
        Application application;
        seen.clear();
        {
            QtReactor reactor;
            const auto before = qInstallMessageHandler(
                [](QtMsgType type, const QMessageLogContext& context, const QString& text) {
                    seen << QString("%1 %2 %3").arg(int(type)).arg(context.category, text);
                });
            bine::Logger("bine.test").error("one");
            bine::Logger("mine").info("two");
            QLoggingCategory::setFilterRules("bine.mine.info=false");
            bine::Logger("mine").info("three");
            QLoggingCategory::setFilterRules("");
            qInstallMessageHandler(before);
        }
        QCOMPARE(seen.size(), 2);
        QVERIFY2(seen[0].startsWith(QString("%1 bine.test one").arg(int(QtCriticalMsg))), qPrintable(seen[0]));
        QVERIFY2(seen[1].startsWith(QString("%1 bine.mine two").arg(int(QtInfoMsg))), qPrintable(seen[1]));
    }

    void r259_inAThreadOfItsOwn() {
        Application application;
        int calls = 0;
        int afterwards = 0;
        bool nestedEnded = false;
        std::unique_ptr<QThread> thread(QThread::create([&] {
            QtReactor reactor;
            for (int i = 0; i < 2; ++i) {
                reactor.callLater(1ms, [&] {
                    ++calls;
                    nest(reactor, 2, [&](QEventLoop&) { reactor.stop(); });
                    nestedEnded = true;
                });
                reactor.run();
            }
            QEventLoop loop; // run() has left the thread as it was
            QTimer::singleShot(0, &loop, [&] { loop.exit(3); });
            afterwards = loop.exec();
        }));
        thread->start();
        QVERIFY(thread->wait(20'000));
        QCOMPARE(calls, 2);
        QVERIFY(nestedEnded);
        QCOMPARE(afterwards, 3);
    }

    void r249_theThreadQuitsFirst() {
        Application application;
        bool shutdown = false;
        QThread* thread = QThread::create([&] {
            QtReactor reactor;
            reactor.addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
            reactor.callWhenRunning([&] { QThread::currentThread()->quit(); });
            reactor.run();
        });
        thread->start();
        QVERIFY(thread->wait(20'000));
        QVERIFY(shutdown);
        delete thread;
    }

    void r249_theThreadEndsUnderAnAttachedReactor() {
        Application application;
        std::atomic<QtReactor*> reactor = nullptr; // atomics: TSan does not see how Qt synchronises
        std::atomic<bool> shutdown = false;
        std::atomic<bool> inTime = false;
        QThread thread;
        auto* worker = new QObject;
        worker->moveToThread(&thread);
        QObject::connect(&thread, &QThread::started, worker, [&] {
            reactor = new QtReactor;
            reactor.load()->addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
            reactor.load()->callLater(1ms, [&] { thread.quit(); });
            // connected after the reactor's own
            QObject::connect(
                &thread, &QThread::finished, worker,
                [&, worker] {
                    const bool before = shutdown;
                    delete reactor.exchange(nullptr);
                    delete worker;
                    inTime = before; // the last that this thread does
                },
                Qt::DirectConnection);
        });
        thread.start();
        QVERIFY(thread.wait(20'000));
        QVERIFY(inTime);
    }

    void r020_twoReactorsOnOneThread() {
        Application application;
        QtReactor first;
        QtReactor second;
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

QTEST_APPLESS_MAIN(QtReactorTest)
#include "qt_reactor_test.moc"
