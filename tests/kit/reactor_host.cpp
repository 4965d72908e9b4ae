#include "kit/reactor_host.h"

#include <QtCore/qthread.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kit/host_loop.h"

namespace bine::kit {
namespace {

std::unique_ptr<HostLoop> makeLoop([[maybe_unused]] ReactorHost& host) {
    const std::string& name = reactorName();
    if (name == "epoll" || name == "poll" || name == "select")
        return makeOwnLoop(host);
    if (name == "embedded")
        return makePollLoop();
#ifdef BINE_HAVE_QT
    if (name == "qt" || name == "qt-noglib")
        return makeQtLoop();
#endif
#ifdef BINE_HAVE_GTK
    // The default context belongs to the main thread.
    if (name == "glib" || name == "glib-context")
        return makeGlibLoop(name == "glib-context" || !onMainThread());
#ifdef BINE_HAVE_QT
    if (name == "qt+gtk")
        return onMainThread() ? makeQtGtkLoop() : makeGlibLoop(true);
#endif
#endif
    throw std::runtime_error("BINE_REACTOR: this build has no reactor called '" + name + "'");
}

} // namespace

const std::string& reactorName() {
    static const std::string name = [] {
        const char* value = std::getenv("BINE_REACTOR");
        return std::string(value && *value ? value : "epoll");
    }();
    return name;
}

bool inQt() { return reactorName() == "qt" || reactorName() == "qt-noglib"; }

// Nothing here takes long but on a machine that has other things to do.
Duration safetyLimit() { return std::chrono::seconds(60); }

NestedLoop::~NestedLoop() = default;

ReactorHost::ReactorHost() : loop_(makeLoop(*this)) {}

ReactorHost::~ReactorHost() { destroyReactor(); }

ReactorBase& ReactorHost::reactor() {
    if (!reactor_)
        reactor_ = loop_->makeReactor();
    return *reactor_;
}

std::unique_ptr<ReactorBase> ReactorHost::anotherReactor() { return loop_->makeReactor(); }

void ReactorHost::attach() { loop_->attach(reactor()); }

bool ReactorHost::hosted() const { return loop_->hosted(); }

void ReactorHost::runHost() { loop_->run(); }

void ReactorHost::quitHost() { loop_->quit(); }

void ReactorHost::quitRun() { loop_->quitRun(reactor()); }

void ReactorHost::turn() { loop_->turn(std::chrono::milliseconds::zero()); }

void ReactorHost::turnWithoutSockets() { loop_->turnWithoutSockets(); }

bool ReactorHost::spinUntil(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + safetyLimit();
    while (!done()) {
        if (std::chrono::steady_clock::now() >= limit)
            return false;
        loop_->turn(std::chrono::milliseconds(10));
    }
    return true;
}

bool ReactorHost::nestedLoop(const std::function<bool()>& until) {
    if (until())
        return true;
    const std::shared_ptr<NestedLoop> loop = nestedLoop();
    const auto look = std::make_shared<std::function<void()>>();
    *look = [this, &until, loop = std::weak_ptr(loop), look = std::weak_ptr(look)] {
        const auto open = loop.lock();
        if (!open)
            return; // and `until` is gone
        if (until())
            return open->quit();
        loop_->timer(std::chrono::milliseconds(2), [again = look.lock()] { (*again)(); });
    };
    (*look)();
    return loop->exec();
}

std::unique_ptr<NestedLoop> ReactorHost::nestedLoop() { return loop_->nested(); }

void ReactorHost::hostTimer(std::chrono::milliseconds delay, std::function<void()> f) {
    loop_->timer(delay, std::move(f));
}

void ReactorHost::hostCallback(std::function<void()> f) { loop_->callback(std::move(f)); }

bool ReactorHost::destroyLoop() { return loop_->destroy(); }

HostObjects ReactorHost::hostObjects() const { return loop_->objects(); }

void onThread(const std::function<void(ReactorHost&)>& f) {
    std::exception_ptr thrown;
    const std::unique_ptr<QThread> thread(QThread::create([&] {
        try {
            ReactorHost host;
            f(host);
        } catch (...) {
            thrown = std::current_exception();
        }
    }));
    thread->start();
    thread->wait();
    if (thrown)
        std::rethrow_exception(thrown);
}

} // namespace bine::kit
