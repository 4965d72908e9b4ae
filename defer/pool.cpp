#include "bine/defer/pool.h"

#include <new>

namespace bine::inline v0::detail {

ThreadMemory& threadMemory() noexcept {
    static thread_local constinit ThreadMemory memory;
    return memory;
}

#ifdef BINE_SANITIZED

void* allocateBlock(std::size_t size) { return ::operator new(size); }
void freeBlock(void* block, std::size_t) noexcept { ::operator delete(block); }

#else

namespace {

constexpr std::size_t listOf(std::size_t size) noexcept { return (size - 1) / ThreadMemory::unit; }
constexpr std::size_t sizeIn(std::size_t list) noexcept { return (list + 1) * ThreadMemory::unit; }

/// Empties the free lists when their thread ends.
struct Closer {
    ~Closer() {
        ThreadMemory& memory = threadMemory();
        memory.closed = true;
        for (FreeBlock*& free : memory.free)
            while (FreeBlock* const block = free) {
                free = block->next;
                ::operator delete(static_cast<void*>(block));
            }
    }
};

}  // namespace

void* allocateBlock(std::size_t size) {
    const std::size_t list = listOf(size);
    if (list >= ThreadMemory::sizes) return ::operator new(size);
    ThreadMemory& memory = threadMemory();
    FreeBlock* const block = memory.free[list];
    if (!block) return ::operator new(sizeIn(list));
    memory.free[list] = block->next;
    memory.kept -= sizeIn(list);
    return block;
}

void freeBlock(void* block, std::size_t size) noexcept {
    const std::size_t list = listOf(size);
    ThreadMemory& memory = threadMemory();
    if (list >= ThreadMemory::sizes || memory.kept >= ThreadMemory::mostKept || memory.closed) return ::operator delete(block);
    static thread_local Closer closer;
    static_cast<void>(closer);
    memory.free[list] = ::new (block) FreeBlock{memory.free[list]};
    memory.kept += sizeIn(list);
}

#endif

}  // namespace bine::inline v0::detail
