#pragma once
// What the engine keeps per thread: free lists of blocks, and what waits to die. Internal to the engine.
//
// Under sanitizers there are no free lists, and dead stages are poisoned.

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
    static constexpr std::size_t unit = 64;  // sizes are rounded up to this
    static constexpr std::size_t sizes = 16;
    static constexpr std::size_t mostKept = 512 * 1024;  // bytes in free lists

    Core* trash = nullptr;
    int depth = 0;
    std::size_t kept = 0;
    FreeBlock* free[sizes] = {};
    bool closed = false;  // the thread ends: nothing is kept any more

    Core* living = nullptr;  // the youngest first

    // Of unhandled.h.
    std::uint32_t turn = 0;
    std::uint32_t warnAfter = 0;  // turns; 0: never
};
ThreadMemory& threadMemory() noexcept;

/// Throws std::bad_alloc.
void* allocateBlock(std::size_t size);
/// `size`: as it was allocated.
void freeBlock(void* block, std::size_t size) noexcept;

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
