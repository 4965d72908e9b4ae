#pragma once
// What servers and load agree on: in `writes`, a request of 64 bytes is answered with ten lines, each its own write. C and C++.

#include <stddef.h>

enum { kRequestSize = 64, kLines = 10, kLineSize = 20 };
static const char kLine[] = "0123456789abcdefghi\n";

/// How many requests are complete now that `size` bytes more have come; `*begun` keeps the bytes of the one that is not.
static inline size_t requestsIn(size_t* begun, size_t size) {
    const size_t all = *begun + size;
    *begun = all % kRequestSize;
    return all / kRequestSize;
}
