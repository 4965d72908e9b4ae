// All Deferreds of a thread that have a Core: what is told of them before they end.
#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "bine/defer/core_parts.h"
#include "bine/defer/errors.h"
#include "bine/defer/pool.h"
#include "bine/defer/trace.h"
#include "bine/defer/unhandled.h"
#include "bine/log/place.h"

namespace bine::inline v0 {
namespace detail {
namespace {

void warnOf(const Failure& failure, std::source_location created) noexcept {
    try {
        deferLogger().warn("Nobody has taken the failure of a Deferred yet: " + failure.getBriefTraceback(), {}, created);
    } catch (const std::bad_alloc&) {
        // It is reported at its death.
    }
}

}  // namespace

void Core::joinLiving() noexcept {
    thisLiving_ = &thread_.living;
    nextLiving_ = std::exchange(thread_.living, this);
    if (nextLiving_) nextLiving_->thisLiving_ = &nextLiving_;
}

void Core::leaveLiving() noexcept {
    *thisLiving_ = nextLiving_;
    if (nextLiving_) nextLiving_->thisLiving_ = thisLiving_;
}

void Core::noteKept() noexcept {
    failedIn_ = thread_.turn;
    warned_ = reported_ = false;
}

// Observers of the log are user code, which may handle, keep and destroy Deferreds: so first the list, then the words.
void Core::tellOfKept(Kept which) noexcept {
    const ThreadMemory& thread = threadMemory();
    std::vector<Core*> found;
    for (Core* core = thread.living; core; core = core->nextLiving_) {
        if (!core->isKeptFailure()) continue;
        if (which == Kept::all ? core->reported_ : core->warned_ || thread.turn - core->failedIn_ < thread.warnAfter) continue;
        try {
            found.push_back(core);
        } catch (const std::bad_alloc&) {
            break;  // the others are told of next time, or at their death
        }
        core->retain();
    }
    for (Core* core : found) {
        if (core->isKeptFailure()) {
            if (which == Kept::all) {
                core->reported_ = true;
                reportUnhandled(core->result.failure(), core->created_);
            } else {
                core->warned_ = true;
                warnOf(core->result.failure(), core->created_);
            }
        }
        core->release();
    }
}

void Core::describeTo(std::string& text) const {
    const std::string place = placeText(created_);
    if (place.empty())
        text += coroutine_ ? "coroutine of the library" : "made by the library";
    else
        text += (coroutine_ ? "coroutine begun at " : "made at ") + place;
    std::size_t stages = 0;
    for (const Stage* stage = first_; stage; stage = stage->next) ++stages;
    if (stages != 0) text += ", " + std::to_string(stages) + (stages == 1 ? " callback" : " callbacks");
    if (pauses_ != 0) text += ", paused";
    if (linked()) text += ", owned";
    if (inner_)
        text += ", waits for";
    else if (!result.empty())
        text += ", " + result.describe();
    else
        text += called_ ? ", its result was taken" : ", not fired yet";
    text += '\n';
}

bool Core::isAwaited() const noexcept {
    if (waiter_) return true;
    for (const Stage* stage = first_; stage; stage = stage->next)
        if (stage->operations == &HandOver::awaiting) return true;
    return false;
}

// Who waits stands above what it waits for, one step to the left. What several coroutines await stands below each.
std::string Core::describeLiving(std::size_t most) {
    std::string text;
    std::size_t lines = 0, more = 0;
    for (const Core* core = threadMemory().living; core; core = core->nextLiving_) {
        if (core->isAwaited()) continue;
        std::size_t depth = 0;
        for (const Core* at = core; at; at = at->inner_) {
            if (++lines > most) {
                ++more;
                continue;
            }
            text.append(2 * (std::min)(depth++, std::size_t{20}), ' ');
            at->describeTo(text);
        }
    }
    if (more != 0) text += "and " + std::to_string(more) + " more\n";
    return text;
}

void unhandledTurnOver() noexcept {
    ThreadMemory& thread = threadMemory();
    ++thread.turn;
    if (thread.warnAfter != 0 && thread.living) Core::tellOfKept(Core::Kept::thoseOfSomeTurns);
}

void reportLiving() noexcept {
    if (!threadMemory().living) return;
    Core::tellOfKept(Core::Kept::all);
#ifndef NDEBUG
    try {
        if (const std::string text = Core::describeLiving(100); !text.empty()) deferLogger().debug("Deferreds that outlive the reactor's run:\n" + text);
    } catch (const std::bad_alloc&) {
        // Only an aid.
    }
#endif
}

}  // namespace detail

void warnOfUnhandledErrors(unsigned turns) { detail::threadMemory().warnAfter = turns; }

std::string trace::dump(std::size_t most) { return detail::Core::describeLiving(most); }

}  // namespace bine::inline v0
