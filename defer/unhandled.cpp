#include "bine/defer/unhandled.h"

#include <new>
#include <utility>
#include <vector>

#include "bine/defer/core_parts.h"
#include "bine/defer/pool.h"

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

void Core::noteKept() noexcept {
    ThreadMemory& thread = threadMemory();
    keptSince_ = thread.turn;
    warned_ = reported_ = false;
    if (kept_) return;
    kept_ = true;
    previousKept_ = nullptr;
    nextKept_ = std::exchange(thread.kept, this);
    if (nextKept_) nextKept_->previousKept_ = this;
}

void Core::forgetKept() noexcept {
    if (!kept_) return;
    kept_ = false;
    (previousKept_ ? previousKept_->nextKept_ : threadMemory().kept) = nextKept_;
    if (nextKept_) nextKept_->previousKept_ = previousKept_;
}

// Observers of the log are user code, which may handle, keep and destroy Deferreds: so first the list, then the words.
void Core::tellOfKept(Kept which) noexcept {
    ThreadMemory& thread = threadMemory();
    std::vector<Core*> found;
    for (Core *core = thread.kept, *next = nullptr; core; core = next) {
        next = core->nextKept_;
        if (!core->isKeptFailure()) {
            core->forgetKept();
            continue;
        }
        if (which == Kept::all ? core->reported_ : core->warned_ || thread.turn - core->keptSince_ < thread.warnAfter) continue;
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

void unhandledTurnOver() noexcept {
    ThreadMemory& thread = threadMemory();
    ++thread.turn;
    if (thread.warnAfter != 0 && thread.kept) Core::tellOfKept(Core::Kept::thoseOfSomeTurns);
}

void reportKeptFailures() noexcept {
    if (threadMemory().kept) Core::tellOfKept(Core::Kept::all);
}

}  // namespace detail

void warnOfUnhandledErrors(unsigned turns) { detail::threadMemory().warnAfter = turns; }

}  // namespace bine::inline v0
