#include "bine/qtreactor/qt_owner.h"

#include <QtCore/qthread.h>

#include <cstdint>
#include <stdexcept>
#include <unordered_map>

namespace bine::inline v0::detail {
namespace {

/// The hooks of one thread's objects. A QObject, so that an object which dies on another thread is heard of on
/// this one.
class OwnerRegistry : public QObject {
public:
    OwnerHook& hook(QObject& object) {
        auto found = entries_.find(&object);
        if (found != entries_.end() && !found->second.connection) {
            entries_.erase(found); // of an object that died elsewhere, at the same address
            found = entries_.end();
        }
        if (found == entries_.end()) {
            found = entries_.try_emplace(&object).first;
            found->second.number = ++lastNumber_;
            found->second.connection =
                QObject::connect(&object, &QObject::destroyed, this,
                                 [this, key = &object, number = lastNumber_] { died(key, number); });
        }
        return found->second.hook;
    }

private:
    struct Entry {
        OwnerHook hook;
        QMetaObject::Connection connection;
        std::uint64_t number = 0;
    };

    // The entry stays until everything has ended: what is given to the object meanwhile ends with it too.
    void died(const QObject* object, std::uint64_t number) {
        const auto found = entries_.find(object);
        if (found == entries_.end() || found->second.number != number) return;
        found->second.hook.die();
        entries_.erase(object);
    }

    std::unordered_map<const QObject*, Entry> entries_;
    std::uint64_t lastNumber_ = 0;
};

} // namespace

OwnerHook& qtOwnerHook(QObject& object) {
    if (object.thread() != QThread::currentThread())
        throw std::logic_error("ownedBy: the QObject lives on another thread");
    static thread_local OwnerRegistry registry;
    return registry.hook(object);
}

} // namespace bine::inline v0::detail
