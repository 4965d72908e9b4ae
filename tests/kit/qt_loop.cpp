#include "kit/qt_loop.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <QtCore/qabstracteventdispatcher.h>
#include <QtCore/qsocketnotifier.h>
#include <QtCore/qthread.h>
#include <QtCore/qtimer.h>

#include <mutex>
#include <unordered_set>

#ifdef BINE_HAVE_QT
#include "bine/qtreactor/qt_reactor.h"
#endif

// Where Qt lets debuggers hook in; exported, and its layout is part of what they rely on: [3] is told of new
// QObjects, [4] of dying ones.
extern "C" Q_DECL_IMPORT quintptr qtHookData[];

namespace bine::kit {
namespace {

struct LivingObjects {
    std::mutex mutex;
    std::unordered_set<QObject*> all;
};

LivingObjects& livingObjects() {
    static auto* objects = new LivingObjects; // objects die until the very end
    return *objects;
}

void objectMade(QObject* object) {
    const std::lock_guard lock(livingObjects().mutex);
    livingObjects().all.insert(object);
}

void objectDies(QObject* object) {
    const std::lock_guard lock(livingObjects().mutex);
    livingObjects().all.erase(object);
}

class InnerQtLoop final : public NestedLoop {
public:
    bool exec() override {
        bool tooLong = false;
        QTimer limit;
        limit.setSingleShot(true);
        QObject::connect(&limit, &QTimer::timeout, &loop_, [&] {
            tooLong = true;
            loop_.quit();
        });
        limit.start(std::chrono::ceil<std::chrono::milliseconds>(safetyLimit()));
        loop_.exec();
        return !tooLong;
    }
    void quit() override { loop_.quit(); }

private:
    QEventLoop loop_;
};

} // namespace

bool onMainThread() { return static_cast<pid_t>(::syscall(SYS_gettid)) == ::getpid(); }

void watchQtObjects() {
    qtHookData[3] = reinterpret_cast<quintptr>(&objectMade);
    qtHookData[4] = reinterpret_cast<quintptr>(&objectDies);
}

HostObjects qtObjects() {
    HostObjects objects;
    QAbstractEventDispatcher* dispatcher = QAbstractEventDispatcher::instance();
    if (!dispatcher)
        return objects;
    const std::lock_guard lock(livingObjects().mutex);
    for (QObject* object : livingObjects().all) {
        if (object->thread() != QThread::currentThread())
            continue;
        for (const auto& timer : dispatcher->registeredTimers(object))
            objects.insert(std::string("timer of ") + object->metaObject()->className() + ", " +
                           std::to_string(timer.interval) + " ms");
        const auto* notifier = qobject_cast<QSocketNotifier*>(object);
        if (notifier && notifier->isEnabled())
            objects.insert("notifier for descriptor " + std::to_string(notifier->socket()));
    }
    return objects;
}

QtLoop::QtLoop() {
    // A program with windows has made its QApplication already.
    if (onMainThread() && !QCoreApplication::instance())
        application_ = std::make_unique<QCoreApplication>(argc_, argv_);
    context_ = std::make_unique<QObject>();
}

QtLoop::~QtLoop() {
    // What was left with deleteLater() goes now, while there is a dispatcher.
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
}

std::unique_ptr<ReactorBase> QtLoop::makeReactor() {
#ifdef BINE_HAVE_QT
    return std::make_unique<QtReactor>();
#else
    return nullptr;
#endif
}

void QtLoop::run() {
    if (onMainThread()) {
        QCoreApplication::exec();
        return;
    }
    QEventLoop loop;
    threadLoop_ = &loop;
    loop.exec();
    threadLoop_ = nullptr;
}

void QtLoop::quit() {
    if (onMainThread())
        QCoreApplication::quit();
    else if (threadLoop_)
        threadLoop_->quit();
}

void QtLoop::turn(std::chrono::milliseconds longest) {
    if (longest == std::chrono::milliseconds::zero()) {
        QAbstractEventDispatcher::instance()->processEvents(QEventLoop::AllEvents);
        return;
    }
    QTimer limit;
    limit.setSingleShot(true);
    limit.start(longest);
    QAbstractEventDispatcher::instance()->processEvents(QEventLoop::AllEvents |
                                                        QEventLoop::WaitForMoreEvents);
}

void QtLoop::turnWithoutSockets() {
    QAbstractEventDispatcher::instance()->processEvents(QEventLoop::ExcludeSocketNotifiers);
}

std::unique_ptr<NestedLoop> QtLoop::nested() { return std::make_unique<InnerQtLoop>(); }

void QtLoop::timer(std::chrono::milliseconds delay, std::function<void()> f) {
    QTimer::singleShot(delay, Qt::PreciseTimer, context_.get(), std::move(f));
}

void QtLoop::callback(std::function<void()> f) {
    QMetaObject::invokeMethod(context_.get(), std::move(f), Qt::QueuedConnection);
}

bool QtLoop::destroy() {
    context_.reset();
    const bool had = application_ != nullptr;
    application_.reset();
    return had;
}

std::unique_ptr<HostLoop> makeQtLoop() { return std::make_unique<QtLoop>(); }

} // namespace bine::kit
