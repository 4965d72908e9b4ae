// The loops of epoll, poll and select: the reactor's own.

#include "bine/reactors/reactor_core.h"
#include "kit/host_loop.h"

namespace bine::kit {
namespace {

class InnerIterations final : public NestedLoop {
public:
    explicit InnerIterations(ReactorHost& host) : host_(host) {}

    bool exec() override {
        ended_ = false;
        const TimePoint limit = std::chrono::steady_clock::now() + safetyLimit();
        while (!ended_ && host_.hasReactor()) {
            const TimePoint now = std::chrono::steady_clock::now();
            if (now >= limit)
                return false;
            host_.reactor().iterate(limit - now);
        }
        return true;
    }
    void quit() override { ended_ = true; }

private:
    ReactorHost& host_;
    bool ended_ = false;
};

class OwnLoop final : public HostLoop {
public:
    explicit OwnLoop(ReactorHost& host) : host_(host) {}

    std::unique_ptr<ReactorBase> makeReactor() override {
        if (reactorName() == "poll")
            return std::make_unique<PollReactor>();
        if (reactorName() == "select")
            return std::make_unique<SelectReactor>();
        return std::make_unique<EpollReactor>();
    }
    bool hosted() const override { return false; }
    void attach(ReactorBase&) override {}
    void run() override { host_.reactor().run(); }
    void quit() override { host_.reactor().stop(); }
    void turn(std::chrono::milliseconds longest) override {
        detail::ReactorCore& core = *host_.reactor().core();
        if (!core.everStarted())
            core.start();
        host_.reactor().iterate(longest);
    }
    std::unique_ptr<NestedLoop> nested() override { return std::make_unique<InnerIterations>(host_); }
    void timer(std::chrono::milliseconds delay, std::function<void()> f) override {
        host_.reactor().callLater(delay, std::move(f));
    }
    void callback(std::function<void()> f) override {
        host_.reactor().callLater(Duration::zero(), std::move(f));
    }

private:
    ReactorHost& host_;
};

} // namespace

std::unique_ptr<HostLoop> makeOwnLoop(ReactorHost& host) { return std::make_unique<OwnLoop>(host); }

} // namespace bine::kit
