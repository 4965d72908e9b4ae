#include "bine/gtkreactor/gobject_owner.h"

#include <glib-object.h>

#include <stdexcept>
#include <thread>

namespace bine::inline v0::detail {
namespace {

/// What hangs on an object: found by qdata, ended by the weak reference.
struct ObjectHook {
    OwnerHook hook;
    std::thread::id thread = std::this_thread::get_id();
    GMainContext* context = g_main_context_ref_thread_default();

    ~ObjectHook() { g_main_context_unref(context); }
};

GQuark hookQuark() {
    static const GQuark quark = g_quark_from_static_string("bine-owner-hook");
    return quark;
}

gboolean endAtHome(gpointer data) {
    delete static_cast<ObjectHook*>(data);
    return G_SOURCE_REMOVE;
}

void endThere(ObjectHook* hook) {
    GSource* source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, endAtHome, hook, nullptr);
    g_source_attach(source, hook->context);
    g_source_unref(source);
}

// The hook stays until everything has ended: what is given to the object meanwhile ends with it too.
void disposed(gpointer data, GObject* object) {
    auto* hook = static_cast<ObjectHook*>(data);
    const bool atHome = hook->thread == std::this_thread::get_id();
    if (atHome) hook->hook.die();
    g_object_set_qdata(object, hookQuark(), nullptr);
    if (atHome)
        delete hook;
    else
        endThere(hook);
}

} // namespace

OwnerHook& gobjectOwnerHook(void* instance) {
    if (!G_IS_OBJECT(instance)) throw std::invalid_argument("ownedBy: this is no GObject");
    auto* object = static_cast<GObject*>(instance);
    auto* hook = static_cast<ObjectHook*>(g_object_get_qdata(object, hookQuark()));
    if (!hook) {
        hook = new ObjectHook;
        g_object_set_qdata(object, hookQuark(), hook);
        g_object_weak_ref(object, disposed, hook);
    }
    if (hook->thread != std::this_thread::get_id())
        throw std::logic_error("ownedBy: the GObject is an owner on another thread");
    return hook->hook;
}

} // namespace bine::inline v0::detail
