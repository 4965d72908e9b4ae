#include "bine/defer/pool.h"

#include <new>

namespace bine::inline v0::detail {

ThreadMemory& threadMemory() noexcept {
    static thread_local constinit ThreadMemory memory;
    return memory;
}

#ifdef BINE_SANITIZED

void* allocateBlock(std::size_t size) { return ::operator new(size); }
void freeBlock(void* block) noexcept { ::operator delete(block); }

#else

namespace {

/// Empties the free list when its thread ends.
struct Closer {
    ~Closer() {
        ThreadMemory& memory = threadMemory();
        memory.closed = true;
        while (FreeBlock* block = memory.free) {
            memory.free = block->next;
            ::operator delete(static_cast<void*>(block));
        }
    }
};

}  // namespace

void* allocateBlock(std::size_t size) {
    ThreadMemory& memory = threadMemory();
    if (FreeBlock* const block = memory.free) {
        memory.free = block->next;
        --memory.blocks;
        return block;
    }
    return ::operator new(size);
}

void freeBlock(void* block) noexcept {
    ThreadMemory& memory = threadMemory();
    if (memory.blocks >= ThreadMemory::mostBlocks || memory.closed) return ::operator delete(block);
    static thread_local Closer closer;
    static_cast<void>(closer);
    memory.free = ::new (block) FreeBlock{memory.free};
    ++memory.blocks;
}

#endif

}  // namespace bine::inline v0::detail
