// How a chain moves.
//
//  * A link "W waits for X" is W.inner_ = X and X.waiter_ = W, each counted, made and broken together. X's consumer is then W and nobody else, except
//    that a coroutine may await an lvalue (borrows_): then X keeps its handle, and a HandOver stage in X's chain gives the result to W.
//  * busy_: a loop has the Core on its list or is running one of its stages. Nobody else runs it then; what is added queues.
//  * Every Core that waits is kept by what it waits for; every Core that can still be fired is kept by its Resolver, every coroutine by its frame.
//  * User code (callables, their destructors, cancellers, frames) may do anything at all, so whoever calls it holds a reference and looks again afterwards.
#include "bine/defer/core.h"

#include <coroutine>
#include <stdexcept>

#include "bine/defer/core_parts.h"
#include "bine/defer/coroutine.h"
#include "bine/defer/errors.h"
#include "bine/log/context.h"
#include "bine/log/place.h"

namespace bine::inline v0::detail {

const ValueOperations voidOperations{nullptr, nullptr};
const ValueOperations failureOperations{
    [](void* to, void* from) noexcept {
        ::new (to) Failure(std::move(*static_cast<Failure*>(from)));
        static_cast<Failure*>(from)->~Failure();
    },
    [](void* room) noexcept { static_cast<Failure*>(room)->~Failure(); }};

std::string Slot::describe() const {
    if (isFailure()) return "failed with " + std::launder(reinterpret_cast<const Failure*>(room_))->getBriefTraceback();
    return operations_ == &voidOperations ? "fired with nothing" : "fired with a value";
}

static void report(const Failure& failure, std::string_view what, LogLevel level, std::source_location where) noexcept {
    std::string trace;
    try {
        if (isInternal(where)) where = failure.lastPlace();
        trace = failure.getTraceback();
    } catch (...) {  // the failure is logged without its trace
    }
    deferLogger().failure(failure.exceptionPtr(), what, level, std::move(trace), where);
}

void reportUnhandled(const Failure& failure, std::source_location created) noexcept {
    report(failure, "Unhandled error in Deferred", LogLevel::critical, created);
}

void logFailure(const Failure& failure, const std::string& what, std::source_location where) noexcept {
    report(failure, what.empty() ? std::string_view("A Deferred failed") : what, LogLevel::error, where);
}

const Logger& deferLogger() {
    static const Logger& log = *new Logger("bine.defer");
    return log;
}

void throwMisuse(const char* what) { throw std::logic_error(what); }

// --- The loop.

// The owner died: it would never run.
void Core::refuse(Stage& stage) noexcept {
    const CoreRef pin(*this);
    destroyStage(stage);
}

/// What a loop has still to run: the newest first, as recursion would.
class Core::Ready {
public:
    void push(Core& core) noexcept {
        core.retain();
        core.busy_ = true;
        core.nextReady_ = std::exchange(first_, &core);
    }
    void run() {
        while (Core* core = first_) {
            first_ = core->nextReady_;
            core->advance(*this);
            core->release();
        }
    }

private:
    Core* first_ = nullptr;
};

void Core::runLoop() {
    retain();
    busy_ = true;
    Ready ready;
    advance(ready);
    release();
    ready.run();
}

void Core::advance(Ready& ready) {
    for (;;) {
        if (killed_) {
            busy_ = false;
            return ownerDied();
        }
        if (inner_ || result.empty()) break;
        if (holding_) {
            releaseHeldStage();
            continue;
        }
        if (hasBody_) {
            if (ownersDied()) [[unlikely]]
                endDeadOwners();  // one of them may be ours, or that of what waits for this
            else
                resumeBody();
            continue;
        }
        if (pauses_ != 0) break;
        if (!first_) return endChain(ready);
        if (ownersDied()) [[unlikely]] {
            endDeadOwners();
            continue;
        }
        Stage& stage = popStage();
        if (HandOver::is(stage)) {
            if (handOver(stage, ready)) return;
            continue;
        }
        if (result.isFailure()) {
            if (stage.operations->onFailure) runErrback(stage);
        } else if (stage.operations->onValue) {
            try {
                stage.operations->onValue(stage, *this);
            } catch (...) {
                result.setFailure(caughtFailure());
                noteFailure();
            }
        }
        if (inner_ && !inner_->called_)
            hold(stage);
        else
            destroyStage(stage);
    }
    busy_ = false;
    passOnCancel();
}

void Core::runErrback(Stage& stage) {
    const Failure before = result.failure();
    try {
        stage.operations->onFailure(stage, *this);
    } catch (...) {
        Failure failure = caughtFailure();
        const bool sameAgain = failure.sameException(before);  // it keeps its places
        result.setFailure(sameAgain ? before : std::move(failure));
        if (!sameAgain) noteFailure();
    }
}

// It returned what is waited for now.
void Core::hold(Stage& stage) noexcept {
    if (!first_) last_ = &stage;
    stage.next = first_;
    first_ = &stage;
    holding_ = true;
}

// Where this Deferred was made and fired; or that the failure came here from another one.
void Core::noteFailure(bool passed) noexcept {
    if (!result.isFailure()) return;
    try {
        Failure& failure = result.failure();
        if (passed) return coroutine_ ? void() : failure.addPlace(Passage::passedTo, created_);  // a coroutine notes where it awaited
        failure.addPlace(Passage::made, created_);
        failure.addPlace(Passage::fired, fired_);
    } catch (const std::bad_alloc&) {
        // It goes without.
    }
}

void Core::resumeBody() {
    {
        LogScope scope([](void* promise) { return static_cast<PromiseBase*>(promise)->context(); }, promise_);
        std::coroutine_handle<>::from_address(frame()).resume();
    }
    if (bodyDone_) leaveBody();
}

void Core::leaveBody() {
    cancelRequested_ = false;
    destroyFrame();
    markCalled(created_);
}

// The promise's operator delete gives back the frame's reference.
void Core::destroyFrame() {
    hasBody_ = false;
    promise_ = nullptr;
    const std::coroutine_handle<> frame = std::coroutine_handle<>::from_address(this->frame());
    frame.destroy();
}

void Core::endChain(Ready& ready) {
    busy_ = false;
    Core* const waiter = std::exchange(waiter_, nullptr);
    if (!waiter) {
        if (handleGiven_ && !handle_)
            discardResult();
        else if (result.isFailure())
            noteKept();
        return;
    }
    waiter->inner_ = nullptr;
    waiter->takeOver(result);
    if (!waiter->busy_) ready.push(*waiter);
    waiter->release();
    release();  // the waiter's reference; the loop has one
}

void Core::discardResult() noexcept {
    if (result.isFailure() && !reported_)
        reportUnhandled(result.takeFailure(), created_);
    else
        result.clear();
}

// --- One chain waiting for another.

void Core::takeOver(Slot& other) noexcept {
    result.moveFrom(other);
    other.setVoid();
    noteFailure(true);
}

void Core::link(Core& inner) noexcept {
    inner_ = &inner;
    inner.waiter_ = this;
    retain();
}

// Only the end of a chain can be given away, so a ring would go from `inner` inwards to this, or from this outwards to `inner`: whichever is shorter.
// What a coroutine awaits as an lvalue does not know who waits: there, only the way inwards is left.
bool Core::wouldWaitForItself(const Core& inner) const noexcept {
    const Core* outward = this;
    for (const Core* inward = &inner; inward; inward = inward->inner_) {
        if (inward == this || outward == &inner) return true;
        if (!outward->waiter_ && !outward->lent_) return false;
        if (outward->waiter_) outward = outward->waiter_;
    }
    return false;
}

void Core::waitFor(Core& inner) {
    checkThread();
    inner.handle_ = false;
    if (inner.killed_) {
        result.setFailure(CancelledError("what was waited for died with its owner"));
        noteFailure();
        return inner.release();
    }
    if (inner.isFinal()) {
        takeOver(inner.result);
        return inner.release();
    }
    if (wouldWaitForItself(inner)) {
        deferLogger().warn("A callback returned the Deferred that it is attached to, or one that waits for that", {}, created_);
        result.setFailure(std::logic_error("a callback returned the Deferred that it is attached to, or one that waits for that: it would wait for itself"));
        noteFailure();
        return inner.release();
    }
    link(inner);
    if (killed_) return ownerDies();  // the loop ends all of it when the stage is off the stack
    leaveOutIdleWaiter();
}

// A loop written as "return again()" makes each chain wait for the next, for ever. One that does nothing but pass the result on is left out.
void Core::leaveOutIdleWaiter() noexcept {
    Core* const idle = waiter_;
    if (first_ || !idle || idle->hasBody_ || idle->handle_ || idle->busy_ || idle->killed_ || idle->pauses_ != 0 || idle->linked() ||
        idle->furtherOwners_ || idle->weakReferences_ != 1)
        return;
    if (idle->holding_ ? idle->first_->next != nullptr : idle->first_ != nullptr) return;
    Core* const outer = idle->waiter_;
    if (idle->references_ != (outer ? 2u : 1u)) return;  // a Resolver, or somebody else, still has it
    waiter_ = outer;
    idle->waiter_ = idle->inner_ = nullptr;
    handleGiven_ = true;
    if (outer) {
        outer->inner_ = this;  // with the reference that idle had
        idle->release();
    } else {
        release();
    }
    idle->release();
}

void Core::releaseHeldStage() noexcept {
    holding_ = false;
    destroyStage(popStage());
}

void HandOver::destroyAwait(Stage& stage) noexcept {
    Core* const coroutine = std::exchange(static_cast<HandOver&>(stage).target, nullptr);
    if (!coroutine) return;
    // The chain was killed, unrun.
    Core* const inner = std::exchange(coroutine->inner_, nullptr);
    coroutine->borrows_ = false;
    if (!coroutine->killed_) {
        coroutine->result.setFailure(CancelledError("what was awaited died with its owner"));
        coroutine->settle();
    }
    coroutine->release();
    if (inner) inner->release();
}

void HandOver::destroyForward(Stage& stage) noexcept {
    if (Core* const target = std::exchange(static_cast<HandOver&>(stage).target, nullptr)) target->abandon();
}

const Stage::Operations HandOver::awaiting{nullptr, nullptr, &HandOver::destroyAwait, sizeof(HandOver)};
const Stage::Operations HandOver::forwarding{nullptr, nullptr, &HandOver::destroyForward, sizeof(HandOver)};

void Core::addForward(Core& target) {
    append(*construct<HandOver>(HandOver::forwarding, target));
}

// The target goes first, as if its callback() had been called here; this chain goes on after it.
bool Core::handOver(Stage& stage, Ready& ready) {
    auto& handOver = static_cast<HandOver&>(stage);
    Core* const target = std::exchange(handOver.target, nullptr);
    if (handOver.operations == &HandOver::forwarding) {
        destroyStage(stage);
        const bool fires = forward(*target);
        if (fires) {
            ready.push(*this);
            ready.push(*target);
        }
        target->release();
        return fires;
    } else {
        destroyStage(stage);
        if (!target) return false;
        target->inner_ = nullptr;
        target->borrows_ = false;
        target->takeOver(result);
        const bool goesFirst = !target->busy_;
        if (goesFirst) {
            ready.push(*this);
            ready.push(*target);
        }
        target->release();
        release();  // the target's reference; the loop has one
        return goesFirst;
    }
}

bool Core::forward(Core& target) {
    try {
        if (!target.mayFire()) {
            result.setVoid();
            return false;
        }
    } catch (const AlreadyCalledError& error) {
        result.setFailure(error);
        noteFailure();
        return false;
    }
    target.takeOver(result);
    target.markCalled(fired_);
    return !target.busy_;
}

// --- Coroutines.

void Core::bodyBegins(PromiseBase& promise) noexcept {
    promise_ = &promise;
    hasBody_ = true;
}

void Core::start() {
    const CoreRef pin(*this);
    busy_ = true;
    std::coroutine_handle<>::from_address(frame()).resume();  // its log prefix is the one in force
    if (bodyDone_) leaveBody();
    busy_ = false;
    if (killed_) return ownerDied();
    passOnCancel();
    if (first_ || waiter_ || !handle_ || result.isFailure()) settle();  // else whoever called it has the value in hand
}

void Core::await(Core& inner, Handle handle, bool leavesNothing) {
    if (inner.killed_) {
        result.setFailure(CancelledError("what is awaited died with its owner"));
    } else if (wouldWaitForItself(inner)) {
        result.setFailure(std::logic_error("a coroutine awaits a Deferred that waits for this very coroutine: it would wait for itself"));
    }
    if (!result.empty()) {  // the loop resumes it at once
        if (handle == Handle::given) inner.dropHandle();
        return;
    }
    if (handle != Handle::given) {
        HandOver* const stage = inner.construct<HandOver>(HandOver::awaiting, *this, handle);
        retain();
        inner.retain();
        inner_ = &inner;
        borrows_ = true;
        inner.lent_ = true;
        inner.taken_ = leavesNothing;
        inner.link(*stage);
    } else {
        inner.handle_ = false;
        link(inner);
    }
    if (killed_) ownerDies();
}

// A cancel() that came while the body ran is for what it awaits next. What that makes of it finds the body suspended.
void Core::passOnCancel() {
    if (!cancelRequested_ || !inner_) return;
    cancelRequested_ = false;
    cancel();
}

}  // namespace bine::inline v0::detail
