#pragma once
// Nest: loops of the host inside loops, each opened in a callback of a reactor. Loop's thread.

#include <functional>
#include <memory>
#include <vector>

#include "kit/reactor_host.h"

namespace bine::kit {

class Nest {
public:
    explicit Nest(ReactorHost& host) : host_(host) {}
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;

    /// Opens that many, and runs f in a callback inside the last.
    void open(int depth, std::function<void()> f) {
        open(std::vector<Reactor*>(static_cast<std::size_t>(depth) + 1, &host_.reactor()), std::move(f));
    }
    /// The same with several reactors: a loop in a callback of each but the last, which calls f.
    void open(std::vector<Reactor*> reactors, std::function<void()> f) {
        Reactor* const first = reactors.front();
        reactors.erase(reactors.begin());
        first->callLater(Duration::zero(), [this, reactors = std::move(reactors), f = std::move(f)] {
            if (reactors.empty())
                return f();
            const auto loop = loops_.emplace_back(host_.nestedLoop());
            open(reactors, f);
            ++inside_;
            inTime_ = loop->exec() && inTime_;
            --inside_;
        });
    }
    /// Ends them all.
    void quit() {
        for (const auto& loop : loops_)
            loop->quit();
    }
    /// How many are on the stack.
    int inside() const { return inside_; }
    /// There were some, and all have ended before the safety limit.
    bool over() const { return !loops_.empty() && inside_ == 0 && inTime_; }

private:
    ReactorHost& host_;
    std::vector<std::shared_ptr<NestedLoop>> loops_;
    int inside_ = 0;
    bool inTime_ = true;
};

} // namespace bine::kit
