// The snippets of docs/embedding.md about any other loop.

#include <poll.h>

#include <functional>
#include <map>

#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

static void byHand(int other) {
    bine::EpollReactor reactor;
    bool running = true;
    reactor.callLater(10ms, [&] { running = false; });

    pollfd fds[] = {{reactor.fileno(), POLLIN, 0}, {other, POLLIN, 0}};
    while (running) {
        reactor.aboutToWait(); // unsent bytes leave before the loop blocks
        poll(fds, 2, -1);      // timers and other threads wake the same descriptor
        if (fds[0].revents) reactor.dispatch();
    }
}

/// A toolkit's loop, as far as a reactor needs one: it watches descriptors and has a hook before it waits.
class ToyLoop {
public:
    void watch(int descriptor, std::function<void()> ready) { watched_[descriptor] = std::move(ready); }
    void unwatch(int descriptor) { watched_.erase(descriptor); }
    void beforeWaiting(std::function<void()> hook) { hook_ = std::move(hook); }
    void run() {
        for (quit_ = false; !quit_;) turn();
    }
    void quit() { quit_ = true; }

private:
    void turn() {
        if (hook_) hook_();
        pollfd fd{watched_.begin()->first, POLLIN, 0};
        poll(&fd, 1, -1);
        const auto ready = watched_.begin()->second; // a copy: it may be unwatched inside
        if (fd.revents) ready();
    }

    std::map<int, std::function<void()>> watched_;
    std::function<void()> hook_;
    bool quit_ = false;
};

class ToyReactor : public bine::EpollReactor {
public:
    explicit ToyReactor(ToyLoop& loop) : loop_(loop) { ToyReactor::attach(); }
    ~ToyReactor() override {
        leave(); // before the descriptor is closed
        closeReactor();
    }

    void attach() override {
        EpollReactor::attach();
        loop_.watch(fileno(), [this] { dispatch(); });
        loop_.beforeWaiting([this] { aboutToWait(); });
    }
    void run() override {
        if (detached()) attach();
        loop_.run();
        if (!detached()) shutDownNow(); // the loop was quit first
    }

protected:
    void shutdownFinished() override {
        leave();
        loop_.quit();
    }

private:
    void leave() {
        loop_.unwatch(fileno());
        loop_.beforeWaiting(nullptr);
    }

    ToyLoop& loop_;
};

int main() {
    byHand(0);
    ToyLoop loop;
    ToyReactor reactor(loop);
    reactor.callLater(10ms, [&] { reactor.stop(); });
    reactor.run();
}
