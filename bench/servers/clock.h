#pragma once
// Time, and work that takes a given time. C and C++.

#include <stdint.h>
#include <time.h>

static inline int64_t nowNs(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/// Keeps the processor busy: a stand-in for what an application does with a request or in a frame.
static inline void busyFor(int64_t ns) {
    if (ns <= 0) return;
    const int64_t end = nowNs() + ns;
    while (nowNs() < end) {
    }
}
