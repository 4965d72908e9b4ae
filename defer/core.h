#pragma once
// Core: the untyped engine under Deferred, Resolver and coroutines. Internal.
//
// One Core carries one chain: its stages, its current result, who fires it and who consumes it. It belongs to the thread that made it (asserted in
// debug builds), is counted (not atomically), and lives in one block with an arena for its stages: one allocation for a chain that waits, from a free
// list. A coroutine's frame lies behind its Core in one block.
//
// The loop that runs a chain is local to the call that fired it, so that a nested firing runs at once; what waits for a chain is continued in the
// same loop, so that the stack stays flat. A Core that runs is never entered again. core.cpp has the invariants.

#include <cstddef>
#include <cstdint>
#include <new>
#include <source_location>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "bine/defer/failure.h"
#include "bine/defer/owner.h"
#include "bine/defer/poison.h"
#include "bine/defer/result.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

class Core;
class PromiseBase;
struct HandOver;
struct ThreadMemory;

struct ValueOperations {
    void (*relocate)(void* to, void* from) noexcept;
    void (*destroy)(void*) noexcept;
};

BINE_EXPORT extern const ValueOperations voidOperations;     // "nothing", Twisted's None
BINE_EXPORT extern const ValueOperations failureOperations;  // a Failure, in any chain

/// The current result of a chain: none yet, a value, or a Failure. Values of up to 32 bytes that move without throwing are inside, others in a box.
class BINE_EXPORT Slot {
public:
    Slot() noexcept = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() { clear(); }

    bool empty() const noexcept { return !operations_; }
    bool isFailure() const noexcept { return operations_ == &failureOperations; }

    template <class T, class V>
    void setValue(V&& value) {
        clear();
        if constexpr (isInside<T>)
            ::new (static_cast<void*>(room_)) T(std::forward<V>(value));
        else
            ::new (static_cast<void*>(room_)) T*(new T(std::forward<V>(value)));
        operations_ = &operationsOf<T>;
    }
    void setVoid() noexcept {
        clear();
        operations_ = &voidOperations;
    }
    void setFailure(Failure failure) noexcept {
        clear();
        ::new (static_cast<void*>(room_)) Failure(std::move(failure));
        operations_ = &failureOperations;
    }
    template <class T>
    void set(Result<T>&& result) {
        if (result.isFailure())
            setFailure(result.failure());
        else if constexpr (std::is_void_v<T>)
            setVoid();
        else
            setValue<T>(*std::move(result));
    }

    /// REQUIRES: holds a T. Afterwards the slot is empty, whatever T's move does.
    template <class T>
    T take() {
        if constexpr (isInside<T> && std::is_trivially_destructible_v<T>) {
            operations_ = nullptr;
            return std::move(value<T>());
        } else {
            const Emptier emptier{*this};
            return std::move(value<T>());
        }
    }
    /// REQUIRES: isFailure().
    Failure& failure() noexcept { return *std::launder(reinterpret_cast<Failure*>(room_)); }
    Failure takeFailure() noexcept {
        const Emptier emptier{*this};
        return std::move(failure());
    }
    /// REQUIRES: holds a T or a failure.
    template <class T>
    Result<T> takeResult() {
        if (isFailure()) return takeFailure();
        if constexpr (std::is_void_v<T>) {
            clear();
            return {};
        } else {
            return take<T>();
        }
    }
    void moveFrom(Slot& other) noexcept {
        clear();
        operations_ = std::exchange(other.operations_, nullptr);
        if (operations_ && operations_->relocate) operations_->relocate(room_, other.room_);
    }
    void clear() noexcept {
        const ValueOperations* const old = std::exchange(operations_, nullptr);
        if (old && old->destroy) old->destroy(room_);
    }
    /// Holds nothing that has a destructor.
    bool isTrivial() const noexcept { return !operations_ || !operations_->destroy; }
    /// REQUIRES: not empty.
    std::string describe() const;

private:
    static constexpr std::size_t roomSize = 32;
    template <class T>
    static constexpr bool isInside =
        sizeof(T) <= roomSize && alignof(T) <= alignof(void*) && std::is_nothrow_move_constructible_v<T>;

    struct Emptier {
        Slot& slot;
        ~Emptier() { slot.clear(); }
    };

    template <class T>
    static T& in(void* room) noexcept {
        if constexpr (isInside<T>)
            return *std::launder(static_cast<T*>(room));
        else
            return **std::launder(static_cast<T**>(room));
    }
    template <class T>
    T& value() noexcept {
        return in<T>(room_);
    }
    template <class T>
    static void relocate(void* to, void* from) noexcept {
        if constexpr (isInside<T>) {
            ::new (to) T(std::move(in<T>(from)));
            in<T>(from).~T();
        } else {
            ::new (to) T*(&in<T>(from));
        }
    }
    template <class T>
    static void destroy(void* room) noexcept {
        if constexpr (isInside<T>)
            in<T>(room).~T();
        else
            delete &in<T>(room);
    }
    template <class T>
    static constexpr ValueOperations operationsOf{&relocate<T>, std::is_trivially_destructible_v<T> && isInside<T> ? nullptr : &destroy<T>};

    const ValueOperations* operations_ = nullptr;
    alignas(void*) std::byte room_[roomSize];
};

/// One level of a chain: a callback, an errback, or both. What is derived from it has the callables.
struct Stage {
    struct Operations {
        /// Takes the core's result, a value or a failure, and leaves another, or calls core.waitFor(). What it throws becomes the result.
        using Run = void (*)(Stage&, Core&);
        Run onValue;  // null: values pass by; of a canceller: called without a result
        Run onFailure;
        void (*destroy)(Stage&) noexcept;  // null: nothing to do
        std::size_t size;
    };
    explicit Stage(const Operations& table) noexcept : operations(&table) {}
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    const Operations* operations;
    Stage* next = nullptr;
};

class BINE_EXPORT Core final : private Owned {
public:
    /// One reference, the caller's.
    static Core* make(std::source_location created);
    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) die();
    }
    void retainWeakly() noexcept { ++weakReferences_; }
    void releaseWeakly() noexcept {
        if (--weakReferences_ == 0) freeBlock();
    }
    /// False once nothing but weak references is left.
    bool alive() const noexcept { return references_ != 0; }

    Slot result;

    // --- The chain. These run what can run.

    template <class S, class... A>
    void add(A&&... arguments) {
        append(*construct<S>(std::forward<A>(arguments)...));
    }
    /// Hands the result on to `target`, whose producer's role (and a reference) goes to the stage; what is left here is nothing.
    void addForward(Core& target);
    /// Within a stage, as its last act: this chain goes on with the result of `inner`, whose handle's role and reference are given.
    void waitFor(Core& inner);
    /// The chain has its result and nothing is left to do or wait for.
    bool isFinal() const noexcept {
        return !result.empty() && !first_ && !busy_ && !inner_ && !hasBody_ && pauses_ == 0 && !killed_;
    }
    bool isKilled() const noexcept { return killed_; }
    /// The value was taken by an await; what is left is nothing, of no type.
    bool isTaken() const noexcept { return taken_; }
    /// REQUIRES: isFinal(). Moves the result out, for a handle that stays.
    template <class T>
    Result<T> takeFinal() {
        Result<T> taken = result.takeResult<T>();
        result.setVoid();
        taken_ = !std::is_void_v<T>;
        return taken;
    }
    /// As if a value had been taken.
    void becomeTaken() noexcept {
        result.setVoid();
        taken_ = true;
    }

    // --- The producer's end.

    /// False if this firing is to be dropped silently. Throws AlreadyCalledError.
    bool mayFire() {
        checkThread();
        return (!called_ && !killed_) || mayFireAgain();
    }
    /// `result` has been set after mayFire(). A failure notes the place. The caller holds a reference.
    void fire(std::source_location where);
    bool called() const noexcept { return called_; }
    template <class S, class... A>
    void setCanceller(A&&... arguments) {
        canceller_ = construct<S>(std::forward<A>(arguments)...);
    }
    /// The Resolver is gone: AbandonedError if somebody waits. Takes its reference.
    void abandon() noexcept;

    // --- The consumer's end.

    /// A handle comes to be (it has a reference too), or goes (and takes it along).
    void giveHandle() noexcept { handle_ = handleGiven_ = true; }
    void dropHandle() noexcept;
    void cancel();
    void pause() noexcept { ++pauses_; }
    void unpause();
    void own(OwnerHook& hook);
    /// Calls call(object, link) for the link to each owner of this chain, and of all that would die with it: what waits for this. Each link is linked.
    void eachOwner(void (*call)(void*, Owned&), void* object);
    /// What `hook` owns ends with this chain's owner, too; until it is set to null.
    void setDependents(OwnerHook* hook) noexcept { dependents_ = hook; }
    std::string describe() const;

    // --- All that live on this thread; see unhandled.h and trace.h.

    enum class Kept : std::uint8_t { thoseOfSomeTurns, all };
    static void tellOfKept(Kept which) noexcept;
    static std::string describeLiving(std::size_t most);

    // --- Coroutines.

    /// Memory for a frame; its Core lies in front. The frame has a reference until deleteFrame().
    static void* newFrame(std::size_t size);
    static void deleteFrame(void* frame) noexcept;
    static Core& ofFrame(void* frame) noexcept;
    void bodyBegins(PromiseBase& promise) noexcept;
    /// Runs the body up to its first suspension, and what then can run.
    void start();
    void bodyEnds() noexcept { bodyDone_ = true; }
    /// Of a Deferred that is awaited: the coroutine was given the handle, has it among its variables, or somebody else has it.
    enum class Handle : std::uint8_t { given, own, borrowed };
    /// Where the handle is that a coroutine awaits and that was not given to it.
    Handle whoHas(const void* handle) const noexcept;
    /// The body suspends until `inner` has its result, which then is in `result`. `leavesNothing`: a handle that stays is of another type then.
    void await(Core& inner, Handle handle, bool leavesNothing);
    void setCreated(std::source_location created) noexcept { created_ = created; }
    std::source_location created() const noexcept { return created_; }

private:
    friend struct HandOver;
    friend class FurtherOwner;
    class Ready;
    struct Chunk;

    Core(ThreadMemory& thread, std::source_location created, bool coroutine) noexcept;
    ~Core() override;

    template <class S, class... A>
    S* construct(A&&... arguments) {
        static_assert(alignof(S) <= alignof(void*), "a callback's captures may not be aligned beyond a pointer's alignment: put them behind a pointer");
        void* const room = allocateStage(sizeof(S));
        if constexpr (std::is_nothrow_constructible_v<S, A...>) {
            return ::new (room) S(std::forward<A>(arguments)...);
        } else {
            try {
                return ::new (room) S(std::forward<A>(arguments)...);
            } catch (...) {
                freeStage(room, sizeof(S));
                throw;
            }
        }
    }
    void* allocateStage(std::size_t size) {
        checkThread();
        if (arenaLive_ == 0) arenaUsed_ = 0;
        if (arenaUsed_ + size > arenaSize_) return allocateInChunk(size);
        std::byte* const place = arena() + arenaUsed_;
        arenaUsed_ = static_cast<std::uint16_t>(arenaUsed_ + size);
        ++arenaLive_;
        unpoison(place, size);
        return place;
    }
    void freeStage(void* room, std::size_t size) noexcept {
        poison(room, size);
        if (static_cast<std::size_t>(static_cast<std::byte*>(room) - arena()) < arenaSize_)
            --arenaLive_;
        else
            freeInChunk(room);
    }
    void* allocateInChunk(std::size_t size);
    void freeInChunk(void* room) noexcept;
    void destroyStage(Stage& stage) noexcept {
        const std::size_t size = stage.operations->size;
        if (stage.operations->destroy) stage.operations->destroy(stage);
        freeStage(&stage, size);
    }
    void destroyStages() noexcept;
    void append(Stage& stage) {
        if (killed_) return refuse(stage);
        link(stage);
        settle();
    }
    void refuse(Stage& stage) noexcept;
    void link(Stage& stage) noexcept {
        (first_ ? last_->next : first_) = &stage;
        last_ = &stage;
    }
    Stage& popStage() noexcept {
        Stage& stage = *first_;
        first_ = stage.next;
        return stage;
    }

    bool mayFireAgain();
    void settle() {
        if (!busy_ && !result.empty() && !inner_) runLoop();
    }
    void runLoop();
    void advance(Ready& ready);
    void runErrback(Stage& stage);
    void hold(Stage& stage) noexcept;
    bool handOver(Stage& stage, Ready& ready);  // true: this is on the list again, behind the target
    bool forward(Core& target);
    void resumeBody();
    void leaveBody();
    void passOnCancel();
    void destroyFrame();
    void endChain(Ready& ready);
    void link(Core& inner) noexcept;
    bool wouldWaitForItself(const Core& inner) const noexcept;
    void leaveOutIdleWaiter() noexcept;
    void releaseHeldStage() noexcept;
    void noteFailure(bool passed = false) noexcept;
    void takeOver(Slot& other) noexcept;
    void markCalled(std::source_location where);
    [[gnu::noinline]] void dropWhatFired() noexcept;
    void discardResult() noexcept;
    void joinLiving() noexcept;
    void leaveLiving() noexcept;
    void noteKept() noexcept;
    bool isAwaited() const noexcept;
    void describeTo(std::string& text) const;
    bool isKeptFailure() noexcept { return isFinal() && !waiter_ && result.isFailure(); }

    void cancelHere();
    void runCanceller() noexcept;
    void dropCanceller() noexcept;
    void abandonNow() noexcept;

    void ownerDies() noexcept override;
    void ownerDied() override;
    void end();
    bool takeBorrowed() noexcept;
    HandOver& borrowed() noexcept;
    void stopBorrowing() noexcept;
    static void endOutward(Core& innermost);
    Core* outward() noexcept;
    void dropOwners() noexcept;

    void die() noexcept;
    [[gnu::noinline]] void dieInTurn() noexcept;
    static void emptyTrash(ThreadMemory& thread) noexcept;
    void dieNow() noexcept;
    bool isBare() const noexcept;
    void freeBlock() noexcept;
    std::size_t blockSize() const noexcept;
    void checkThread() const noexcept {
#ifndef NDEBUG
        checkThreadNow();
#endif
    }
    void checkThreadNow() const noexcept;
    /// An owner died on another thread, and that has not been carried out: user code waits until it is.
    bool ownersDied() const noexcept;
    std::byte* arena() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    void* frame() noexcept;

    std::uint32_t references_ = 1;
    std::uint32_t weakReferences_ = 1;  // all strong ones together count as one
    std::uint32_t pauses_ = 0;
    std::uint16_t arenaSize_;
    std::uint16_t arenaUsed_ = 0;
    std::uint16_t arenaLive_ = 0;  // stages in the arena
    bool coroutine_ : 1;
    bool called_ : 1 = false;
    bool swallowOne_ : 1 = false;       // cancelled without a canceller: one late firing is dropped
    bool cancelling_ : 1 = false;       // the canceller is on the stack
    bool cancelRequested_ : 1 = false;  // while the body ran: the next await is cancelled
    bool busy_ : 1 = false;             // a loop runs it, or has it on its list
    bool handle_ : 1 = false;           // the consumer is a handle
    bool handleGiven_ : 1 = false;
    bool holding_ : 1 = false;  // first_ returned what is waited for: done, but its callable must live
    bool taken_ : 1 = false;
    bool borrows_ : 1 = false;  // inner_ keeps its handle: a HandOver stage of it gives us the result
    bool lent_ : 1 = false;     // somebody has borrowed this
    bool hasBody_ : 1 = false;  // a coroutine whose frame lives
    bool bodyDone_ : 1 = false;
    bool killed_ : 1 = false;  // its owner died: nothing of it may run
    bool ending_ : 1 = false;
    bool warned_ : 1 = false;    // of this failure, early
    bool reported_ : 1 = false;  // this failure, before the end
    std::uint32_t failedIn_ = 0;  // turn in which the failure came to rest here
    std::uint32_t frameSize_ = 0;
    Core* nextLiving_;
    Core** thisLiving_;       // where the list points at this
    Core* nextReady_;         // while on a loop's list
    Core* waiter_ = nullptr;  // who waits for this; counted
    Core* inner_ = nullptr;   // what this waits for; counted
    Stage* first_ = nullptr;
    Stage* last_;  // if there is a first
    Stage* canceller_ = nullptr;
    Chunk* chunks_ = nullptr;  // stages that the arena had no room for
    class FurtherOwner* furtherOwners_ = nullptr;
    OwnerHook* dependents_ = nullptr;
    std::source_location created_;
    std::source_location fired_;
    union {
        PromiseBase* promise_;  // of a coroutine that has a frame
        Core* nextInTrash_;
    };
    ThreadMemory& thread_;
};

/// A counted pointer.
class CoreRef {
public:
    CoreRef() noexcept = default;
    explicit CoreRef(Core& core) noexcept : core_(&core) { core.retain(); }
    CoreRef(const CoreRef&) = delete;
    CoreRef& operator=(const CoreRef&) = delete;
    ~CoreRef() {
        if (core_) core_->release();
    }
    void reset(Core& core) noexcept {
        core.retain();
        if (Core* old = std::exchange(core_, &core)) old->release();
    }

private:
    Core* core_ = nullptr;
};

BINE_EXPORT void reportUnhandled(const Failure& failure, std::source_location created) noexcept;
/// At level error, with `what` in front.
BINE_EXPORT void logFailure(const Failure& failure, const std::string& what, std::source_location where) noexcept;
[[noreturn]] BINE_EXPORT void throwMisuse(const char* what);

}  // namespace bine::inline v0::detail
