#pragma once
// ReactorHost: the reactor under test, and the loop that it lives in. The environment variable BINE_REACTOR
// chooses both:
//
//   epoll, poll, select   the reactor's own loop; there is no host beside it
//   embedded              a plain poll() loop around fileno(), aboutToWait() and dispatch()
//   qt, qt-noglib         QtReactor in a QCoreApplication, with Qt's GLib dispatcher and with its own
//   glib, glib-context    GlibReactor on the default context, and on one of its own that is thread-default
//   qt+gtk                a QCoreApplication with the GLib dispatcher, and a GlibReactor on the same loop
//
// One per test, made by ReactorTest; used on the thread that made it. Nothing here sleeps: what waits, waits
// in the loop under test. What has a condition to wait for gives up after a generous time (safetyLimit()) and
// says false; run() and runHost() do not, and runTests() ends a program that hangs in them.

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "bine/reactors/native_reactors.h"

namespace bine::kit {

class HostLoop;

/// The value of BINE_REACTOR; "epoll" if it is not set.
const std::string& reactorName();
/// Whether that is a QtReactor (qt, qt-noglib): Qt's loops end all at once, and Qt tells of it. GLib's (glib,
/// glib-context, qt+gtk) end one by one, and nobody is told.
bool inQt();
/// How long anything may take at all: a minute.
Duration safetyLimit();

/// What the host's loop knows of: notifiers, timers, sources, descriptors that it polls; a line of text for
/// each.
using HostObjects = std::multiset<std::string>;

/// A loop that is opened inside a callback: a dialog, a menu, a drag. QEventLoop, GMainLoop, an inner poll()
/// loop, or inner iterate() calls.
class NestedLoop {
public:
    virtual ~NestedLoop();
    /// Runs the loop until quit(), or until the host ends all of its loops. False if the safety limit passed
    /// first.
    virtual bool exec() = 0;
    /// Ends exec(). From any callback, also one of an inner loop; before exec() is too early.
    virtual void quit() = 0;
};

class ReactorHost {
public:
    /// On the main thread BINE_REACTOR's loop; on another one its likeness for that thread (see onThread()).
    /// No reactor yet.
    ReactorHost();
    /// Destroys the reactor first.
    ~ReactorHost();
    ReactorHost(const ReactorHost&) = delete;
    ReactorHost& operator=(const ReactorHost&) = delete;

    // --- The reactor.

    /// Made at the first use.
    ReactorBase& reactor();
    bool hasReactor() const { return reactor_ != nullptr; }
    void destroyReactor() { reactor_.reset(); }
    /// One more of the kind, on the same loop.
    std::unique_ptr<ReactorBase> anotherReactor();
    /// After stop() or crash(), attached again; the reactor starts when the host's loop runs. REQUIRES:
    /// hosted().
    void attach();

    // --- The loop.

    /// False for reactors that run their own loop: then runHost() is run(), and quitHost() is stop().
    bool hosted() const;
    /// The way in which the reactor owns the loop: reactor().run(); returns after stop() or crash().
    /// `embedded` does it with its poll() loop.
    void run() { reactor().run(); }
    /// The attached way: the user runs the loop (QCoreApplication::exec, g_main_loop_run, poll), until
    /// quitHost().
    void runHost();
    /// Ends runHost(), as a user's "quit" does; in Qt all loops end.
    void quitHost();
    /// The same for run(): QCoreApplication::quit(), g_main_loop_quit(). REQUIRES: Qt or GLib, inside run().
    void quitRun();
    /// One turn of the host's loop, which does not wait.
    void turn();
    /// The same, but sockets are left out: Qt has QEventLoop::ExcludeSocketNotifiers, GLib serves something
    /// more urgent than the reactor. A turn like any other in hosts that have nothing of the kind.
    void turnWithoutSockets();
    /// Runs the host's loop, turn by turn, until done() is true; outside of callbacks and inside. Starts a
    /// reactor that is pending. False if the safety limit passed first. The loop is woken every 10 ms, so
    /// this is not for tests that look for missing wake-ups: these use NestedLoop.
    bool spinUntil(const std::function<bool()>& done);
    /// The same in a nested loop of the host.
    bool nestedLoop(const std::function<bool()>& until);
    std::unique_ptr<NestedLoop> nestedLoop();

    // --- The host's own doings, outside any callback of the reactor; with its own loop the reactor does them
    // itself.

    /// Once, after that time (QTimer, g_timeout, a poll() timeout).
    void hostTimer(std::chrono::milliseconds delay, std::function<void()> f);
    /// As soon as the loop comes to it (a posted event, an idle source).
    void hostCallback(std::function<void()> f);
    /// Destroys the application object or the context while the reactor lives. False if this host's loop
    /// cannot be destroyed.
    bool destroyLoop();

    HostObjects hostObjects() const;

private:
    std::unique_ptr<HostLoop> loop_;
    std::unique_ptr<ReactorBase> reactor_;
};

/// Runs f with a host of its own on a thread of its own (a QThread with its dispatcher, a thread with a
/// GMainContext), and waits for its end. What f throws is thrown here.
void onThread(const std::function<void(ReactorHost&)>& f);

} // namespace bine::kit
