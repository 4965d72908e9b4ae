// the reactor in a QCoreApplication, a QGuiApplication and a QApplication, which bring dispatchers of
// their own, with GLib or without.

#include <QtTest/QtTest>

#include <QtGui/QGuiApplication>
#include <QtGui/QWindow>
#include <QtWidgets/QApplication>

#include <memory>
#include <thread>

#include "bine/qtreactor/qt_reactor.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::kit::inQt;
using bine::kit::ReactorHost;
using bine::kit::Steps;
using bine::kit::Wire;

namespace {

const char* const allPhases = "before-shutdown during-shutdown after-shutdown";

enum class Class { core, gui, widgets };

/// One application, and its loop.
class Application {
public:
    explicit Application(Class which) {
        if (which == Class::core)
            qt_ = std::make_unique<QCoreApplication>(argc_, argv_);
        else if (which == Class::gui)
            qt_ = std::make_unique<QGuiApplication>(argc_, argv_);
        else
            qt_ = std::make_unique<QApplication>(argc_, argv_);
        exec = which == Class::core  ? &QCoreApplication::exec
               : which == Class::gui ? &QGuiApplication::exec
                                     : &QApplication::exec;
    }
    int (*exec)();

private:
    int argc_ = 1;
    char name_[5] = "test";
    char* argv_[2] = {name_, nullptr};
    std::unique_ptr<QCoreApplication> qt_;
};

} // namespace

Q_DECLARE_METATYPE(Class)

class ApplicationClassesTest : public QObject {
    Q_OBJECT

    static void classes() {
        QTest::addColumn<Class>("which");
        QTest::newRow("QCoreApplication") << Class::core;
        QTest::newRow("QGuiApplication") << Class::gui;
        QTest::newRow("QApplication") << Class::widgets;
    }

    /// Data, a timer and a call from a thread, in the loop that runs and in one nested in it; then f.
    static void serveTwice(ReactorHost& host, Steps& steps, std::function<void()> f) {
        host.reactor().callLater(0s, [&host, &steps, f] {
            serve(host, steps, [&host, &steps, f] {
                const std::shared_ptr<bine::kit::NestedLoop> dialog = host.nestedLoop();
                serve(host, steps, [dialog] { dialog->quit(); });
                steps.add(dialog->exec() ? "nested" : "hung");
                f();
            });
        });
    }
    static void serve(ReactorHost& host, Steps& steps, std::function<void()> f) {
        const auto wire = std::make_shared<std::unique_ptr<Wire>>();
        *wire = std::make_unique<Wire>(host.reactor(), [&steps, wire, f](std::string text) {
            steps.add(text);
            const auto then = f;
            wire->reset();
            then();
        });
        host.reactor().callLater(1ms, [&host, &steps, wire] {
            steps.add("timer");
            std::thread([&host, &steps, wire] {
                host.reactor().callFromThread([&steps, wire] {
                    steps.add("thread");
                    (*wire)->send("data");
                });
            }).join();
        });
    }
    static constexpr const char* servedTwice = "timer thread data timer thread data nested ";

private slots:
    void init() { bine::kit::failOnQtsComplaints(); }

    void r259_theDispatcherIsTheOneThatIsTested_data() { classes(); }
    void r259_theDispatcherIsTheOneThatIsTested() {
        QFETCH(Class, which);
        const Application application(which);
        const QByteArray name = QAbstractEventDispatcher::instance()->metaObject()->className();
        QCOMPARE(name.contains("Glib"), bine::kit::reactorName() != "qt-noglib");
    }

    void r259_theApplicationsLoopServes_data() { classes(); }
    void r259_theApplicationsLoopServes() {
        QFETCH(Class, which);
        const Application application(which);
        Steps steps;
        ReactorHost host;
        watchPhases(host.reactor(), "shutdown", steps);
        serveTwice(host, steps, [] { QCoreApplication::quit(); });
        application.exec();
        if (!inQt())
            host.destroyReactor();
        QCOMPARE(steps.text(), QString(servedTwice) + allPhases);
    }

    void r259_stopEndsTheLoopOfRun_data() { classes(); }
    void r259_stopEndsTheLoopOfRun() {
        QFETCH(Class, which);
        const Application application(which);
        Steps steps;
        ReactorHost host;
        watchPhases(host.reactor(), "shutdown", steps);
        serveTwice(host, steps, [&] { host.reactor().stop(); });
        if (inQt())
            static_cast<bine::QtReactor&>(host.reactor()).run(application.exec);
        else
            host.run();
        QCOMPARE(steps.text(), QString(servedTwice) + allPhases);
        QVERIFY(!host.reactor().running());
    }

    void r249_r259_theLastWindowThatClosesEndsIt_data() { classes(); }
    void r249_r259_theLastWindowThatClosesEndsIt() {
        QFETCH(Class, which);
        if (which == Class::core)
            return; // it has no windows
        const Application application(which);
        Steps steps;
        ReactorHost host;
        QWindow window;
        watchPhases(host.reactor(), "shutdown", steps);
        window.show();
        host.reactor().callLater(1ms, [&] { window.close(); });
        application.exec();
        if (!inQt())
            host.destroyReactor();
        QCOMPARE(steps.text(), allPhases);
    }
};

QTEST_APPLESS_MAIN(ApplicationClassesTest)
#include "application_classes_test.moc"
