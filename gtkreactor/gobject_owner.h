#pragma once
// Every GObject is an owner: `deferred.ownedBy(G_OBJECT(label))` ends when the label is disposed of.
//
// On one thread per object, the first that says ownedBy(); another throws std::logic_error, unless the first
// has ended. The object may be disposed of on another thread: from then on nothing that it owns starts. What
// it owns ends on the thread that said ownedBy(); see docs/owners.md, "An owner that dies on another thread".
// One weak reference per object serves all that it owns.
//
// Types whose struct is known to the compiler (GtkWidget, GtkWindow, your own) may be given directly; for the
// opaque ones (GtkLabel) say G_OBJECT(). The pointer does not keep the object.

#include <type_traits>

#include "bine/defer/owner.h"
#include "bine/log/export.h"

struct _GObject;

namespace bine::inline v0 {

namespace detail {

/// A GObject, or a struct that begins as all of them do.
template <class X>
struct IsGObject : std::is_same<X, ::_GObject> {};
template <class X>
    requires requires(X& instance) { instance.parent_instance; }
struct IsGObject<X> : IsGObject<std::remove_cvref_t<decltype(std::declval<X&>().parent_instance)>> {};

/// Throws std::invalid_argument if that is no GObject.
BINE_EXPORT OwnerHook& gobjectOwnerHook(void* instance);

} // namespace detail

template <class X>
    requires detail::IsGObject<X>::value
struct OwnerTraits<X> {
    static detail::OwnerHook& hook(X& instance) { return detail::gobjectOwnerHook(&instance); }
};

} // namespace bine::inline v0
