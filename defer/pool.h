#pragma once
// What the engine keeps per thread: a free list of blocks, and what waits to die. Internal to the engine.
//
// Under sanitizers there is no free list and dead stages are poisoned.

#include <cstddef>
#include <cstdint>

#include "bine/log/sanitizer.h"

#ifdef BINE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace bine::inline v0::detail {

class Core;

struct FreeBlock {
    FreeBlock* next;
};

/// Trivially destructible, so that what dies late in the life of a thread may still use it.
struct ThreadMemory {
    static constexpr int mostDepth = 16;     // of destructors that destroy Deferreds
    static constexpr int mostBlocks = 1024;  // 400 KiB

    Core* trash = nullptr;
    int depth = 0;
    int blocks = 0;
    FreeBlock* free = nullptr;
    bool closed = false;  // the thread ends: nothing is kept any more

    Core* living = nullptr;  // the youngest first

    // Of unhandled.h.
    std::uint32_t turn = 0;
    std::uint32_t warnAfter = 0;  // turns; 0: never
};
ThreadMemory& threadMemory() noexcept;

/// Of the one size that the free list is for. Throws std::bad_alloc.
void* allocateBlock(std::size_t size);
void freeBlock(void* block) noexcept;

inline void poison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef BINE_ASAN
    __asan_poison_memory_region(memory, size);
#endif
}
inline void unpoison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef BINE_ASAN
    __asan_unpoison_memory_region(memory, size);
#endif
}

}  // namespace bine::inline v0::detail
