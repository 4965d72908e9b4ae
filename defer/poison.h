#pragma once
// Memory that must not be touched, told to the address sanitizer; nothing without it. Internal.

#include <cstddef>

#include "bine/log/sanitizer.h"

#ifdef BINE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace bine::inline v0::detail {

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
