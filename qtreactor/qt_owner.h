#pragma once
// Every QObject is an owner: `deferred.ownedBy(&label)` ends with the label.
//
// On the thread the object lives on; elsewhere it throws std::logic_error. The object may move to another
// thread and die there: once its destructor is over, nothing that it owns starts. What it owns ends on the
// thread that said ownedBy(); see docs/owners.md, "An owner that dies on another thread". One hook and one
// connection per object serve all that it owns. A look-up in a hash finds the hook.
//
// Trap: a QObject says destroyed() when its derived members are gone already. A class whose callbacks or
// coroutines use its members owns them with a Scope declared last.
//
// A class that is a QObject and a Protocol, a Factory or a Scope owns as the latter does: that ends earlier.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <QtCore/qobject.h>

#include <concepts>

#include "bine/defer/owner.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

namespace detail {
BINE_EXPORT OwnerHook& qtOwnerHook(QObject& object);

/// Is an owner of another kind, too (Protocol, Factory, Scope), which ends what it owns earlier than a QObject does.
template <class X>
concept OwnsBeforeQObject = std::derived_from<X, Scope> || requires(X& x) {
    { x.ownerHook() } -> std::same_as<OwnerHook&>;
};
} // namespace detail

template <class X>
    requires(std::derived_from<X, QObject> && !detail::OwnsBeforeQObject<X>)
struct OwnerTraits<X> {
    static detail::OwnerHook& hook(X& object) { return detail::qtOwnerHook(object); }
};

} // namespace bine::inline v0
