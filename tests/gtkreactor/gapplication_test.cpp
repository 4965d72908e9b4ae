// the reactor runs a GApplication's loop.

#include <QtTest/QtTest>
#undef signals // GIO has a member of that name

#include <gio/gio.h>

#include <chrono>

#include "bine/gtkreactor/gapplication.h"
#include "bine/reactors/errors.h"

using namespace std::chrono_literals;

namespace {

class Application {
public:
    Application() : application_(g_application_new(nullptr, G_APPLICATION_NON_UNIQUE)) {
        g_signal_connect(application_, "activate", G_CALLBACK(+[](GApplication*, int* count) { ++*count; }), &activated);
    }
    ~Application() { g_object_unref(application_); }
    Application(const Application&) = delete;
    operator GApplication*() const { return application_; }
    int activated = 0;

private:
    GApplication* application_;
};

} // namespace

class GapplicationTest : public QObject {
    Q_OBJECT

private slots:
    void r262_runRunsTheApplicationUntilStop() {
        Application application;
        bine::GlibReactor reactor;
        bine::registerGApplication(reactor, application);
        bool shutdown = false;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
        reactor.callLater(20ms, [&] { reactor.stop(); }); // nothing but the hold keeps it so long
        reactor.run();
        QCOMPARE(application.activated, 1);
        QVERIFY(shutdown);
    }

    void r249_theApplicationQuitsFirst() {
        Application application;
        bine::GlibReactor reactor;
        bine::registerGApplication(reactor, application);
        bool shutdown = false;
        reactor.addSystemEventTrigger("before", "shutdown", [&] { shutdown = true; });
        reactor.callLater(1ms, [&] { g_application_quit(application); });
        reactor.run();
        QVERIFY(shutdown);
    }

    void r262_onlyBeforeRunAndOnlyOnce() {
        Application application;
        bine::GlibReactor reactor;
        bine::registerGApplication(reactor, application);
        QVERIFY_THROWS_EXCEPTION(bine::ReactorAlreadyRunning, bine::registerGApplication(reactor, application));
        bine::GlibReactor other;
        bool refused = false;
        other.callLater(0s, [&] {
            try {
                bine::registerGApplication(other, application);
            } catch (const bine::ReactorAlreadyRunning&) {
                refused = true;
            }
            other.stop();
        });
        other.run();
        QVERIFY(refused);
    }
};

QTEST_APPLESS_MAIN(GapplicationTest)
#include "gapplication_test.moc"
