// The snippets of docs/embedding.md about GLib.

#include <glib-object.h>

#include <thread>

#include "bine/gtkreactor/glib_reactor.h"
#include "bine/gtkreactor/gobject_owner.h"

using namespace std::chrono_literals;

static void attached() {
    bine::GlibReactor reactor; // in the context of this thread
    GMainLoop* loop = g_main_loop_new(nullptr, FALSE);
    reactor.callLater(1s, [&] { g_main_loop_quit(loop); });
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
} // the reactor's shutdown phases run here

static void owning() {
    bine::GlibReactor reactor;
    reactor.callLater(1s, [&] { reactor.stop(); });
    reactor.run();
}

static void inAThread() {
    std::thread([] {
        GMainContext* context = g_main_context_new();
        g_main_context_push_thread_default(context);
        {
            bine::GlibReactor reactor; // in `context`
            reactor.callLater(1s, [&] { reactor.stop(); });
            reactor.run();
        }
        g_main_context_pop_thread_default(context);
        g_main_context_unref(context);
    }).join();
}

static void owned(bine::GlibReactor& reactor, GInitiallyUnowned* label) {
    reactor.callLater(1min, [label] { g_object_notify(label, "label"); }).ownedBy(G_OBJECT(label));
}

int main() {
    attached();
    owning();
    inAThread();
    bine::GlibReactor reactor(nullptr, bine::GlibReactor::Options().priority(200));
    auto* label = static_cast<GInitiallyUnowned*>(g_object_new(G_TYPE_OBJECT, nullptr));
    owned(reactor, label);
    g_object_unref(label);
}
