#include "kit/glib_loop.h"

#include <algorithm>

#include "bine/gtkreactor/glib_reactor.h"

namespace bine::kit {
namespace {

gboolean callOnce(gpointer data) {
    (*static_cast<std::function<void()>*>(data))();
    return G_SOURCE_REMOVE;
}

void drop(gpointer data) { delete static_cast<std::function<void()>*>(data); }

class InnerGlibLoop final : public NestedLoop {
public:
    explicit InnerGlibLoop(GMainContext* context)
        : context_(context), loop_(g_main_loop_new(context, FALSE)) {}
    ~InnerGlibLoop() override { g_main_loop_unref(loop_); }

    bool exec() override {
        const auto limit = std::chrono::ceil<std::chrono::milliseconds>(safetyLimit());
        GSource* source = g_timeout_source_new(static_cast<guint>(limit.count()));
        bool tooLong = false;
        auto* end = new std::function<void()>([this, &tooLong] {
            tooLong = true;
            quit();
        });
        g_source_set_callback(source, &callOnce, end, &drop);
        g_source_attach(source, context_);
        g_main_loop_run(loop_);
        g_source_destroy(source);
        g_source_unref(source);
        return !tooLong;
    }
    void quit() override { g_main_loop_quit(loop_); }

private:
    GMainContext* context_;
    GMainLoop* loop_;
};

std::string describe(GSource* source) {
    const char* name = g_source_get_name(source);
    return std::string("source ") + (name ? name : "without a name") + ", priority " +
           std::to_string(g_source_get_priority(source));
}

} // namespace

HostObjects glibObjects(GMainContext* context) {
    HostObjects objects;
    // The ids of a context are given in order: a new one tells how far they go.
    GSource* probe = g_idle_source_new();
    const guint end = g_source_attach(probe, context);
    g_source_destroy(probe);
    g_source_unref(probe);
    for (guint id = 1; id < end; ++id)
        if (GSource* source = g_main_context_find_source_by_id(context, id))
            objects.insert(describe(source));

    gint timeout = 0;
    std::vector<GPollFD> polled(64);
    for (;;) {
        const gint n = g_main_context_query(context ? context : g_main_context_default(), G_MAXINT, &timeout,
                                            polled.data(), static_cast<gint>(polled.size()));
        const bool all = static_cast<std::size_t>(n) <= polled.size();
        polled.resize(static_cast<std::size_t>(n));
        if (all)
            break;
    }
    for (const GPollFD& fd : polled)
        objects.insert("descriptor " + std::to_string(fd.fd));
    return objects;
}

GlibLoop::GlibLoop(bool ownContext) {
    if (!ownContext)
        return;
    context_ = g_main_context_new();
    g_main_context_push_thread_default(context_);
}

GlibLoop::~GlibLoop() {
    for (GSource* source : sources_) {
        g_source_destroy(source);
        g_source_unref(source);
    }
    destroy();
}

bool GlibLoop::destroy() {
    if (!context_)
        return false;
    g_main_context_pop_thread_default(context_);
    g_main_context_unref(context_);
    context_ = nullptr;
    return true;
}

std::unique_ptr<ReactorBase> GlibLoop::makeReactor() { return std::make_unique<GlibReactor>(); }

void GlibLoop::run() {
    GMainLoop* loop = g_main_loop_new(context_, FALSE);
    running_.push_back(loop);
    g_main_loop_run(loop);
    std::erase(running_, loop);
    g_main_loop_unref(loop);
}

void GlibLoop::quit() {
    if (!running_.empty())
        g_main_loop_quit(running_.back());
}

void GlibLoop::quitRun(ReactorBase& reactor) {
    g_main_loop_quit(static_cast<GlibReactor&>(reactor).mainLoop());
}

void GlibLoop::turn(std::chrono::milliseconds longest) {
    if (longest == std::chrono::milliseconds::zero()) {
        g_main_context_iteration(context_, FALSE);
        return;
    }
    turnWith(g_timeout_source_new(static_cast<guint>(longest.count())), TRUE);
}

void GlibLoop::turnWithoutSockets() {
    GSource* urgent = g_idle_source_new();
    g_source_set_priority(urgent, G_PRIORITY_HIGH);
    turnWith(urgent, FALSE);
}

void GlibLoop::turnWith(GSource* source, gboolean waits) {
    g_source_set_callback(
        source, [](gpointer) -> gboolean { return G_SOURCE_REMOVE; }, nullptr, nullptr);
    g_source_attach(source, context_);
    g_main_context_iteration(context_, waits);
    g_source_destroy(source);
    g_source_unref(source);
}

std::unique_ptr<NestedLoop> GlibLoop::nested() { return std::make_unique<InnerGlibLoop>(context_); }

void GlibLoop::attachSource(GSource* source, std::function<void()> f) {
    g_source_set_callback(source, &callOnce, new std::function<void()>(std::move(f)), &drop);
    g_source_attach(source, context_);
    std::erase_if(sources_, [](GSource* old) {
        const bool gone = g_source_is_destroyed(old);
        if (gone)
            g_source_unref(old);
        return gone;
    });
    sources_.push_back(source);
}

void GlibLoop::timer(std::chrono::milliseconds delay, std::function<void()> f) {
    attachSource(g_timeout_source_new(static_cast<guint>(delay.count())), std::move(f));
}

void GlibLoop::callback(std::function<void()> f) {
    GSource* source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    attachSource(source, std::move(f));
}

HostObjects GlibLoop::objects() const { return glibObjects(context_); }

std::unique_ptr<HostLoop> makeGlibLoop(bool ownContext) { return std::make_unique<GlibLoop>(ownContext); }

} // namespace bine::kit
