// The `embedded` host: the loop of a program that has never heard of reactors, with timers and queued
// callbacks of its own, around poll().

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <system_error>
#include <vector>

#include "kit/host_loop.h"

namespace bine::kit {
namespace {

class PollLoop;

/// A reactor whose run() is the poll loop: what the owner of such a loop would write.
class EmbeddedReactor final : public EpollReactor {
public:
    explicit EmbeddedReactor(PollLoop& loop);
    ~EmbeddedReactor() override;
    void run() override;

    bool ended() const { return detached(); }

protected:
    void shutdownFinished() override;

private:
    PollLoop& loop_;
    bool* ranOut_ = nullptr; // of the run() on the stack
};

class PollLoop final : public HostLoop {
public:
    std::unique_ptr<ReactorBase> makeReactor() override { return std::make_unique<EmbeddedReactor>(*this); }
    void run() override {
        quit_ = false;
        while (!quit_)
            turn(noLimit);
    }
    void quit() override { quit_ = true; }
    void turn(std::chrono::milliseconds longest) override;
    std::unique_ptr<NestedLoop> nested() override;
    void timer(std::chrono::milliseconds delay, std::function<void()> f) override {
        timers_.emplace(std::chrono::steady_clock::now() + delay, std::move(f));
    }
    void callback(std::function<void()> f) override { callbacks_.push_back(std::move(f)); }
    HostObjects objects() const override;

    void add(EmbeddedReactor& reactor) { reactors_.push_back(&reactor); }
    void remove(EmbeddedReactor& reactor) { std::erase(reactors_, &reactor); }
    bool watches(const EmbeddedReactor* reactor) const {
        return std::find(reactors_.begin(), reactors_.end(), reactor) != reactors_.end();
    }

    static constexpr std::chrono::milliseconds noLimit{-1};

private:
    int timeout(std::chrono::milliseconds longest) const;
    void runTimers();
    void runCallbacks();

    std::vector<EmbeddedReactor*> reactors_;
    std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> timers_;
    std::deque<std::function<void()>> callbacks_;
    bool quit_ = false;
};

class InnerPollLoop final : public NestedLoop {
public:
    explicit InnerPollLoop(PollLoop& loop) : loop_(loop) {}

    bool exec() override {
        ended_ = false;
        const auto limit = std::chrono::steady_clock::now() + safetyLimit();
        while (!ended_) {
            const auto now = std::chrono::steady_clock::now();
            if (now >= limit)
                return false;
            loop_.turn(std::chrono::ceil<std::chrono::milliseconds>(limit - now));
        }
        return true;
    }
    void quit() override { ended_ = true; }

private:
    PollLoop& loop_;
    bool ended_ = false;
};

EmbeddedReactor::EmbeddedReactor(PollLoop& loop) : loop_(loop) {
    attach();
    loop_.add(*this);
}

EmbeddedReactor::~EmbeddedReactor() {
    loop_.remove(*this);
    if (ranOut_)
        *ranOut_ = true;
    closeReactor();
}

void EmbeddedReactor::run() {
    if (ranOut_)
        return EpollReactor::run(); // inside itself: refused, in the words of the library
    if (detached())
        attach();
    bool over = false;
    ranOut_ = &over;
    PollLoop& loop = loop_;
    while (!over)
        loop.turn(PollLoop::noLimit);
}

void EmbeddedReactor::shutdownFinished() {
    if (!ranOut_)
        return;
    *ranOut_ = true;
    ranOut_ = nullptr;
}

int PollLoop::timeout(std::chrono::milliseconds longest) const {
    if (!callbacks_.empty())
        return 0;
    int result = static_cast<int>(longest.count());
    if (!timers_.empty()) {
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first -
                                                                       std::chrono::steady_clock::now())
                              .count();
        const int next = static_cast<int>((std::max<long>)(wait, 0));
        if (result < 0 || next < result)
            result = next;
    }
    return result;
}

void PollLoop::turn(std::chrono::milliseconds longest) {
    std::vector<pollfd> set;
    std::vector<EmbeddedReactor*> watched;
    for (EmbeddedReactor* reactor : reactors_) {
        if (reactor->ended())
            continue;
        watched.push_back(reactor);
        reactor->aboutToWait();
        set.push_back({reactor->turnsHeld() ? -1 : reactor->fileno(), POLLIN, 0});
    }
    if (::poll(set.data(), set.size(), timeout(longest)) < 0) {
        if (errno == EINTR)
            return;
        throw std::system_error(errno, std::generic_category(), "poll");
    }
    runTimers();
    runCallbacks();
    for (std::size_t i = 0; i < watched.size(); ++i)
        if (set[i].revents != 0 && watches(watched[i]))
            watched[i]->dispatch();
}

void PollLoop::runTimers() {
    const auto now = std::chrono::steady_clock::now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        const auto f = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        f();
    }
}

void PollLoop::runCallbacks() {
    for (std::size_t n = callbacks_.size(); n > 0 && !callbacks_.empty(); --n) {
        const auto f = std::move(callbacks_.front());
        callbacks_.pop_front();
        f();
    }
}

std::unique_ptr<NestedLoop> PollLoop::nested() { return std::make_unique<InnerPollLoop>(*this); }

HostObjects PollLoop::objects() const {
    HostObjects objects;
    for (EmbeddedReactor* reactor : reactors_)
        if (!reactor->ended())
            objects.insert("descriptor " + std::to_string(reactor->fileno()));
    for (std::size_t i = 0; i < timers_.size(); ++i)
        objects.insert("timer");
    return objects;
}

} // namespace

std::unique_ptr<HostLoop> makePollLoop() { return std::make_unique<PollLoop>(); }

} // namespace bine::kit
