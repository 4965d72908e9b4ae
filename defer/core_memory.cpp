// The engine: life, death, and the memory of stages.
#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <functional>

#include "bine/defer/core_parts.h"
#include "bine/defer/pool.h"

namespace bine::inline v0::detail {
namespace {

constexpr std::size_t plainArena = 200;      // six lambdas with 16 bytes of captures
constexpr std::size_t coroutineArena = 104;  // three
constexpr std::size_t frameAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
constexpr std::size_t frameOffset = (sizeof(Core) + coroutineArena + frameAlignment - 1) / frameAlignment * frameAlignment;
constexpr std::size_t plainBlock = sizeof(Core) + plainArena;

}  // namespace

/// An overflow of the arena. Stages are consumed in the order in which they were made, so the oldest chunks empty first.
struct Core::Chunk {
    Chunk* older;
    std::size_t size;
    std::size_t used;
    std::size_t live;
    std::byte* room() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    bool has(const void* place) noexcept { return place >= room() && place < room() + size; }
};

Core::Core(std::source_location created, bool coroutine) noexcept
    : coroutine_(coroutine), created_(created), promise_(nullptr), thread_(&threadMemory()) {
    poison(arena(), arenaSize());
    joinLiving();
}

Core::~Core() = default;

void Core::checkThread() const noexcept {
    assert(thread_ == &threadMemory() && "a Deferred is used on another thread than the one that made it");
}

Core* Core::make(std::source_location created) { return ::new (allocateBlock(plainBlock)) Core(created, false); }

std::size_t Core::arenaSize() const noexcept { return coroutine_ ? coroutineArena : plainArena; }

void* Core::frame() noexcept { return reinterpret_cast<std::byte*>(this) + frameOffset; }

Core& Core::ofFrame(void* frame) noexcept {
    return *std::launder(reinterpret_cast<Core*>(static_cast<std::byte*>(frame) - frameOffset));
}

void* Core::newFrame(std::size_t size) {
    Core* const core = ::new (allocateBlock(frameOffset + size)) Core({}, true);
    core->frameSize_ = static_cast<std::uint32_t>(size);
    return core->frame();
}

void Core::deleteFrame(void* frame) noexcept { ofFrame(frame).release(); }

Core::Handle Core::whoHas(const void* handle) const noexcept {
    const auto* const begin = reinterpret_cast<const std::byte*>(this) + frameOffset;
    constexpr std::less<const void*> before;
    return before(handle, begin) || !before(handle, begin + frameSize_) ? Handle::borrowed : Handle::own;
}

// Destructors of callables may drop other Deferreds, and those others: up to a depth this happens at once, beyond it one after the other.
void Core::die() noexcept {
    checkThread();
    ThreadMemory& thread = threadMemory();
    if (thread.depth >= ThreadMemory::mostDepth) {
        nextInTrash_ = std::exchange(thread.trash, this);
        return;
    }
    ++thread.depth;
    dieNow();
    emptyTrash(thread);
    --thread.depth;
}

void Core::emptyTrash(ThreadMemory& thread) noexcept {
    if (thread.depth != 1) return;
    while (Core* const core = thread.trash) {
        thread.trash = std::exchange(core->nextInTrash_, nullptr);
        if (core->alive())
            core->abandonNow();  // its Resolver is gone
        else
            core->dieNow();
    }
}

void Core::dieNow() noexcept {
    leaveLiving();
    dropOwners();
    dropCanceller();
    destroyStages();
    if (!killed_) discardResult();
    result.clear();
    while (chunks_) std::free(std::exchange(chunks_, chunks_->older));
    releaseWeakly();
}

void Core::freeBlock() noexcept {
    const std::size_t size = coroutine_ ? frameOffset + frameSize_ : plainBlock;
    unpoison(arena(), arenaSize());
    this->~Core();
    detail::freeBlock(this, size);
}

void* Core::allocateStage(std::size_t size, std::size_t alignment) {
    checkThread();
    constexpr std::size_t unit = alignof(void*);
    if (alignment > unit) throwMisuse("a callback's captures may not be aligned beyond a pointer's alignment: put them behind a pointer");
    size = (size + unit - 1) / unit * unit;
    if (arenaLive_ == 0) arenaUsed_ = 0;
    if (arenaUsed_ + size <= arenaSize()) {
        std::byte* const place = arena() + arenaUsed_;
        arenaUsed_ = static_cast<std::uint16_t>(arenaUsed_ + size);
        ++arenaLive_;
        unpoison(place, size);
        return place;
    }
    if (!chunks_ || chunks_->used + size > chunks_->size) {
        const std::size_t room = (std::max)(size, (std::min)(chunks_ ? chunks_->size * 2 : std::size_t{512}, std::size_t{1} << 20));
        auto* const chunk = static_cast<Chunk*>(std::malloc(sizeof(Chunk) + room));
        if (!chunk) throw std::bad_alloc();
        *chunk = {chunks_, room, 0, 0};
        chunks_ = chunk;
        poison(chunk->room(), room);
    }
    std::byte* const place = chunks_->room() + chunks_->used;
    chunks_->used += size;
    ++chunks_->live;
    unpoison(place, size);
    return place;
}

void Core::freeStage(void* room, std::size_t size) noexcept {
    poison(room, size);
    if (room >= arena() && room < arena() + arenaSize()) {
        --arenaLive_;
        return;
    }
    Chunk** link = &chunks_;
    while (!(*link)->has(room)) link = &(*link)->older;
    Chunk* const chunk = *link;
    if (--chunk->live != 0) return;
    if (chunk == chunks_ && chunk->older) {  // still in use for what comes
        chunk->used = 0;
        return;
    }
    *link = chunk->older;
    unpoison(chunk->room(), chunk->size);
    std::free(chunk);
}

void Core::destroyStage(Stage& stage) noexcept {
    const std::size_t size = stage.operations->size;
    stage.operations->destroy(stage);
    freeStage(&stage, size);
}

void Core::destroyStages() noexcept {
    holding_ = false;
    while (first_) destroyStage(popStage());
}

Stage& Core::popStage() noexcept {
    Stage& stage = *first_;
    first_ = stage.next;
    if (!first_) last_ = nullptr;
    stage.next = nullptr;
    return stage;
}

}  // namespace bine::inline v0::detail
