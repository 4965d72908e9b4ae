#pragma once
// GlibReactor: the reactor inside a GMainContext.
//
// Made on the thread that iterates the context, it is attached at once: connections, timers and calls are
// served wherever the context is iterated, in g_main_loop_run(), g_application_run() and loops nested in them.
// On the thread that made it, as Reactor says. It costs the context two sources on one descriptor whatever
// there is to serve, and idle nothing.
//
// Either the application runs its own loop, and stop() detaches the reactor while GLib goes on; or run() runs a
// loop, and stop() ends it. GLib tells nobody that a loop was quit: an attached reactor then shuts down when it
// is destroyed.

#include <memory>

#include "bine/defer/function.h"
#include "bine/reactors/native_reactors.h"

typedef struct _GMainContext GMainContext;
typedef struct _GMainLoop GMainLoop;

namespace bine::inline v0 {

class BINE_EXPORT GlibOptions {
public:
    GlibOptions() {}

    /// At which priority the network is served. On the default context it is 120 unless set, with GTK's
    /// redrawing: at a higher one (a smaller number) a flood stops all painting. On other contexts it is 0. What
    /// has waited for 20 ms is served at -200 once, so nothing starves it.
    GlibOptions& priority(int value) {
        priority_ = value;
        prioritySet_ = true;
        return *this;
    }

private:
    friend class GlibReactor;
    int priority_ = 0;
    bool prioritySet_ = false;
};

class BINE_EXPORT GlibReactor : public EpollReactor {
public:
    using Options = GlibOptions;

    /// Attached to `context` (null: the thread's default one, else the global default), which it keeps a
    /// reference to, and started by the context's first turn. Throws NoHostLoop if another thread runs it.
    explicit GlibReactor(GMainContext* context = nullptr, Options options = Options());
    /// Shuts down if that has not happened, within the deadline, without iterating the context. Allowed in any
    /// callback.
    ~GlibReactor() override;

    /// Runs a loop on the context until stop() or crash(), or until somebody quits mainLoop(): then the shutdown
    /// phases run before this returns. Loops that were nested in it have to end first. Throws
    /// ReactorAlreadyRunning inside a turn of the running reactor's loop.
    void run() override;
    /// After stop() or crash(): back into the context, whose next turn starts the reactor afresh. Throws
    /// ReactorAlreadyRunning, and ReactorNotRestartable during the shutdown.
    void attach() override;

    GMainContext* context() const noexcept;
    /// The loop of run(); null outside of it.
    GMainLoop* mainLoop() const noexcept;

    /// For frameworks with a loop of their own (GApplication: see gapplication.h): what run() calls instead of
    /// g_main_loop_run(), and what ends that. Once, before run(); else it throws ReactorAlreadyRunning.
    void setMainLoop(Function<void()> run, Function<void()> quit);

protected:
    void shutdownFinished() override;
    void holdTurns(bool held) override;
    bool loopRuns() const override;

private:
    class Host;
    struct ReleaseHost {
        void operator()(Host* host) const noexcept;
    };
    std::unique_ptr<Host, ReleaseHost> host_;
};

/// From here on reactorByName("glib") makes a GlibReactor on the thread's default context
/// (bine/reactors/reactor_names.h). Any thread.
BINE_EXPORT void registerGlibReactor();

} // namespace bine::inline v0
