#pragma once
// GLib's loop on a context, for the hosts glib, glib-context and qt+gtk.

#include <glib.h>

#include <memory>
#include <vector>

#include "kit/host_loop.h"

namespace bine::kit {

class GlibLoop : public HostLoop {
public:
    /// On the default context, or on one of its own that becomes thread-default.
    explicit GlibLoop(bool ownContext);
    ~GlibLoop() override;

    std::unique_ptr<ReactorBase> makeReactor() override;
    void run() override;
    void quit() override;
    void quitRun(ReactorBase& reactor) override;
    void turn(std::chrono::milliseconds longest) override;
    void turnWithoutSockets() override;
    std::unique_ptr<NestedLoop> nested() override;
    void timer(std::chrono::milliseconds delay, std::function<void()> f) override;
    void callback(std::function<void()> f) override;
    bool destroy() override;
    HostObjects objects() const override;

private:
    void attachSource(GSource* source, std::function<void()> f);
    /// One turn, in which `source` is there too. Takes the reference.
    void turnWith(GSource* source, gboolean waits);

    GMainContext* context_ = nullptr; // null is the default one
    std::vector<GMainLoop*> running_;
    std::vector<GSource*>
        sources_; // ours, with a reference: those that have not run are destroyed at the end
};

/// The sources of a context and the descriptors that it polls.
HostObjects glibObjects(GMainContext* context);

} // namespace bine::kit
