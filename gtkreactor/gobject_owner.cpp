#include "bine/gtkreactor/gobject_owner.h"

#include <glib-object.h>

#include <memory>
#include <stdexcept>

#include "bine/defer/owner_home.h"

namespace bine::inline v0::detail {
namespace {

/// Wakes the loop of a context. One per thread and context.
class ContextWaker final : public OwnerHome::Waker {
public:
    explicit ContextWaker(GMainContext* context) : context_(g_main_context_ref(context)), next_(first()) {
        first() = this;
    }
    ~ContextWaker() override {
        ContextWaker** link = &first();
        while (*link != this)
            link = &(*link)->next_;
        *link = next_;
        g_main_context_unref(context_);
    }
    void ownersDied() noexcept override {
        GSource* const source = g_idle_source_new();
        g_source_set_priority(source, G_PRIORITY_DEFAULT);
        g_source_set_callback(source, carryOut, nullptr, nullptr);
        g_source_attach(source, context_);
        g_source_unref(source);
    }
    /// On this thread.
    static bool exists(const GMainContext* context) noexcept {
        for (const ContextWaker* waker = first(); waker; waker = waker->next_)
            if (waker->context_ == context) return true;
        return false;
    }

private:
    static gboolean carryOut(gpointer) {
        endDeadOwners();
        return G_SOURCE_REMOVE;
    }
    static ContextWaker*& first() noexcept {
        static thread_local constinit ContextWaker* waker = nullptr;
        return waker;
    }

    GMainContext* context_;
    ContextWaker* next_;
};

void watchContext(OwnerHome& home) {
    GMainContext* const context = g_main_context_ref_thread_default();
    if (!ContextWaker::exists(context)) home.keepWaker(std::make_unique<ContextWaker>(context));
    g_main_context_unref(context);
}

/// What hangs on an object: found by qdata, and freed by disposed().
using Notice = std::shared_ptr<OwnerEntry>;

GQuark noticeQuark() {
    static const GQuark quark = g_quark_from_static_string("bine-owner");
    return quark;
}

// What is given to the object while all ends is still found by qdata, and ends with it.
void disposed(gpointer data, GObject* object) {
    const std::unique_ptr<Notice> notice(static_cast<Notice*>(data));
    (*notice)->objectDied();
    g_object_set_qdata(object, noticeQuark(), nullptr);
}

void forget(GObject* object, Notice* notice) {
    g_object_weak_unref(object, disposed, notice);
    g_object_set_qdata(object, noticeQuark(), nullptr);
    delete notice;
}

} // namespace

OwnerHook& gobjectOwnerHook(void* instance) {
    if (!G_IS_OBJECT(instance)) throw std::invalid_argument("ownedBy: this is no GObject");
    auto* object = static_cast<GObject*>(instance);
    auto* notice = static_cast<Notice*>(g_object_get_qdata(object, noticeQuark()));
    if (notice && (*notice)->homeEnded()) {
        forget(object, notice);
        notice = nullptr;
    }
    if (notice) {
        if (!(*notice)->isHere()) throw std::logic_error("ownedBy: the GObject is an owner on another thread");
        return (*notice)->hook();
    }
    OwnerHome& home = *OwnerHome::ofThisThread();
    watchContext(home);
    notice = new Notice(home.add(object));
    g_object_set_qdata(object, noticeQuark(), notice);
    g_object_weak_ref(object, disposed, notice);
    return (*notice)->hook();
}

} // namespace bine::inline v0::detail
