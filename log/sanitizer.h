#pragma once
// BINE_ASAN and BINE_SANITIZED: defined if the address sanitizer, or any, watches this translation unit. Under them nothing is kept for reuse and dead
// memory is made unusable, since both would hide uses after the end.

#if defined(__SANITIZE_ADDRESS__)
#define BINE_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define BINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BINE_ASAN 1
#elif __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BINE_SANITIZED 1
#endif
#endif

#ifdef BINE_ASAN
#define BINE_SANITIZED 1
#endif
