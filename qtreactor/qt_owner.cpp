#include "bine/qtreactor/qt_owner.h"

#include <QtCore/qthread.h>

#include <memory>
#include <stdexcept>

#include "bine/defer/owner_home.h"

namespace bine::inline v0::detail {
namespace {

/// Wakes Qt's loop of the thread that made it, whether or not a reactor lives there.
class QtWaker final : public OwnerHome::Waker {
public:
    QtWaker() { ofThisThread() = this; }
    ~QtWaker() override { ofThisThread() = nullptr; }
    void ownersDied() noexcept override {
        QMetaObject::invokeMethod(&receiver_, [] { endDeadOwners(); }, Qt::QueuedConnection);
    }
    static QtWaker*& ofThisThread() noexcept {
        static thread_local constinit QtWaker* waker = nullptr;
        return waker;
    }

private:
    QObject receiver_;
};

} // namespace

OwnerHook& qtOwnerHook(QObject& object) {
    if (object.thread() != QThread::currentThread())
        throw std::logic_error("ownedBy: the QObject lives on another thread");
    OwnerHome& home = *OwnerHome::ofThisThread();
    if (OwnerEntry* const known = home.find(&object)) return known->hook();
    if (!QtWaker::ofThisThread()) home.keepWaker(std::make_unique<QtWaker>());
    const std::shared_ptr<OwnerEntry> entry = home.add(&object);
    QObject::connect(&object, &QObject::destroyed, [entry] { entry->objectDied(); });
    return entry->hook();
}

} // namespace bine::inline v0::detail
