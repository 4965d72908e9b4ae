// The engine: the two ends of a chain, and its end with its owner.
#include <new>

#include "bine/defer/core_parts.h"
#include "bine/defer/errors.h"
#include "bine/defer/pool.h"
#include "bine/log/place.h"

namespace bine::inline v0::detail {

// --- The producer's end.

bool Core::mayFireAgain() {
    if (killed_) {
        if (!called_ && !cancelling_) {
            const CoreRef pin(*this);
            called_ = true;
            dropCanceller();
        }
        return false;
    }
    if (!swallowOne_) throw AlreadyCalledError(created_, fired_);
    swallowOne_ = false;
    return false;
}

void Core::fire(std::source_location where) {
    fired_ = where;
    if (result.isFailure()) noteFailure();
    markCalled(where);
    settle();
}

void Core::markCalled(std::source_location where) {
    called_ = true;
    fired_ = where;
    if (canceller_ || (waiter_ && waiter_->holding_)) dropWhatFired();
}

// What was needed only until now goes: the canceller, and the callable that returned this.
void Core::dropWhatFired() noexcept {
    dropCanceller();
    if (waiter_ && waiter_->holding_) {
        CoreRef waiter(*waiter_);
        waiter_->releaseHeldStage();
    }
}

void Core::dropCanceller() noexcept {
    if (Stage* const canceller = std::exchange(canceller_, nullptr)) destroyStage(*canceller);
}

void Core::abandon() noexcept {
    checkThread();
    if (called_ && !canceller_) return release();
    ThreadMemory& thread = thread_;  // this may be gone
    if (thread.depth >= ThreadMemory::mostDepth) {
        nextInTrash_ = std::exchange(thread.trash, this);
        return;
    }
    ++thread.depth;
    abandonNow();
    emptyTrash(thread);
    --thread.depth;
}

void Core::abandonNow() noexcept {
    if (!called_ && !killed_ && !cancelling_) {
        if (handle_ || waiter_ || first_) {
            result.setFailure(AbandonedError(created_));
            fire({});
        } else {
            called_ = true;
        }
    }
    dropCanceller();  // what it would stop may be gone
    release();
}

// --- The consumer's end.

void Core::dropHandle() noexcept {
    checkThread();
    handle_ = false;
    if (references_ != 1 && isFinal() && !waiter_) {
        if (result.isTrivial())
            result.clear();
        else
            discardResult();
    }
    release();
}

void Core::unpause() {
    if (pauses_ == 0 || --pauses_ != 0) return;
    CoreRef pin(*this);
    settle();
}

void Core::cancel() {
    checkThread();
    Core* innermost = this;
    while (innermost->inner_) innermost = innermost->inner_;
    CoreRef pin(*innermost);
    innermost->cancelHere();
}

void Core::cancelHere() {
    if (killed_ || cancelling_) return;
    if (hasBody_) {  // it runs: else it would wait for something
        cancelRequested_ = true;
        return;
    }
    if (called_) return;
    if (canceller_)
        runCanceller();
    else
        swallowOne_ = true;
    if (called_ || killed_) return;
    result.setFailure(CancelledError());
    fire({});
}

void Core::runCanceller() noexcept {
    cancelling_ = true;
    Stage& canceller = *std::exchange(canceller_, nullptr);
    try {
        canceller.operations->onValue(canceller, *this);
    } catch (...) {
        Failure failure = caughtFailure();
        deferLogger().failure(failure.exceptionPtr(), "Unhandled error in a canceller", LogLevel::critical, {}, created_);
    }
    cancelling_ = false;
    destroyStage(canceller);
}

std::string Core::describe() const {
    if (inner_) return "waiting on the Deferred" + placeAfter("made at", inner_->created_);
    if (!result.empty()) return result.describe();
    return called_ ? "its result was taken" : "not fired yet";
}

// --- Owners.

void Core::own(OwnerHook& hook) {
    checkThread();
    if (killed_) return;
    if (!linked()) return hook.add(*this);
    furtherOwners_ = new FurtherOwner(*this, furtherOwners_);
    hook.add(*furtherOwners_);
}

void Core::eachOwner(void (*call)(void*, Owned&), void* object) {
    for (Core* core = this; core; core = core->outward()) {
        if (core->linked()) call(object, *core);
        for (FurtherOwner* further = core->furtherOwners_; further; further = further->next)
            if (further->linked()) call(object, *further);
    }
}

// What waits for this and whose end is this one's, too; the reverse of the way of ownerDies().
Core* Core::outward() noexcept {
    if (waiter_ || !lent_) return waiter_;
    for (Stage* stage = first_; stage; stage = stage->next) {
        if (stage->operations != &HandOver::awaiting) continue;
        const auto& handOver = static_cast<HandOver&>(*stage);
        if (handOver.target && handOver.handle == Handle::own) return handOver.target;
    }
    return nullptr;
}

void Core::dropOwners() noexcept {
    unlink();
    while (furtherOwners_) delete std::exchange(furtherOwners_, furtherOwners_->next);
}

// From here inwards, to the operation that all of it waits for: nothing of it runs any more.
void Core::ownerDies() noexcept {
    for (Core* core = this;; core = core->inner_) {
        if (!core->killed_) {
            core->killed_ = true;
            if (core->dependents_) core->dependents_->dies();
        } else if (core != this) {
            return;
        }
        if (!core->inner_ || (core->borrows_ && !core->takeBorrowed())) return;
    }
}

// What the frame has the handle of dies with it, as if it had been given away; what is dead already, too. False: it is somebody else's.
bool Core::takeBorrowed() noexcept {
    HandOver& stage = borrowed();
    if ((stage.handle != Handle::own && !inner_->killed_) || inner_->waiter_) return false;
    stage.target = nullptr;  // its reference
    inner_->waiter_ = this;
    borrows_ = false;
    return true;
}

/// REQUIRES: borrows_.
HandOver& Core::borrowed() noexcept {
    Stage* stage = inner_->first_;
    while (stage->operations != &HandOver::awaiting || static_cast<HandOver*>(stage)->target != this) stage = stage->next;
    return static_cast<HandOver&>(*stage);
}

void Core::ownerDied() {
    checkThread();
    ownerDies();
    Core* innermost = this;
    while (innermost->inner_ && (!innermost->borrows_ || innermost->takeBorrowed())) innermost = innermost->inner_;
    endOutward(*innermost);
}

// Ends all that was killed, from the innermost outwards; its operation is cancelled before the outermost goes. What is on the stack stops this: its
// loop goes on from there when it comes back. The first that was not killed is told.
void Core::endOutward(Core& innermost) {
    const CoreRef operation(innermost);
    const bool cancels = !innermost.called_ && !innermost.cancelling_;
    const auto stopOperation = [&] {
        if (cancels && innermost.canceller_) innermost.runCanceller();
    };
    CoreRef pin(innermost);
    for (Core* core = &innermost;;) {
        if (core->busy_ || core->ending_ || !core->waiter_ || !core->waiter_->killed_) stopOperation();
        if (core->ending_ || core->busy_) return;
        core->end();
        Core* const waiter = std::exchange(core->waiter_, nullptr);
        if (!waiter) return stopOperation();
        waiter->inner_ = nullptr;
        pin.reset(*waiter);  // may be the end of core, which had the waiter's reference too
        core->release();
        waiter->release();
        if (!waiter->killed_) {
            waiter->result.setFailure(CancelledError("what was waited for died with its owner"));
            waiter->noteFailure();
            return waiter->settle();
        }
        core = waiter;
    }
}

void Core::end() {
    ending_ = true;
    called_ = true;
    if (borrows_) stopBorrowing();
    if (hasBody_) destroyFrame();  // before the stages, one of which may hold the callable that the frame refers to
    destroyStages();
    if (dependents_) std::exchange(dependents_, nullptr)->die();
    result.clear();
    dropOwners();
}

// What somebody else has the handle of goes on without us, and keeps its result.
void Core::stopBorrowing() noexcept {
    borrowed().target = nullptr;
    borrows_ = false;
    Core* const inner = std::exchange(inner_, nullptr);
    inner->taken_ = false;
    inner->release();
    release();
}

}  // namespace bine::inline v0::detail
