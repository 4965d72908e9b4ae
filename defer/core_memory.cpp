// The engine: life, death, and the memory of stages.
#include <algorithm>
#include <cstdlib>
#include <functional>

#include "bine/defer/core_parts.h"
#include "bine/defer/errors.h"
#include "bine/defer/home_thread.h"
#include "bine/defer/pool.h"
#include "bine/log/place.h"

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

Core::Core(ThreadMemory& thread, std::source_location created, bool coroutine) noexcept
    : arenaSize_(coroutine ? coroutineArena : plainArena), coroutine_(coroutine), created_(created), thread_(thread) {
    poison(arena(), arenaSize_);
    joinLiving();
}

Core::~Core() = default;

void Core::checkThreadNow() const noexcept {
    if (&thread_ != &threadMemory()) wrongThread("A Deferred" + placeAfter("made at", created_) + " was used", thread_.threadId);
}

Core* Core::make(std::source_location created) {
    ThreadMemory& thread = threadMemory();
    return ::new (thread.allocate(plainBlock)) Core(thread, created, false);
}

std::size_t Core::blockSize() const noexcept { return coroutine_ ? frameOffset + frameSize_ : plainBlock; }

void* Core::frame() noexcept { return reinterpret_cast<std::byte*>(this) + frameOffset; }

Core& Core::ofFrame(void* frame) noexcept {
    return *std::launder(reinterpret_cast<Core*>(static_cast<std::byte*>(frame) - frameOffset));
}

void* Core::newFrame(std::size_t size) {
    ThreadMemory& thread = threadMemory();
    Core* const core = ::new (thread.allocate(frameOffset + size)) Core(thread, {}, true);
    core->frameSize_ = static_cast<std::uint32_t>(size);
    return core->frame();
}

void Core::deleteFrame(void* frame) noexcept { ofFrame(frame).release(); }

Core::Handle Core::whoHas(const void* handle) const noexcept {
    const auto* const begin = reinterpret_cast<const std::byte*>(this) + frameOffset;
    constexpr std::less<const void*> before;
    return before(handle, begin) || !before(handle, begin + frameSize_) ? Handle::borrowed : Handle::own;
}

void Core::die() noexcept {
    checkThread();
    if (!isBare()) return dieInTurn();
    leaveLiving();
    unpoison(arena(), arenaSize_);
    thread_.release(this, blockSize());
}

// Destructors of callables may drop other Deferreds, and those others: up to a depth this happens at once, beyond it one after the other.
void Core::dieInTurn() noexcept {
    ThreadMemory& thread = thread_;  // this may be gone
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

// Nothing of it has a destructor to run.
bool Core::isBare() const noexcept {
    return !first_ && !canceller_ && !chunks_ && !furtherOwners_ && weakReferences_ == 1 && result.isTrivial() && !linked();
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
    ThreadMemory& thread = thread_;
    const std::size_t size = blockSize();
    unpoison(arena(), arenaSize_);
    this->~Core();
    thread.release(this, size);
}

void* Core::allocateInChunk(std::size_t size) {
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

void Core::freeInChunk(void* room) noexcept {
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

void Core::destroyStages() noexcept {
    holding_ = false;
    while (first_) destroyStage(popStage());
}
}  // namespace bine::inline v0::detail
