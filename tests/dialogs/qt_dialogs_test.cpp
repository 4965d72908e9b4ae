// Qt's own nested loops, with real windows on a display: QDialog::exec(), QMessageBox, QMenu, processEvents() (R-245 to to
// Runs with both of Qt's dispatchers.

#include <QtTest/QtTest>

#include <QtGui/QPaintEvent>
#include <QtWidgets/QApplication>
#include <QtWidgets/QDialog>
#include <QtWidgets/QMenu>
#include <QtWidgets/QMessageBox>
#include <QtWidgets/QPushButton>
#include <QtWidgets/QVBoxLayout>

#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"
#include "dialogs/kind_rows.h"
#include "kit/reactor_test.h"

using namespace dialogs;
using bine::kit::NestedLoop;

namespace {

/// A nested loop that is a window: exec() shows it and returns when it is closed.
template <class Window>
class WindowLoop : public NestedLoop {
public:
    Window window;

    bool exec() override {
        bool tooLong = false;
        QTimer limit;
        limit.setSingleShot(true);
        QObject::connect(&limit, &QTimer::timeout, &window, [&] {
            tooLong = true;
            window.close();
        });
        limit.start(std::chrono::ceil<std::chrono::milliseconds>(bine::kit::safetyLimit()));
        run();
        return !tooLong;
    }
    void quit() override {
        wasVisible = wasVisible || window.isVisible();
        window.close();
    }
    bool wasVisible = false;

protected:
    virtual void run() { window.exec(); }
};

class MenuLoop final : public WindowLoop<QMenu> {
    void run() override {
        window.addAction("Save");
        window.addAction("Quit");
        window.exec(QPoint(100, 100));
    }
};

class MessageLoop final : public WindowLoop<QMessageBox> {
    void run() override {
        window.setText("The peer has sent something.");
        window.setStandardButtons(QMessageBox::Ok | QMessageBox::Cancel);
        window.exec();
    }
};

enum class Window { dialog, message, menu };

} // namespace

Q_DECLARE_METATYPE(Window)

namespace {

/// A window of that kind, opened in there; true if everything else went on.
bool openWhile(Others& others, Window window, bool& visible) {
    auto open = [&](auto&& loop) {
        const bool wentOn = others.execWhileTheyGoOn(loop);
        visible = loop.wasVisible;
        return wentOn;
    };
    if (window == Window::dialog)
        return open(WindowLoop<QDialog>());
    if (window == Window::message)
        return open(MessageLoop());
    return open(MenuLoop());
}

} // namespace

class QtDialogsTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // What a process makes once: the platform's threads and descriptors, a port's spare descriptor.
    void initTestCase() {
        toolkitComesAndGoes();
        bine::kit::ReactorHost host;
        Scene scene(host);
        Others others(scene);
        bool visible = false;
        for (const Window window : {Window::dialog, Window::message, Window::menu})
            openWhile(others, window, visible);
    }

    void r259_theDispatcherIsTheOneThatIsTested() {
        const QByteArray name = QAbstractEventDispatcher::instance()->metaObject()->className();
        QCOMPARE(name.contains("Glib"), !qEnvironmentVariableIsSet("QT_NO_GLIB"));
    }

    void r245_r259_r267_windowsHoldNobodyUp_data() {
        QTest::addColumn<Window>("window");
        QTest::addColumn<Kind>("kind");
        const std::pair<Window, const char*> windows[] = {
            {Window::dialog, "QDialog"}, {Window::message, "QMessageBox"}, {Window::menu, "QMenu"}};
        for (const auto& [window, name] : windows)
            for (const Kind kind : kinds())
                QTest::addRow("%s in %s", name, nameOf(kind)) << window << kind;
    }
    void r245_r259_r267_windowsHoldNobodyUp() {
        QFETCH(Window, window);
        QFETCH(Kind, kind);
        Scene scene(host());
        Others others(scene);
        bool wentOn = false, visible = false, returned = false;
        inCallback(scene, kind, [&] {
            wentOn = openWhile(others, window, visible);
            returned = true;
        });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QVERIFY2(wentOn, others.text().c_str());
        QVERIFY(visible);
    }

    void r246_r266_aButtonInTheDialogWrites() {
        Scene scene(host());
        auto line = scene.line();
        WindowLoop<QDialog> loop;
        auto* layout = new QVBoxLayout(&loop.window);
        auto* button = new QPushButton("Send", &loop.window);
        layout->addWidget(button);
        std::unique_ptr<Witness> witness;
        std::string seen, heardInside;
        bool ended = false;
        QObject::connect(button, &QPushButton::clicked, &loop.window,
                         [&] { line.talker->transport().write("clicked"); });
        line.talker->onData = [&](Talker& talker, std::string_view) {
            if (ended)
                return;
            talker.transport().write("asked,");
            line.peer->send(" more");
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 13, [&](Witness::Seen what) {
                seen = what.data;
                loop.quit();
            });
            QTimer::singleShot(20ms, button, [button] { QTest::mouseClick(button, Qt::LeftButton); });
            ended = loop.exec();
            heardInside = talker.data;
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->data == "x more"; }));
        QVERIFY2(ended, "nothing left before the limit");
        QVERIFY(loop.wasVisible);
        QCOMPARE(QByteArray::fromStdString(seen), QByteArray("asked,clicked"));
        QCOMPARE(QByteArray::fromStdString(heardInside), QByteArray("x"));
        QCOMPARE(line.talker->deepest, 1);
    }

    void r270_theEndOfTheConnectionBehindAMessageBox() {
        Scene scene(host());
        auto line = scene.line();
        MessageLoop box;
        std::unique_ptr<Witness> witness;
        Witness::Seen seen;
        bool ended = false;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            talker.transport().write("bye");
            talker.transport().loseConnection();
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 100, [&](Witness::Seen what) {
                seen = what;
                box.quit();
            });
            ended = box.exec();
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return line.talker->lost(); }));
        QVERIFY(ended);
        QVERIFY(seen.end);
        QCOMPARE(QByteArray::fromStdString(seen.data), QByteArray("bye"));
    }

    void r248_stopInADialogEndsIt() {
        Scene scene(host());
        Others others(scene);
        reactor().crash();
        WindowLoop<QDialog> loop;
        bool openAtShutdown = false, returned = false;
        reactor().addSystemEventTrigger("during", "shutdown",
                                        [&] { openAtShutdown = loop.window.isVisible(); });
        inCallback(scene, Kind::dataReceived, [&] {
            QTimer::singleShot(20ms, &loop.window, [&] { reactor().stop(); });
            loop.exec();
            returned = true;
        });
        static_cast<bine::QtReactor&>(reactor()).run(&QApplication::exec);
        QVERIFY(openAtShutdown);
        QVERIFY(returned);
        QVERIFY(!reactor().running());
    }

    void r249_theLastWindowClosed() {
        Scene scene(host());
        auto line = scene.line();
        QString order;
        reactor().addSystemEventTrigger("before", "shutdown", [&] { order += "before "; });
        reactor().addSystemEventTrigger("after", "shutdown", [&] { order += "after "; });
        line.talker->onLost = [&](Talker&) { order += "lost "; };
        QWidget window;
        window.show();
        reactor().callLater(20ms, [&] { window.close(); });
        QApplication::exec();
        QCOMPARE(order, QString("before lost after "));
        QVERIFY(!reactor().running());
    }

    void r252_processEventsWithoutSocketNotifiersLosesNothing() {
        Scene scene(host());
        auto line = scene.line();
        line.peer->send("one");
        const auto before = reactor().stats().turns;
        for (int i = 0; i < 1000; ++i)
            QCoreApplication::processEvents(QEventLoop::ExcludeSocketNotifiers);
        // Qt's own dispatcher delays it; its GLib dispatcher does not know of the flag.
        if (qEnvironmentVariableIsSet("QT_NO_GLIB"))
            QVERIFY(line.talker->data.empty());
        QVERIFY(reactor().stats().turns - before <= 10);
        QVERIFY(scene.spinUntil([&] { return line.talker->data == "one"; }));
    }

    // A progress dialog's loop, which never blocks: what a callback has written leaves all the same.
    void r266_processEventsLoopsSend() {
        Scene scene(host());
        auto line = scene.line();
        bool seen = false;
        std::unique_ptr<Witness> witness;
        line.talker->onData = [&](Talker& talker, std::string_view) {
            talker.transport().write("before");
            witness = std::make_unique<Witness>(scene.reactor(), *line.peer, 6,
                                                [&](Witness::Seen what) { seen = what.data == "before"; });
            const auto limit = std::chrono::steady_clock::now() + bine::kit::safetyLimit();
            while (!seen && std::chrono::steady_clock::now() < limit) {
                QMetaObject::invokeMethod(
                    this, [] {}, Qt::QueuedConnection);
                QCoreApplication::processEvents();
            }
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return seen; }));
    }

    void r258_oneNotifierWhateverHappens() {
        Scene scene(host());
        Others others(scene);
        const auto notifiers = [&] {
            int n = 0;
            for (const auto& object : host().hostObjects())
                n += object.starts_with("notifier for descriptor");
            return n;
        };
        const int before = notifiers();
        WindowLoop<QDialog> loop;
        int inside = 0;
        bool returned = false;
        inCallback(scene, Kind::dataReceived, [&] {
            QTimer::singleShot(10ms, &loop.window, [&] { inside = notifiers(); });
            others.execWhileTheyGoOn(loop, 20);
            returned = true;
        });
        QVERIFY(scene.spinUntil([&] { return returned; }));
        QCOMPARE(inside, before);
    }

    void r258_r269_theReactorIsDestroyedInADialog() {
        for (int i = 0; i < 5; ++i) {
            Scene scene(host());
            auto line = scene.line();
            WindowLoop<QDialog> loop;
            bool returned = false;
            line.talker->onData = [&](Talker&, std::string_view) {
                QTimer::singleShot(5ms, &loop.window, [&] {
                    host().destroyReactor();
                    QTimer::singleShot(5ms, &loop.window, [&] { loop.quit(); });
                });
                loop.exec();
                returned = true;
            };
            line.peer->send("x");
            for (int turn = 0; !returned && turn < 100000; ++turn)
                QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents);
            QVERIFY(returned);
            QVERIFY(line.talker->lost());
        }
    }

    void r268_theWindowThatOwnsDiesInItsDialog() {
        Scene scene(host());
        auto line = scene.line();
        auto window = std::make_unique<QWidget>();
        window->show();
        line.talker->transport().ownedBy(*window);
        bool fired = false, returned = false;
        auto call = reactor().callLater(1h, [&] { fired = true; });
        call.ownedBy(*window);
        WindowLoop<QDialog> loop;
        line.talker->onData = [&](Talker&, std::string_view) {
            QTimer::singleShot(5ms, &loop.window, [&] {
                window.reset();
                loop.quit();
            });
            loop.exec();
            returned = true;
        };
        line.peer->send("x");
        QVERIFY(scene.spinUntil([&] { return returned && line.talker.use_count() == 1; }));
        QVERIFY(!line.talker->lost());
        QVERIFY(!call.active());
        QVERIFY(!fired);
    }
};

int main(int argc, char** argv) {
    qputenv("BINE_REACTOR", qEnvironmentVariableIsSet("QT_NO_GLIB") ? "qt-noglib" : "qt");
    QApplication application(argc, argv);
    return bine::kit::runTests<QtDialogsTest>(argc, argv);
}
#include "qt_dialogs_test.moc"
