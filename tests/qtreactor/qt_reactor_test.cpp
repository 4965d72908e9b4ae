// What only Qt has: an application object that dies and comes back, socket notifiers, QThreads, its log. The
// rest of the reactor's life in Qt's loop is in tests/conformance.

#include <QtTest/QtTest>

#include <atomic>
#include <memory>
#include <thread>

#include "bine/log/log.h"
#include "bine/qtreactor/qt_reactor.h"
#include "bine/reactors/errors.h"
#include "kit/host_loop.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::QtReactor;
using bine::kit::Wire;

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
    while (!done() && !limit.hasExpired())
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 100);
    return done();
}

/// The socket notifiers that Qt watches on this thread.
int notifiers() {
    int n = 0;
    for (const std::string& object : bine::kit::qtObjects())
        n += object.starts_with("notifier");
    return n;
}

QStringList seen;

} // namespace

class QtReactorTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { bine::kit::watchQtObjects(); }
    void init() { bine::kit::failOnQtsComplaints(); }

    void r259_theDispatcherIsTheOneThatIsTested() {
        const Application application;
        const QByteArray name = QAbstractEventDispatcher::instance()->metaObject()->className();
        QCOMPARE(name.contains("Glib"), bine::kit::reactorName() == "qt");
    }

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

    // --- The application dies first.

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

    // --- Socket notifiers.

    void r258_oneNotifierWhateverThereIsToServe() {
        const Application application;
        auto reactor = std::make_unique<QtReactor>();
        std::vector<std::unique_ptr<Wire>> wires;
        int served = 0;
        int inside = 0;
        for (int i = 0; i < 20; ++i)
            wires.push_back(std::make_unique<Wire>(*reactor, [&](std::string) {
                QEventLoop loop;
                QTimer::singleShot(0, &loop, [&] {
                    inside = std::max(inside, notifiers());
                    loop.quit();
                });
                loop.exec();
                ++served;
            }));
        for (const auto& wire : wires)
            wire->send("x");
        QVERIFY(serveUntil([&] { return served == 20; }));
        QCOMPARE(inside, 1);
        wires.clear();
        QCOMPARE(notifiers(), 1);
        reactor->stop();
        QVERIFY(serveUntil([&] { return !reactor->running(); }));
        QCOMPARE(notifiers(), 0);
        reactor->attach();
        QCOMPARE(notifiers(), 1);
        reactor->crash();
        QCOMPARE(notifiers(), 0);
        reactor->attach();
        reactor.reset();
        QCOMPARE(notifiers(), 0);
    }

    void r258_theNotifierOutlivesTheEventInWhichTheReactorDies() {
        struct Watching : QCoreApplication {
            using QCoreApplication::QCoreApplication;
            bool notify(QObject* receiver, QEvent* event) override {
                const QPointer<QObject> notifier = qobject_cast<QSocketNotifier*>(receiver);
                const bool ours = notifier && event->type() == QEvent::SockAct;
                const bool accepted = QCoreApplication::notify(receiver, event);
                activations += ours;
                deletedInside += ours && !notifier;
                return accepted;
            }
            int activations = 0;
            int deletedInside = 0;
        };
        int argc = 1;
        char name[] = "test";
        char* argv[] = {name, nullptr};
        Watching application(argc, argv);
        auto reactor = std::make_unique<QtReactor>();
        reactor->callLater(0s, [&] {
            QEventLoop dialog;
            reactor->callLater(0s, [&] {
                reactor.reset();
                dialog.quit();
            });
            dialog.exec();
        });
        QVERIFY(serveUntil([&] { return !reactor; }));
        QVERIFY(application.activations >= 2);
        QCOMPARE(application.deletedInside, 0);
    }

    void r252_aLoopWithoutSocketsDoesNotSpin() {
        const Application application;
        QtReactor reactor;
        std::string heard;
        Wire wire(reactor, [&](std::string text) { heard = text; });
        QVERIFY(serveUntil([&] { return reactor.running(); }));
        wire.send("x");
        int rounds = 0;
        const auto before = reactor.stats().turns;
        QEventLoop loop;
        QObject::connect(QAbstractEventDispatcher::instance(), &QAbstractEventDispatcher::awake, &loop,
                         [&] { ++rounds; });
        QTimer::singleShot(50, &loop, &QEventLoop::quit);
        loop.exec(QEventLoop::ExcludeSocketNotifiers);
        QVERIFY2(rounds <= 10, qPrintable(QString("%1 rounds").arg(rounds)));
        QVERIFY(reactor.stats().turns - before <= 5);
        QVERIFY(serveUntil([&] { return heard == "x"; }));
    }

    // --- Threads.

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
                    QEventLoop dialog;
                    reactor.callLater(0s, [&] {
                        QEventLoop another;
                        reactor.callLater(0s, [&] { reactor.stop(); });
                        another.exec();
                    });
                    dialog.exec();
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
        bool inTime = false;
        const std::unique_ptr<QThread> thread(QThread::create([&] {
            QtReactor reactor;
            reactor.addSystemEventTrigger("after", "shutdown", [&] { shutdown = true; });
            reactor.callWhenRunning([&] { QThread::currentThread()->quit(); });
            reactor.run();
            inTime = shutdown;
        }));
        thread->start();
        QVERIFY(thread->wait(20'000));
        QVERIFY(inTime);
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

    // --- The log.

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
        QVERIFY2(seen[0].startsWith(QString("%1 bine.test one").arg(int(QtCriticalMsg))),
                 qPrintable(seen[0]));
        QVERIFY2(seen[1].startsWith(QString("%1 bine.mine two").arg(int(QtInfoMsg))), qPrintable(seen[1]));
    }
};

QTEST_APPLESS_MAIN(QtReactorTest)
#include "qt_reactor_test.moc"
