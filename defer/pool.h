#pragma once
// Blocks of a few hundred bytes from a free list per thread: what Deferreds and coroutine frames are made of. Internal.
//
// Under sanitizers there are no free lists, and dead memory is poisoned: otherwise both would hide uses after the end.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BINE_SANITIZED 1
#endif
#endif

#if defined(BINE_SANITIZED) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif

namespace bine::inline v0::detail {

/// Throws std::bad_alloc.
void* poolAllocate(std::size_t size);
void poolFree(void* block, std::size_t size) noexcept;

inline void poison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) {
#ifdef ASAN_POISON_MEMORY_REGION
    ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}
inline void unpoison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) {
#ifdef ASAN_UNPOISON_MEMORY_REGION
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

}  // namespace bine::inline v0::detail
