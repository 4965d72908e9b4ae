// The host qt+gtk: one loop that serves both toolkits. Qt runs it, on its GLib dispatcher; the reactor is a
// GlibReactor, which does not know; timers, callbacks and nested loops are by turns Qt's and GLib's.

#include "kit/glib_loop.h"
#include "kit/qt_loop.h"

namespace bine::kit {
namespace {

class QtGtkLoop final : public HostLoop {
public:
    std::unique_ptr<ReactorBase> makeReactor() override { return glib_.makeReactor(); }
    void attach(ReactorBase& reactor) override { glib_.attach(reactor); }
    void run() override { qt_.run(); }
    void quit() override { qt_.quit(); }
    void quitRun(ReactorBase& reactor) override { glib_.quitRun(reactor); }
    void turn(std::chrono::milliseconds longest) override { qt_.turn(longest); }
    void turnWithoutSockets() override { next().turnWithoutSockets(); }
    std::unique_ptr<NestedLoop> nested() override { return next().nested(); }
    void timer(std::chrono::milliseconds delay, std::function<void()> f) override {
        next().timer(delay, std::move(f));
    }
    void callback(std::function<void()> f) override { next().callback(std::move(f)); }
    bool destroy() override { return qt_.destroy(); }
    HostObjects objects() const override {
        HostObjects all = qt_.objects();
        all.merge(glib_.objects());
        return all;
    }

private:
    HostLoop& next() {
        turnOfQt_ = !turnOfQt_;
        if (turnOfQt_)
            return qt_;
        return glib_;
    }

    QtLoop qt_;
    GlibLoop glib_{false};
    bool turnOfQt_ = false;
};

} // namespace

std::unique_ptr<HostLoop> makeQtGtkLoop() { return std::make_unique<QtGtkLoop>(); }

} // namespace bine::kit
