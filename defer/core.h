#pragma once
// Core: the untyped engine behind Deferred, Resolver and coroutines. Internal; one thread, asserted by none of the fast paths.
//
// One Core carries one chain: its stages (a callback and an errback are one stage), its current result, and the one consumer at its end: a handle, an outer Core that
// waits, a coroutine that waits, or nobody. A chain runs in a RunList on the stack of the call that fired it: nested firings run at once, in lists of their own, and
// what is waited for is continued in the same list, so that the stack stays flat.

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include "bine/defer/failure.h"
#include "bine/defer/function.h"
#include "bine/log/context.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

class Core;
class OwnerHook;
class CoreOwnership;

/// How to move and destroy the value in a Slot.
struct ValueOperations {
    void (*relocate)(void* from, void* to) noexcept;
    void (*destroy)(void*) noexcept;
    const std::type_info* type;
};

/// The current result of a chain: nothing, a value of any type, or a Failure. Values of at most 32 bytes live inside, larger ones on the heap.
class Slot {
public:
    Slot() = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() { clear(); }

    enum class Kind : std::uint8_t { nothing, value, failure };
    Kind kind() const noexcept { return kind_; }

    template <class T, class... A>
    void emplace(A&&... arguments) {
        clear();
        if constexpr (std::is_void_v<T>) {
            operations_ = nullptr;
        } else if constexpr (kInside<T>) {
            ::new (static_cast<void*>(room_)) T(std::forward<A>(arguments)...);
            operations_ = &inside<T>;
        } else {
            ::new (static_cast<void*>(room_)) T*(new T(std::forward<A>(arguments)...));
            operations_ = &outside<T>;
        }
        kind_ = Kind::value;
    }
    void setFailure(Failure failure) noexcept {
        clear();
        ::new (static_cast<void*>(room_)) Failure(std::move(failure).orNoException());
        kind_ = Kind::failure;
    }
    /// REQUIRES: kind() is value, of type T.
    template <class T>
    T& value() noexcept {
        if constexpr (kInside<T>)
            return *std::launder(reinterpret_cast<T*>(room_));
        else
            return **std::launder(reinterpret_cast<T**>(room_));
    }
    Failure& failure() noexcept { return *std::launder(reinterpret_cast<Failure*>(room_)); }
    void clear() noexcept {
        const Kind kind = std::exchange(kind_, Kind::nothing);
        if (kind == Kind::failure)
            failure().~Failure();
        else if (kind == Kind::value && operations_)
            operations_->destroy(room_);
    }
    void takeFrom(Slot& other) noexcept {
        clear();
        kind_ = std::exchange(other.kind_, Kind::nothing);
        operations_ = other.operations_;
        if (kind_ == Kind::failure) {
            ::new (static_cast<void*>(room_)) Failure(std::move(other.failure()));
            other.failure().~Failure();
        } else if (kind_ == Kind::value && operations_) {
            operations_->relocate(other.room_, room_);
        }
    }
    const std::type_info* type() const noexcept { return kind_ == Kind::value && operations_ ? operations_->type : nullptr; }

private:
    static constexpr std::size_t kRoom = 32;
    template <class T>
    static constexpr bool kInside = sizeof(T) <= kRoom && alignof(T) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<T>;
    template <class T>
    static constexpr ValueOperations inside{[](void* from, void* to) noexcept {
                                                ::new (to) T(std::move(*static_cast<T*>(from)));
                                                static_cast<T*>(from)->~T();
                                            },
                                            [](void* self) noexcept { static_cast<T*>(self)->~T(); }, &typeid(T)};
    template <class T>
    static constexpr ValueOperations outside{[](void* from, void* to) noexcept { ::new (to) T*(*static_cast<T**>(from)); },
                                             [](void* self) noexcept { delete *static_cast<T**>(self); }, &typeid(T)};

    alignas(std::max_align_t) std::byte room_[kRoom];
    const ValueOperations* operations_ = nullptr;
    Kind kind_ = Kind::nothing;
};

/// Chains that have something to run, newest first; on the stack of a firing call.
struct RunList {
    Core* first = nullptr;
    void push(Core& core) noexcept;
};

/// One level of a chain: a callback, an errback, or both. The callable follows in the derived class.
struct Stage {
    Stage* next = nullptr;
    std::uint32_t size = 0;
    virtual ~Stage() = default;
    /// Takes the core's result and leaves a new one there, or makes the core wait for another (Core::waitFor). Throws nothing.
    virtual void run(Core& core, RunList& list) = 0;
};

class BINE_EXPORT Core {
public:
    static Core* make(std::source_location created);
    void ref() noexcept { ++references_; }
    void unref() noexcept;

    // --- The chain.

    template <class S, class... A>
    void add(A&&... arguments) {
        Stage* stage = ::new (allot(sizeof(S), alignof(S))) S(std::forward<A>(arguments)...);
        stage->size = sizeof(S);
        append(stage);
    }
    /// Whether the chain has its result, and nothing holds it back.
    bool settled() const noexcept {
        return dead_ || (result.kind() != Slot::Kind::nothing && !first_ && !running_ && pauses_ == 0 && !waitingOn_);
    }
    /// Moves the result of a settled chain out; CancelledError if its owner died.
    void takeResult(Slot& slot) noexcept;
    /// From within a stage: this chain goes on with the result of `inner`, whose handle's reference and consumer's role pass over.
    void waitFor(Core& inner);
    /// From a coroutine's await: the coroutine of `this` resumes when `inner` has its result. `inner` keeps its reference with the awaiter.
    /// False if `inner` itself waits for this coroutine: it would wait for ever.
    bool awaitFrom(Core& inner);

    // --- The producer's end.

    enum class Firing { fire, swallow, already };
    /// Whether the producer may fire now. `swallow`: a cancelled operation's one late result; drop it.
    Firing beginFiring(std::source_location where);
    /// The result is in `result`: runs everything that can run.
    void fired();
    /// Firing without running: releases what waits for the firing only.
    void prepareRun() noexcept;
    void setCanceller(Function<void(Core&)> canceller) { canceller_ = std::move(canceller); }
    bool called() const noexcept { return called_; }
    void resolverGone() noexcept;
    void holdByResolver() noexcept { resolver_ = true; }

    // --- The consumer's end.

    void holdByHandle() noexcept { handle_ = true; }
    void releaseByHandle() noexcept;
    void cancel();
    void pause() noexcept { ++pauses_; }
    void unpause();
    void own(OwnerHook& hook);
    std::string describe() const;
    std::source_location created() const noexcept { return created_; }
    [[noreturn]] void throwAlreadyCalled() const;

    Slot result;

    // --- Coroutines.

    static void* newFrame(std::size_t size);
    static void deleteFrame(void* frame) noexcept;
    static Core& ofFrame(void* frame) noexcept;
    void frameStarted(std::coroutine_handle<> frame, std::source_location where);
    void frameFinished() noexcept;

    void run();
    static void run(RunList& list);

private:
    friend class CoreOwnership;
    friend struct RunList;
    struct Chunk;
    struct Trash;
    static constexpr std::size_t kArena = 240;  // six lambdas with two pointers each

    explicit Core(std::source_location created, std::size_t size) noexcept : created_(created), blockSize_(size) {}
    ~Core();

    void* allot(std::size_t size, std::size_t alignment);
    void append(Stage* stage);
    void dispose(Stage* stage) noexcept;
    void advance(RunList& list);
    void resume();
    void finish(RunList& list) noexcept;
    void dropReturner() noexcept;
    void skipIdleWaiters() noexcept;
    bool waitsFor(const Core& other) const noexcept;
    void dropResult() noexcept;
    void cancelHere();
    void ownerDies() noexcept;
    void ownerDied() noexcept;
    void noteFiring();
    void endAtSource() noexcept;
    void endForOwner(RunList& list) noexcept;
    void dropStages() noexcept;
    void dropOwners() noexcept;
    void releaseChunks() noexcept;

    std::uint32_t references_ = 1;
    std::uint32_t pauses_ = 0;
    bool called_ = false;
    bool swallowOne_ = false;
    bool cancellerRan_ = false;
    bool running_ = false;       // a stage of it is on the stack, or it waits in a RunList with more to run
    bool handle_ = false;        // the consumer is a handle
    bool resolver_ = false;      // somebody may still fire it
    bool dead_ = false;          // its owner died
    bool ended_ = false;         // ownerDied() has been here
    bool coroutine_ = false;
    bool resumable_ = false;     // the awaited result is there
    bool frameAlive_ = false;
    bool suspended_ = false;
    bool cancelAtNextAwait_ = false;
    Stage* first_ = nullptr;
    Stage* last_ = nullptr;
    Stage* returner_ = nullptr;  // the stage that returned what is waited for
    Core* waitingOn_ = nullptr;  // counted
    Core* waiter_ = nullptr;     // counted: whoever waits for this
    Core* nextToRun_ = nullptr;
    Core* nextToEnd_ = nullptr;
    CoreOwnership* owners_ = nullptr;
    Function<void(Core&)> canceller_;
    std::source_location created_;
    std::source_location firedAt_{};
    std::coroutine_handle<> frame_{};
    LogContext context_;
    Chunk* chunks_ = nullptr;
    std::size_t blockSize_;
    std::uint32_t live_ = 0;     // stages in the arena or chunks
    std::uint32_t used_ = 0;     // bytes of the arena
    alignas(std::max_align_t) std::byte arena_[kArena];
};

inline void RunList::push(Core& core) noexcept {
    core.ref();
    core.running_ = true;
    core.nextToRun_ = first;
    first = &core;
}

}  // namespace bine::inline v0::detail
