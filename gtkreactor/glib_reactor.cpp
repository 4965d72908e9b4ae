#include "bine/gtkreactor/glib_reactor.h"

#include <glib.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "bine/gtkreactor/glib_log.h"
#include "bine/log/log.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/reactor_core.h"
#include "bine/reactors/reactor_names.h"

namespace bine::inline v0 {
namespace {

using namespace std::chrono_literals;

constexpr int kDefaultContextPriority = 120;
constexpr int kGuardPriority = -200;
constexpr Duration kStarved = 20ms;
constexpr Duration kLeastBudget = 1ms;
constexpr Duration kMostBudget = 4ms;

GMainContext* contextOrDefault(GMainContext* context) {
    return context ? g_main_context_ref(context) : g_main_context_ref_thread_default();
}

} // namespace

/// What the reactor has in the context: two sources on its descriptor. One serves; the other, far more urgent,
/// is a hook before each wait, and serves when the first was starved. Counted: by the reactor, and by each
/// frame on the stack that comes back here after user code, which may have destroyed the reactor.
class GlibReactor::Host {
public:
    Host(GlibReactor& reactor, GMainContext* context, const Options& options)
        : reactor_(&reactor), context_(contextOrDefault(context)),
          priority_(options.prioritySet_                          ? options.priority_
                    : context_ == g_main_context_default() ? kDefaultContextPriority
                                                           : G_PRIORITY_DEFAULT) {}
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    GlibReactor* reactor() const { return reactor_; }
    GMainContext* context() const { return context_; }
    GMainLoop* loop() const { return loop_; }
    bool ownsLoop() const { return ownsLoop_; }
    void ref() { ++references_; }
    void unref() {
        if (--references_ == 0) delete this;
    }
    void reactorDied() {
        leave();
        reactor_ = nullptr;
        unref();
    }

    void requireContext();
    void enter();
    void leave();
    void hold(bool held);
    void runLoop();
    void endLoop();

    Function<void()> run;
    Function<void()> quit;

private:
    struct Source {
        GSource base;
        Host* host; // null once out of the context: a callback on the stack looks
        GPollFD poll;
    };

    ~Host();
    void turn();
    bool starved(bool ready);
    Source* addSource(GSourceFuncs& functions, int priority, const char* name);

    static gboolean prepareGuard(GSource* source, gint* timeout);
    static gboolean checkGuard(GSource* source);
    static gboolean dispatchSource(GSource* source, GSourceFunc, gpointer);

    static constexpr TimePoint never = TimePoint::min();

    GlibReactor* reactor_;
    GMainContext* context_;
    int priority_;
    GMainLoop* loop_ = nullptr;
    Source* server_ = nullptr;
    gpointer serverTag_ = nullptr; // of its descriptor
    Source* guard_ = nullptr;
    LogSubscription log_;
    TimePoint readySince_ = never;
    TimePoint lastTurnEnded_ = never;
    int references_ = 1;
    bool ownsLoop_ = false;
};

GlibReactor::Host::~Host() { g_main_context_unref(context_); }

void GlibReactor::Host::requireContext() {
    if (!g_main_context_acquire(context_))
        throw NoHostLoop("GlibReactor: another thread runs this GMainContext. Make the reactor on that thread, "
                         "or give this one a context (g_main_context_push_thread_default)");
    g_main_context_release(context_);
}

GlibReactor::Host::Source* GlibReactor::Host::addSource(GSourceFuncs& functions, int priority, const char* name) {
    auto* source = reinterpret_cast<Source*>(g_source_new(&functions, sizeof(Source)));
    source->host = this;
    source->poll = {reactor_->fileno(), G_IO_IN, 0};
    g_source_set_priority(&source->base, priority);
    g_source_set_can_recurse(&source->base, TRUE);
    g_source_set_static_name(&source->base, name);
    return source;
}

void GlibReactor::Host::enter() {
    if (server_) return;
    static GSourceFuncs serverFunctions{nullptr, nullptr, &dispatchSource, nullptr, nullptr, nullptr};
    static GSourceFuncs guardFunctions{&prepareGuard, &checkGuard, &dispatchSource, nullptr, nullptr, nullptr};
    server_ = addSource(serverFunctions, priority_, "bine");
    serverTag_ = g_source_add_unix_fd(&server_->base, server_->poll.fd, G_IO_IN);
    guard_ = addSource(guardFunctions, kGuardPriority, "bine guard");
    g_source_add_poll(&guard_->base, &guard_->poll); // with add_unix_fd() it would not ask checkGuard()
    lastTurnEnded_ = reactor_->now();
    g_source_attach(&server_->base, context_);
    g_source_attach(&guard_->base, context_);
    log_ = setDefaultLogObserver(&detail::logToGlib);
}

void GlibReactor::Host::leave() {
    for (Source** at : {&server_, &guard_}) {
        Source* source = std::exchange(*at, nullptr);
        if (!source) continue;
        source->host = nullptr;
        g_source_destroy(&source->base);
        g_source_unref(&source->base);
    }
    log_ = {};
}

void GlibReactor::Host::hold(bool held) {
    if (!server_) return;
    const GIOCondition events = held ? GIOCondition{} : G_IO_IN;
    g_source_modify_unix_fd(&server_->base, serverTag_, events);
    guard_->poll.events = static_cast<gushort>(events); // read before each poll()
    readySince_ = never;
}

void GlibReactor::Host::turn() {
    ref();
    const TimePoint since = std::exchange(readySince_, never);
    const Duration waited = since == never ? Duration::zero() : reactor_->now() - since;
    const Duration budget = std::clamp(waited / 4, kLeastBudget, kMostBudget);
    detail::guarded("Unhandled error in the reactor", [&] { reactor_->dispatch(budget); });
    if (reactor_) lastTurnEnded_ = reactor_->now();
    if (reactor_ && reactor_->core()->inherited()) leave(); // a child of fork(): it would be called for ever
    unref();
}

bool GlibReactor::Host::starved(bool ready) {
    if (!ready) {
        readySince_ = never;
        return false;
    }
    const TimePoint now = reactor_->now();
    if (readySince_ == never) readySince_ = now;
    return now - lastTurnEnded_ > kStarved;
}

gboolean GlibReactor::Host::prepareGuard(GSource* source, gint* timeout) {
    *timeout = -1;
    if (Host* host = reinterpret_cast<Source*>(source)->host)
        detail::guarded("Unhandled error in the reactor", [host] { host->reactor_->aboutToWait(); });
    return FALSE;
}

gboolean GlibReactor::Host::checkGuard(GSource* source) {
    auto* guard = reinterpret_cast<Source*>(source);
    if (guard->host) guard->host->reactor_->core()->meter().loopWoke();
    return guard->host && guard->host->starved(guard->poll.revents != 0);
}

gboolean GlibReactor::Host::dispatchSource(GSource* source, GSourceFunc, gpointer) {
    auto* self = reinterpret_cast<Source*>(source);
    if (self->host) self->host->turn();
    return self->host ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void GlibReactor::Host::runLoop() {
    ownsLoop_ = true;
    if (run) {
        detail::guarded("Unhandled error in the main loop", run);
    } else {
        loop_ = g_main_loop_new(context_, FALSE);
        g_main_loop_run(loop_);
        g_main_loop_unref(std::exchange(loop_, nullptr));
    }
    ownsLoop_ = false;
}

void GlibReactor::Host::endLoop() {
    if (loop_)
        g_main_loop_quit(loop_);
    else if (quit)
        detail::guarded("Unhandled error at the end of the main loop", quit);
}

void GlibReactor::ReleaseHost::operator()(Host* host) const noexcept { host->reactorDied(); }

GlibReactor::GlibReactor(GMainContext* context, Options options) : host_(new Host(*this, context, options)) {
    host_->requireContext();
    GlibReactor::attach();
}

GlibReactor::~GlibReactor() {
    host_->leave(); // before the descriptor is closed; what is left to do closeReactor() does by itself
    closeReactor();
    if (host_->ownsLoop()) host_->endLoop(); // died inside run(), and perhaps too late to hear shutdownFinished()
}

void GlibReactor::attach() {
    EpollReactor::attach();
    host_->enter();
}

void GlibReactor::run() {
    core_->assertThread("run()");
    core_->assertNotInherited("run");
    host_->requireContext();
    if (core_->life() == detail::ReactorCore::Life::finishing)
        throw ReactorNotRestartable("run: the reactor is in its shutdown; run it when run() has returned");
    if (host_->ownsLoop() || core_->depth() > 0 || (running() && g_main_depth() > 0))
        throw ReactorAlreadyRunning("run: the reactor runs already, in the loop on the stack");
    if (detached()) attach();
    Host* host = host_.get(); // this object may be destroyed inside
    host->ref();
    host->runLoop();
    if (host->reactor() && !detached()) shutDownNow();
    host->unref();
}

GMainContext* GlibReactor::context() const noexcept { return host_->context(); }

GMainLoop* GlibReactor::mainLoop() const noexcept { return host_->loop(); }

void GlibReactor::setMainLoop(Function<void()> run, Function<void()> quit) {
    core_->assertThread("setMainLoop()");
    if (running() || host_->ownsLoop()) throw ReactorAlreadyRunning("setMainLoop: the reactor runs already");
    if (host_->run) throw ReactorAlreadyRunning("setMainLoop: the reactor has a main loop already");
    host_->run = std::move(run);
    host_->quit = std::move(quit);
}

bool GlibReactor::loopRuns() const { return host_->ownsLoop() || g_main_depth() > 0; }

void GlibReactor::shutdownFinished() {
    host_->leave();
    if (host_->ownsLoop()) host_->endLoop();
}

void GlibReactor::holdTurns(bool held) { host_->hold(held); }

void registerGlibReactor() {
    registerReactor("glib", []() -> std::unique_ptr<ReactorBase> { return std::make_unique<GlibReactor>(); });
}

} // namespace bine::inline v0
