#include "bine/defer/core.h"

#include "bine/defer/deferred.h"

#include <algorithm>
#include <stdexcept>

#include "bine/defer/errors.h"
#include "bine/defer/owner.h"
#include "bine/defer/pool.h"
#include "bine/log/log.h"

namespace bine::inline v0::detail {

/// One owner of a chain.
class CoreOwnership final : public Owned {
public:
    CoreOwnership(Core& core, CoreOwnership* next) : core(core), next(next) {}
    void ownerDies() noexcept override { core.ownerDies(); }
    void ownerDied() noexcept override { core.ownerDied(); }
    Core& core;
    CoreOwnership* next;
};

static constexpr std::size_t kAlignment = alignof(std::max_align_t);
static constexpr std::size_t roundUp(std::size_t size, std::size_t alignment) { return (size + alignment - 1) & ~(alignment - 1); }

/// Where stages go that the arena has no room for.
struct Core::Chunk {
    Chunk* next;
    std::size_t size;
    std::size_t used;
};
static constexpr std::size_t kChunkHead = roundUp(3 * sizeof(std::size_t), kAlignment);


// --- Making and destroying

Core* Core::make(std::source_location created) { return ::new (poolAllocate(sizeof(Core))) Core(created, sizeof(Core)); }

/// Cores whose last reference went: destroyed one after the other, since what one holds may be the last reference to the next.
struct Core::Trash {
    Core* first = nullptr;
    bool draining = false;
    static Trash& ofThread() {
        static thread_local Trash trash;
        return trash;
    }
};

void Core::unref() noexcept {
    if (--references_ != 0) return;
    Trash& trash = Trash::ofThread();
    nextToRun_ = trash.first;
    trash.first = this;
    if (trash.draining) return;
    trash.draining = true;
    while (Core* core = trash.first) {
        trash.first = core->nextToRun_;
        const std::size_t size = core->blockSize_;
        core->~Core();
        poolFree(core, size);
    }
    trash.draining = false;
}

Core::~Core() {
    references_ = 1;  // what dies here may take and give back a reference
    dropOwners();
    dropResult();
    dropStages();
    dropReturner();
    canceller_ = nullptr;
    if (Core* inner = std::exchange(waitingOn_, nullptr)) inner->unref();
    releaseChunks();
}

// --- Memory of the stages

void* Core::allot(std::size_t size, std::size_t alignment) {
    const std::size_t start = roundUp(used_, alignment);
    if (start + size <= kArena) {
        used_ = static_cast<std::uint32_t>(start + size);
        ++live_;
        unpoison(arena_ + start, size);
        return arena_ + start;
    }
    if (!chunks_ || roundUp(chunks_->used, alignment) + size > chunks_->size) {
        const std::size_t room = (std::max)(size, chunks_ ? (std::min)(chunks_->size * 2, std::size_t{1} << 20) : std::size_t{512});
        chunks_ = ::new (::operator new(kChunkHead + room)) Chunk{chunks_, room, 0};
    }
    const std::size_t inChunk = roundUp(chunks_->used, alignment);
    chunks_->used = inChunk + size;
    ++live_;
    return reinterpret_cast<std::byte*>(chunks_) + kChunkHead + inChunk;
}

void Core::dispose(Stage* stage) noexcept {
    const std::size_t size = stage->size;
    stage->~Stage();
    poison(stage, size);
    if (--live_ == 0) {
        used_ = 0;
        releaseChunks();
    }
}

void Core::releaseChunks() noexcept {
    while (Chunk* chunk = chunks_) {
        chunks_ = chunk->next;
        ::operator delete(chunk);
    }
}

void Core::dropStages() noexcept {
    while (Stage* stage = first_) {
        first_ = stage->next;
        if (!first_) last_ = nullptr;
        dispose(stage);
    }
}

void Core::append(Stage* stage) {
    if (dead_) return dispose(stage);  // its owner has died: it will never run
    (last_ ? last_->next : first_) = stage;
    last_ = stage;
    run();
}

// --- Running

void Core::run() {
    if (dead_ || running_ || pauses_ != 0 || waitingOn_ || (!resumable_ && result.kind() == Slot::Kind::nothing)) return;
    RunList list;
    list.push(*this);
    run(list);
}

void Core::run(RunList& list) {
    // Inside of a destructor, what dies while this runs does not wait for that one to return.
    Trash& trash = Trash::ofThread();
    const Trash outer = std::exchange(trash, Trash());
    while (Core* core = list.first) {
        list.first = core->nextToRun_;
        core->running_ = false;
        core->advance(list);
        core->unref();
    }
    trash = outer;
}

void Core::advance(RunList& list) {
    if (resumable_ && !dead_) resume();
    if (dead_) return endForOwner(list);
    while (!dead_ && !running_ && pauses_ == 0 && !waitingOn_ && result.kind() != Slot::Kind::nothing) {
        Stage* stage = first_;
        if (!stage) return finish(list);
        first_ = stage->next;
        if (!first_) last_ = nullptr;
        running_ = true;
        stage->run(*this, list);
        const bool forwarded = list.first && list.first->nextToRun_ == this;
        running_ = forwarded;  // the target goes first
        if (dead_) {
            dispose(stage);
            return endForOwner(list);
        }
        if (waitingOn_ && !waitingOn_->called_)
            returner_ = stage;  // its callable lives until what it returned has been fired
        else
            dispose(stage);
        if (forwarded) return;
    }
}

void Core::finish(RunList& list) noexcept {
    Core* outer = waiter_;
    if (!outer) {
        if (!handle_) dropResult();
        return;
    }
    waiter_ = nullptr;
    outer->waitingOn_ = nullptr;
    if (outer->coroutine_ && outer->frameAlive_) {
        outer->resumable_ = true;
        handle_ = true;  // the awaiter's: it takes the result
    } else {
        outer->dropReturner();
        if (result.kind() == Slot::Kind::failure) result.failure().addPlace(Passage::passedTo, outer->created_);
        outer->result.takeFrom(result);
        result.emplace<void>();  // what was taken leaves nothing behind
    }
    list.push(*outer);
    outer->unref();  // the waiter's reference
    unref();         // the outer's reference to this
}

void Core::takeResult(Slot& slot) noexcept {
    if (dead_ && result.kind() != Slot::Kind::failure)
        slot.setFailure(CancelledError("cancelled: its owner has died"));
    else
        slot.takeFrom(result);
    result.emplace<void>();  // what was taken leaves nothing behind
}

void Core::dropReturner() noexcept {
    if (Stage* stage = std::exchange(returner_, nullptr)) dispose(stage);
}

void Core::waitFor(Core& inner) {
    inner.handle_ = false;
    if (inner.waitsFor(*this)) {
        static const Logger log("bine.defer");
        log.warn("A callback returned the Deferred that it is attached to, or one that waits for it");
        result.setFailure(std::logic_error("a callback returned the Deferred that it is attached to, or one that waits for it"));
        inner.unref();
    } else if (dead_) {  // its owner died in the callback: what the callback began ends too
        inner.ownerDies();
        inner.ownerDied();
        inner.unref();
    } else if (inner.settled()) {
        inner.takeResult(result);
        inner.unref();
    } else {
        waitingOn_ = &inner;
        ref();
        inner.waiter_ = this;
        skipIdleWaiters();
    }
}

// Looked for from both ends, of which one is near whether chains are built from the inside or from the outside.
bool Core::waitsFor(const Core& other) const noexcept {
    const Core* down = this;
    for (const Core* up = &other; down && up; down = down->waitingOn_, up = up->waiter_)
        if (down == &other || up == this) return true;
    return false;
}

// A loop written as "return again()" makes each chain wait for the next for ever. Those that only pass a result on are taken out.
void Core::skipIdleWaiters() noexcept {
    while (Core* outer = waiter_) {
        Core* const next = outer->waiter_;
        const std::uint32_t links = next ? 2 : 1;  // the references that those on its two sides have
        if (outer->frameAlive_ || outer->first_ || outer->handle_ || outer->owners_ || outer->pauses_ != 0 || outer->running_ || outer->resolver_ ||
            !outer->called_ || outer->references_ != links)
            return;
        waiter_ = std::exchange(outer->waiter_, nullptr);
        outer->waitingOn_ = nullptr;
        if (next) {
            next->waitingOn_ = this;  // with the reference that `outer` had
            outer->unref();
        } else {
            unref();
        }
        outer->dropReturner();
        outer->unref();
    }
}

// Nobody will ever ask for the result. A failure is reported.
void Core::dropResult() noexcept {
    Slot dropped;
    dropped.takeFrom(result);
    if (dropped.kind() == Slot::Kind::failure && !dead_) reportUnhandled(dropped.failure());
}

// --- The producer's end

Core::Firing Core::beginFiring(std::source_location where) {
    if (called_) {
        if (!swallowOne_) return Firing::already;
        swallowOne_ = false;
        return Firing::swallow;
    }
    called_ = true;
    firedAt_ = where;
    return Firing::fire;
}

void Core::noteFiring() {
    result.failure().addPlace(Passage::made, created_);
    result.failure().addPlace(Passage::fired, firedAt_);
}

void Core::throwAlreadyCalled() const { throw AlreadyCalledError(created_, firedAt_); }

void Core::fired() {
    ref();
    prepareRun();
    if (dead_) result.clear();
    if (result.kind() == Slot::Kind::failure && !coroutine_) noteFiring();
    run();
    unref();
}

void Core::resolverGone() noexcept {
    resolver_ = false;
    // Inside of its canceller that is how an operation is given up: cancel() goes on from there.
    if (!called_ && !dead_ && !cancellerRan_ && (handle_ || waiter_ || first_)) {
        ref();
        called_ = true;
        firedAt_ = created_;
        result.setFailure(AbandonedError(created_));
        fired();
        unref();
    }
    unref();
}

// --- The consumer's end

void Core::prepareRun() noexcept {
    Function<void(Core&)> canceller = std::move(canceller_);
    canceller = nullptr;
    if (waiter_ && !waiter_->frameAlive_) waiter_->dropReturner();
}

void Core::releaseByHandle() noexcept {
    handle_ = false;
    if (settled()) dropResult();
    unref();
}

void Core::unpause() {
    if (pauses_ == 0 || --pauses_ != 0) return;
    ref();
    run();
    unref();
}

void Core::cancel() {
    Core* innermost = this;
    while (innermost->waitingOn_) innermost = innermost->waitingOn_;
    innermost->ref();
    innermost->cancelHere();
    innermost->unref();
}

void Core::cancelHere() {
    if (frameAlive_) {  // a coroutine that is on the stack: it hears of it at its next await
        cancelAtNextAwait_ = true;
        return;
    }
    if (called_) return;
    if (canceller_ && !cancellerRan_) {
        cancellerRan_ = true;
        Function<void(Core&)> canceller = std::move(canceller_);
        try {
            canceller(*this);
        } catch (...) {
            static const Logger log("bine.defer");
            log.failure(std::current_exception(), "Unhandled error in a canceller");
        }
        if (called_) return;
    } else if (cancellerRan_) {
        return;  // cancel() from inside the canceller
    } else {
        swallowOne_ = true;
    }
    called_ = true;
    firedAt_ = created_;
    result.setFailure(CancelledError());
    fired();
}

// --- Owners

void Core::own(OwnerHook& hook) {
    if (dead_) return;
    owners_ = new CoreOwnership(*this, owners_);
    owners_->bindTo(hook);
}

void Core::dropOwners() noexcept {
    while (CoreOwnership* ownership = owners_) {
        owners_ = ownership->next;
        delete ownership;
    }
}

// Before anything ends: nothing of this chain, nor of what it waits for, runs any more.
void Core::ownerDies() noexcept {
    for (Core* core = this; core && !core->dead_; core = core->waitingOn_) core->dead_ = true;
}

// Everything from here to the innermost operation ends, and nobody in it is told.
void Core::ownerDied() noexcept {
    if (ended_) return;
    RunList list;
    // The chain of what waits for what, innermost first.
    Core* path = nullptr;
    for (Core* core = this; core && !core->ended_; core = core->waitingOn_) {
        core->ref();
        core->dead_ = true;
        core->ended_ = true;
        core->nextToEnd_ = path;
        path = core;
    }
    Core* const leaf = path;
    leaf->ref();
    while (Core* core = path) {
        path = core->nextToEnd_;
        if (core == this) leaf->endAtSource();
        core->endForOwner(list);
        core->unref();
    }
    leaf->unref();
    run(list);
}

// The operation itself is stopped: its canceller runs, and what it still says is dropped.
void Core::endAtSource() noexcept {
    dropStages();
    if (called_ || frameAlive_) return;
    ref();
    if (canceller_ && !cancellerRan_) {
        cancellerRan_ = true;
        Function<void(Core&)> canceller = std::move(canceller_);
        try {
            canceller(*this);
        } catch (...) {
            static const Logger log("bine.defer");
            log.failure(std::current_exception(), "Unhandled error in a canceller");
        }
    }
    if (!called_) {
        called_ = true;
        swallowOne_ = true;
    }
    result.clear();
    unref();
}

void Core::endForOwner(RunList& list) noexcept {
    dropStages();
    if (running_) return;  // the callback on the stack returns first
    ref();
    dropReturner();
    if (frameAlive_) {
        if (Core* inner = std::exchange(waitingOn_, nullptr)) {
            if (Core* self = std::exchange(inner->waiter_, nullptr)) self->unref();
            frame_.destroy();
            inner->unref();
        } else if (suspended_) {
            frame_.destroy();
        }
    }
    if (Core* inner = std::exchange(waitingOn_, nullptr)) {
        if (Core* self = std::exchange(inner->waiter_, nullptr)) self->unref();
        inner->unref();
    }
    result.clear();
    dropOwners();
    if (Core* outer = waiter_; outer && !outer->dead_) {
        result.setFailure(CancelledError());
        finish(list);
    }
    unref();
}

std::string Core::describe() const {
    if (waitingOn_) return "waiting on the Deferred made at " + placeText(waitingOn_->created_);
    auto& slot = const_cast<Slot&>(result);
    switch (slot.kind()) {
    case Slot::Kind::failure: return "failed with " + slot.failure().getBriefTraceback();
    case Slot::Kind::value: return slot.type() ? "fired with a value" : "fired with nothing";
    case Slot::Kind::nothing: break;
    }
    return called_ ? "its result was taken" : "not fired yet";
}

// --- Coroutines. One block: [Core, padded][frame].

static constexpr std::size_t kFrameOffset = roundUp(sizeof(Core), kAlignment);

void* Core::newFrame(std::size_t size) {
    const std::size_t whole = kFrameOffset + size;
    auto* block = static_cast<std::byte*>(poolAllocate(whole));
    ::new (static_cast<void*>(block)) Core({}, whole);
    return block + kFrameOffset;
}

Core& Core::ofFrame(void* frame) noexcept { return *std::launder(reinterpret_cast<Core*>(static_cast<std::byte*>(frame) - kFrameOffset)); }

// The frame is gone; the block goes with the last reference.
void Core::deleteFrame(void* frame) noexcept {
    Core& core = ofFrame(frame);
    core.frameAlive_ = false;
    core.unref();
}

void Core::frameStarted(std::coroutine_handle<> frame, std::source_location where) {
    frame_ = frame;
    created_ = where;
    coroutine_ = frameAlive_ = true;
    running_ = true;
    context_ = LogContext::current();
}

void Core::frameFinished() noexcept {
    called_ = true;
    running_ = suspended_ = false;
    context_ = {};
    if (dead_) result.clear();
    if (waiter_ && !waiter_->frameAlive_) waiter_->dropReturner();
    if (result.kind() == Slot::Kind::failure) result.failure().addPlace(Passage::passedTo, created_);
    frame_.destroy();  // nothing of this may be touched after it, unless somebody holds a reference
}

bool Core::awaitFrom(Core& inner) {
    if (inner.waitsFor(*this)) return false;
    // From here on the coroutine is suspended: it may be resumed, or destroyed, before this function returns.
    running_ = false;
    suspended_ = true;
    if (dead_) {  // the loop that resumed it destroys the frame; what it would wait for ends with it
        inner.ownerDies();
        inner.ownerDied();
        return true;
    }
    inner.handle_ = false;
    waitingOn_ = &inner;
    inner.ref();
    inner.waiter_ = this;
    ref();
    return true;
}

void Core::resume() {
    resumable_ = false;
    suspended_ = false;
    running_ = true;
    const LogScope scope(context_);
    frame_.resume();  // the frame may be gone now
    if (frameAlive_ && suspended_ && !dead_ && std::exchange(cancelAtNextAwait_, false)) cancel();
}

void reportUnhandled(const Failure& failure) noexcept {
    try {
        static const Logger log("bine.defer");
        log.failure(failure.exceptionPtr(), "Unhandled error in Deferred", LogLevel::critical, failure.getTraceback());
    } catch (...) {
        // There is nobody to tell.
    }
}

void throwMovedAway() { throw std::logic_error("this Deferred or Resolver was moved away"); }
void throwAlreadyGiven() { throw std::logic_error("Resolver::deferred(): the Deferred was given out before"); }

}  // namespace bine::inline v0::detail
