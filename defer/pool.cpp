#include "bine/defer/pool.h"

#include <array>
#include <new>

namespace bine::inline v0::detail {

#ifdef BINE_SANITIZED

void* poolAllocate(std::size_t size) { return ::operator new(size); }
void poolFree(void* block, std::size_t size) noexcept {
    unpoison(block, size);
    ::operator delete(block);
}

#else

namespace {

constexpr std::size_t kStep = 64;
constexpr std::size_t kLargest = 2048;
constexpr std::size_t kKept = 4096;  // blocks of one size, at the most

struct Block {
    Block* next;
};

struct Pool {
    struct Size {
        Block* first = nullptr;
        std::size_t count = 0;
    };
    std::array<Size, kLargest / kStep + 1> sizes{};
    ~Pool() {
        for (Size& size : sizes)
            while (Block* block = size.first) {
                size.first = block->next;
                ::operator delete(block);
            }
        gone = true;
    }
    static thread_local bool gone;  // Deferreds may die later than this, in other thread_local objects
};

thread_local bool Pool::gone = false;
thread_local Pool pool;

}  // namespace

void* poolAllocate(std::size_t size) {
    const std::size_t at = (size + kStep - 1) / kStep;
    if (size <= kLargest && !Pool::gone) {
        Pool::Size& list = pool.sizes[at];
        if (Block* block = list.first) {
            list.first = block->next;
            --list.count;
            return block;
        }
    }
    return ::operator new(size <= kLargest ? at * kStep : size);
}

void poolFree(void* block, std::size_t size) noexcept {
    const std::size_t at = (size + kStep - 1) / kStep;
    if (size > kLargest || Pool::gone || pool.sizes[at].count == kKept) return ::operator delete(block);
    Pool::Size& list = pool.sizes[at];
    list.first = ::new (block) Block{list.first};
    ++list.count;
}

#endif

}  // namespace bine::inline v0::detail
