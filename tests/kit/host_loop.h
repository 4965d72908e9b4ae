#pragma once
// HostLoop: one kind of loop, behind ReactorHost. To be implemented once per host; its functions are those of
// ReactorHost, where their contracts are.

#include <chrono>

#include "kit/reactor_host.h"

namespace bine::kit {

class HostLoop {
public:
    virtual ~HostLoop() = default;

    virtual std::unique_ptr<ReactorBase> makeReactor() = 0;
    virtual void attach(ReactorBase& reactor) { static_cast<EpollReactor&>(reactor).attach(); }
    virtual bool hosted() const { return true; }
    /// Runs until quit().
    virtual void run() = 0;
    virtual void quit() = 0;
    virtual void quitRun(ReactorBase&) { quit(); }
    /// One turn of the loop, which waits at most that long.
    virtual void turn(std::chrono::milliseconds longest) = 0;
    virtual void turnWithoutSockets() { turn(std::chrono::milliseconds::zero()); }
    virtual std::unique_ptr<NestedLoop> nested() = 0;
    virtual void timer(std::chrono::milliseconds delay, std::function<void()> f) = 0;
    virtual void callback(std::function<void()> f) = 0;
    virtual bool destroy() { return false; }
    virtual HostObjects objects() const { return {}; }
};

std::unique_ptr<HostLoop> makeOwnLoop(ReactorHost& host);
std::unique_ptr<HostLoop> makePollLoop();
std::unique_ptr<HostLoop> makeQtLoop();
std::unique_ptr<HostLoop> makeGlibLoop(bool ownContext);
std::unique_ptr<HostLoop> makeQtGtkLoop();

bool onMainThread();

/// What Qt's dispatcher of this thread has: enabled notifiers and timers. Notes QObjects from
/// watchQtObjects() on.
void watchQtObjects();
HostObjects qtObjects();

} // namespace bine::kit
