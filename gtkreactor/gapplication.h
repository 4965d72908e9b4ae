#pragma once
// registerGApplication: run() of a GlibReactor runs a GApplication (or GtkApplication).
//
// It activates the application as g_application_run() does, and stop() quits it; if the application quits first,
// the shutdown phases run before run() returns. The application is held, so it lives without a window as long
// as the reactor runs; a GtkApplication ends when its last window is closed, as ever.
//
// Needs gio-2.0 in the program, not in Bine. Once, before run(); else it throws ReactorAlreadyRunning.

// Qt's keyword, if its headers came first; a member of a structure in GIO.
#pragma push_macro("signals")
#undef signals
#include <gio/gio.h>
#pragma pop_macro("signals")

#include <memory>

#include "bine/gtkreactor/glib_reactor.h"

namespace bine::inline v0 {

namespace detail {

/// An application that is held until release() or the end of this.
class HeldApplication {
public:
    explicit HeldApplication(GApplication* application) : application_(G_APPLICATION(g_object_ref(application))) {
        g_application_hold(application_);
        if (g_signal_lookup("window-removed", G_OBJECT_TYPE(application_)) != 0)
            windowRemoved_ = g_signal_connect(application_, "window-removed", G_CALLBACK(&windowRemoved), this);
    }
    ~HeldApplication() {
        if (windowRemoved_ != 0) g_signal_handler_disconnect(application_, windowRemoved_);
        release();
        g_object_unref(application_);
    }
    HeldApplication(const HeldApplication&) = delete;
    HeldApplication& operator=(const HeldApplication&) = delete;

    GApplication* application() const noexcept { return application_; }
    void release() {
        if (held_) g_application_release(application_);
        held_ = false;
    }

private:
    // Known by its signal and property: GTK is not included here.
    static void windowRemoved(GApplication* application, gpointer, gpointer self) {
        gpointer window = nullptr;
        g_object_get(application, "active-window", &window, nullptr);
        if (window)
            g_object_unref(window);
        else
            static_cast<HeldApplication*>(self)->release();
    }

    GApplication* application_;
    gulong windowRemoved_ = 0;
    bool held_ = true;
};

} // namespace detail

/// `argc` and `argv` as g_application_run() takes them.
inline void registerGApplication(GlibReactor& reactor, GApplication* application, int argc = 0, char** argv = nullptr) {
    auto held = std::make_shared<detail::HeldApplication>(application);
    reactor.setMainLoop([held, argc, argv] { g_application_run(held->application(), argc, argv); },
                        [held] {
                            held->release();
                            g_application_quit(held->application());
                        });
}

} // namespace bine::inline v0
