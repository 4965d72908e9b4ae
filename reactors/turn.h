#pragma once
// One turn on the stack: a bounded dispatch of what is ready. Internal to ReactorCore.

#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {

struct ReactorCore::Turn {
    Turn(ReactorCore& dispatching, Duration budget)
        : core(dispatching), outer(core.innermost_), number(++core.turnNumber_), started(core.clockNow()), limited(budget != Poller::kForever),
          deadline(limited ? started + budget : (TimePoint::max)()) {
        core.ref();
        core.innermost_ = this;
        core.meter_.turnBegins(started);
        ++core.depth_;
    }
    ~Turn() {
        --core.depth_;
        core.innermost_ = outer;
        if (core.turnsHeld_ && core.depth_ < core.nestingLimit_) [[unlikely]]
            core.resumeTurns();
        core.unref();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// The reactor died, or a nested turn ran: whatever this frame still knows is stale.
    bool over() const noexcept { return dead || core.turnNumber_ != number; }
    /// Looked at between any two user callbacks.
    bool spent() noexcept { return limited && spentAt(core.clockNow()); }
    /// The same right after a callback that was measured, which has just looked at the clock.
    bool spentByCallback() noexcept { return limited && spentAt(core.meter_.lastLook()); }

    ReactorCore& core;
    Turn* outer;
    std::uint64_t number;
    TimePoint started;
    bool limited;
    TimePoint deadline;
    bool dead = false;
    bool cut = false;

private:
    bool spentAt(TimePoint now) noexcept {
        if (now + core.sendingAhead() < deadline) return false;
        cut = true;
        return true;
    }
};

}  // namespace bine::inline v0::detail
