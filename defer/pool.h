#pragma once
// What the engine keeps per thread: free lists of blocks, what waits to die, and whether an owner died elsewhere. Internal to the engine.
//
// Under sanitizers there are no free lists, and dead stages are poisoned.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "bine/log/sanitizer.h"

namespace bine::inline v0::detail {

class Core;

struct FreeBlock {
    FreeBlock* next;
};

/// Trivially destructible, so that what dies late in the life of a thread may still use it.
struct ThreadMemory {
    static constexpr int mostDepth = 16;     // of destructors that destroy Deferreds
    // Sizes are rounded up to a multiple of `unit`, less what malloc() adds to each block. So nothing is lost to its rounding, and a DelayedCall is not
    // larger than what glibc takes back without joining it with its neighbours, which for a million of them takes longer than to run them.
    static constexpr std::size_t unit = 64;
    static constexpr std::size_t mallocHeader = 8;
    static constexpr std::size_t sizes = 16;
    static constexpr std::size_t mostKept = 512 * 1024;  // bytes in free lists

    /// Throws std::bad_alloc.
    void* allocate(std::size_t size) {
#ifndef BINE_SANITIZED
        const std::size_t list = listOf(size);
        if (list < sizes) {
            FreeBlock* const block = free[list];
            if (!block) return ::operator new(sizeIn(list));
            free[list] = block->next;
            kept -= sizeIn(list);
            return block;
        }
#endif
        return ::operator new(size);
    }
    /// `size`: as it was allocated.
    void release(void* block, [[maybe_unused]] std::size_t size) noexcept {
#ifndef BINE_SANITIZED
        const std::size_t list = listOf(size);
        if (list < sizes && kept < mostKept && keepsBlocks()) {
            free[list] = ::new (block) FreeBlock{free[list]};
            kept += sizeIn(list);
            return;
        }
#endif
        ::operator delete(block);
    }

    Core* trash = nullptr;
    int depth = 0;
    std::size_t kept = 0;
    FreeBlock* free[sizes] = {};
    enum class Life : std::uint8_t { fresh, open, closed } life = Life::fresh;  // closed: the thread ends, nothing is kept any more

    Core* living = nullptr;  // the youngest first

    // Of owner_home.h. Other threads set it, under the home's lock; cleared when all of these deaths have been carried out.
    std::atomic<bool> ownersDied{false};
    std::uint32_t threadId = 0;

    // Of unhandled.h.
    std::uint32_t turn = 0;
    std::uint32_t warnAfter = 0;  // turns; 0: never

private:
    static constexpr std::size_t listOf(std::size_t size) noexcept { return (size + mallocHeader - 1) / unit; }
    static constexpr std::size_t sizeIn(std::size_t list) noexcept { return (list + 1) * unit - mallocHeader; }
    bool keepsBlocks() noexcept { return life == Life::open || (life == Life::fresh && open()); }
    bool open() noexcept;
};

ThreadMemory& findThreadMemory() noexcept;
/// Where it is, once it was found: a place that is reached without a call, and small enough for the little room that a program has for such places.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadMemory* threadMemoryFound;
inline ThreadMemory& threadMemory() noexcept { return threadMemoryFound ? *threadMemoryFound : findThreadMemory(); }
/// Whether there is something for endDeadOwners() (owner.h).
inline bool ownersDied() noexcept { return threadMemory().ownersDied.load(std::memory_order_acquire); }

}  // namespace bine::inline v0::detail
