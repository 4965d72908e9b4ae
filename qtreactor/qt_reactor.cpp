#include "bine/qtreactor/qt_reactor.h"

#include <QtCore/qabstracteventdispatcher.h>
#include <QtCore/qcoreapplication.h>
#include <QtCore/qcoreevent.h>
#include <QtCore/qsocketnotifier.h>
#include <QtCore/qthread.h>

#include <utility>

#include "bine/log/log.h"
#include "bine/qtreactor/qt_log.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/reactor_core.h"
#include "bine/reactors/reactor_names.h"

namespace bine::inline v0 {
namespace {

void requireLoop() {
    if (!QAbstractEventDispatcher::instance())
        throw NoHostLoop("QtReactor: Qt has no event loop on this thread. On the main thread make the "
                         "QCoreApplication first; elsewhere use a QThread, or make a QEventLoop first");
}

bool onApplicationThread() {
    const QCoreApplication* application = QCoreApplication::instance();
    return application && application->thread() == QThread::currentThread();
}

/// QThread::exec() is protected, and the only loop of a thread that exit() ends with all loops nested in it.
struct ThreadLoop : QThread {
    static void enter() {
        QThread* thread = QThread::currentThread();
        (thread->*&ThreadLoop::exec)();
    }
    /// exit() leaves behind that no QEventLoop may run on the thread; an exec() that returns at once clears it.
    static void clearExit() {
        QThread::currentThread()->exit();
        enter();
    }
};

} // namespace

/// What the reactor has in Qt's loop. Counted: by the reactor, and by each frame on the stack that comes back
/// here after user code, which may have destroyed the reactor.
class QtReactor::Host {
public:
    explicit Host(QtReactor& reactor) : reactor_(&reactor) {}
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    QtReactor* reactor() const { return reactor_; }
    void ref() { ++references_; }
    void unref() {
        if (--references_ == 0) delete this;
    }
    void reactorDied() {
        leave();
        reactor_ = nullptr;
        unref();
    }

    void enter();
    void leave();
    void hold(bool held);
    void runLoop(int (*exec)());
    void endLoops();

    bool ownsLoop() const { return ownsLoop_; }

private:
    class Notifier;

    ~Host();
    void turn();
    void aboutToWait() { reactor_->aboutToWait(); }
    void watch();
    void loopDied();
    void loopQuits();
    void forgetLost();
    static void newLoop();

    /// Hosts whose loop died before their reactor; a new QCoreApplication takes them over.
    static thread_local Host* lost;

    QtReactor* reactor_;
    std::unique_ptr<Notifier> notifier_;
    QMetaObject::Connection connections_[4];
    LogSubscription log_;
    Host* nextLost_ = nullptr;
    int references_ = 1;
    bool entered_ = false;
    bool lost_ = false;
    bool ownsLoop_ = false;
    bool endedLoops_ = false;
};

thread_local QtReactor::Host* QtReactor::Host::lost = nullptr;

/// No parent, so that nobody moves it to another thread. Nothing but activation is its own: the base class has
/// to see ThreadChange.
class QtReactor::Host::Notifier : public QSocketNotifier {
public:
    Notifier(int descriptor, Host& host) : QSocketNotifier(descriptor, QSocketNotifier::Read), host_(host) {}

protected:
    bool event(QEvent* event) override {
        if (event->type() != QEvent::SockAct) return QSocketNotifier::event(event);
        host_.turn();
        return true;
    }

private:
    Host& host_; // outlives every event(): it dies after the last of them, and by then the notifier is disabled
};

QtReactor::Host::~Host() { forgetLost(); }

void QtReactor::Host::turn() {
    ref();
    detail::guarded("Unhandled error in the reactor", [this] { reactor_->dispatch(); });
    if (reactor_ && reactor_->core()->inherited()) leave(); // a child of fork(): it would be called for ever
    // The reactor died and this is the last frame: the notifier, whose event() this still is, goes later.
    if (references_ == 1) notifier_.release()->deleteLater();
    unref();
}

void QtReactor::Host::enter() {
    if (entered_) return;
    static const bool hooked = (qAddPreRoutine(&Host::newLoop), true);
    static_cast<void>(hooked);
    entered_ = true;
    watch();
    log_ = setDefaultLogObserver(&detail::logToQt);
}

void QtReactor::Host::watch() {
    forgetLost();
    if (!notifier_) {
        notifier_ = std::make_unique<Notifier>(reactor_->fileno(), *this);
    } else {
        notifier_->setEnabled(false); // with a new dispatcher it is still "enabled", and unknown there
        notifier_->setEnabled(true);
    }
    // Both: a processEvents() loop never blocks, and some dispatchers do not wake between posted events.
    auto* dispatcher = QAbstractEventDispatcher::instance();
    auto hook = [this] { aboutToWait(); };
    connections_[0] =
        QObject::connect(dispatcher, &QAbstractEventDispatcher::aboutToBlock, notifier_.get(), hook);
    connections_[1] = QObject::connect(dispatcher, &QAbstractEventDispatcher::awake, notifier_.get(), [this] {
        aboutToWait();
        reactor_->core()->meter().loopWoke();
    });
    connections_[2] =
        QObject::connect(dispatcher, &QObject::destroyed, notifier_.get(), [this] { loopDied(); });
    auto quits = [this] { loopQuits(); };
    connections_[3] = onApplicationThread()
                          ? QObject::connect(QCoreApplication::instance(), &QCoreApplication::aboutToQuit,
                                             notifier_.get(), quits)
                          : QObject::connect(QThread::currentThread(), &QThread::finished, notifier_.get(),
                                             quits, Qt::DirectConnection);
}

void QtReactor::Host::leave() {
    if (!entered_) return;
    entered_ = false;
    forgetLost();
    for (auto& connection : connections_) QObject::disconnect(connection);
    notifier_->setEnabled(false);
    log_ = {};
}

void QtReactor::Host::hold(bool held) {
    if (entered_) notifier_->setEnabled(!held);
}

// The dispatcher is half gone: it may not be asked to unregister anything.
void QtReactor::Host::loopDied() {
    for (auto& connection : connections_) QObject::disconnect(connection);
    lost_ = true;
    nextLost_ = std::exchange(lost, this);
}

void QtReactor::Host::forgetLost() {
    if (!std::exchange(lost_, false)) return;
    for (Host** at = &lost; *at; at = &(*at)->nextLost_) {
        if (*at != this) continue;
        *at = nextLost_;
        return;
    }
}

void QtReactor::Host::newLoop() {
    while (lost && QAbstractEventDispatcher::instance()) lost->watch();
}

void QtReactor::Host::loopQuits() {
    ref();
    ownsLoop_ = false; // it ends anyway; exit() would outlast it and keep later loops from running
    detail::guarded("Unhandled error in the shutdown of the reactor", [this] { reactor_->shutDownNow(); });
    unref();
}

void QtReactor::Host::runLoop(int (*exec)()) {
    ownsLoop_ = true;
    endedLoops_ = false;
    if (exec)
        exec();
    else if (onApplicationThread())
        QCoreApplication::exec();
    else
        ThreadLoop::enter();
    ownsLoop_ = false;
    if (endedLoops_ && !onApplicationThread()) ThreadLoop::clearExit();
}

void QtReactor::Host::endLoops() {
    endedLoops_ = true;
    if (onApplicationThread())
        QCoreApplication::exit();
    else
        QThread::currentThread()->exit();
}

void QtReactor::ReleaseHost::operator()(Host* host) const noexcept { host->reactorDied(); }

QtReactor::QtReactor() {
    requireLoop();
    host_.reset(new Host(*this));
    QtReactor::attach();
}

QtReactor::~QtReactor() {
    host_->leave(); // before the descriptor is closed; what is left to do closeReactor() does by itself
    closeReactor();
    if (host_->ownsLoop()) host_->endLoops(); // died inside run(), and perhaps too late to hear shutdownFinished()
}

void QtReactor::attach() {
    requireLoop();
    EpollReactor::attach();
    host_->enter();
}

void QtReactor::run() { run(nullptr); }

void QtReactor::run(int (*exec)()) {
    core_->assertThread("run()");
    core_->assertNotInherited("run");
    requireLoop();
    if (core_->life() == detail::ReactorCore::Life::finishing)
        throw ReactorNotRestartable("run: the reactor is in its shutdown; run it when run() has returned");
    if (host_->ownsLoop() || core_->depth() > 0 || loopRuns())
        throw ReactorAlreadyRunning("run: Qt's loop runs on this thread, and the reactor in it");
    if (detached()) attach();
    Host* host = host_.get(); // this object may be destroyed inside
    host->ref();
    host->runLoop(exec);
    if (host->reactor() && !detached()) shutDownNow();
    host->unref();
}

bool QtReactor::loopRuns() const { return QThread::currentThread()->loopLevel() > 0; }

void QtReactor::shutdownFinished() {
    host_->leave();
    if (host_->ownsLoop()) host_->endLoops();
}

void QtReactor::holdTurns(bool held) { host_->hold(held); }

void registerQtReactor() {
    registerReactor("qt", []() -> std::unique_ptr<ReactorBase> { return std::make_unique<QtReactor>(); });
}

} // namespace bine::inline v0
