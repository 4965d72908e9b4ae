// The snippets of docs/embedding.md about Qt.

#include <QtCore/QCoreApplication>
#include <QtCore/QThread>
#include <QtCore/QTimer>

#include <memory>

#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"

using namespace std::chrono_literals;

static int attached(int argc, char** argv) {
    QCoreApplication app(argc, argv);
    bine::QtReactor reactor; // attached to the loop of this thread
    reactor.callLater(1s, [] { QCoreApplication::quit(); });
    return app.exec(); // when it ends, the reactor's shutdown phases have run
}

static void owning(int argc, char** argv) {
    QCoreApplication app(argc, argv);
    bine::QtReactor reactor;
    reactor.callLater(1s, [&] { reactor.stop(); });
    reactor.run(); // in a GUI program: reactor.run(&QApplication::exec)
}

static void inAThread() {
    std::unique_ptr<QThread> thread(QThread::create([] {
        bine::QtReactor reactor; // this thread's own
        reactor.callLater(1s, [&] { reactor.stop(); });
        reactor.run();
    }));
    thread->start();
    thread->wait();
}

static void owned(bine::QtReactor& reactor, QTimer* window) {
    reactor.callLater(1min, [window] { window->start(); }).ownedBy(window); // not if the window is gone by then
}

int main(int argc, char** argv) {
    const int result = attached(argc, argv);
    owning(argc, argv);
    QCoreApplication app(argc, argv);
    inAThread();
    bine::QtReactor reactor;
    QTimer window;
    owned(reactor, &window);
    return result;
}
