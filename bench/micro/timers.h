#pragma once
// What all programs that measure timers do alike. C and C++. Times are in milliseconds, as most libraries count them.
//
//     schedule and cancel   a timeout of an operation that ends at once, N others live
//     schedule and fire     N timers over one second, all due when the loop runs; the second itself does not count
//     reset                 N idle timeouts live, a hundred of them belong to connections that are busy: one of these is pushed back
//     pass                  one pass of the loop that finds nothing to do, N live
//
// The loop is passed once for each thousand operations, as it would be in a server: some libraries read the clock there, or clean up.

#include "measure.h"

enum { kPerPass = 1000, kBusy = 100, kSpreadMs = 1000, kHourMs = 3600 * 1000 };

/// One to two hours: it does not come.
static inline int64_t farDelayMs(void) { return kHourMs + randomBelow(kHourMs); }

static inline int64_t nearDelayMs(void) { return 1 + randomBelow(kSpreadMs - 1); }

static inline void waitUntilAllAreDue(void) {
    const struct timespec time = {kSpreadMs / 1000, 20000000};
    nanosleep(&time, NULL);
}

/// Which of `live` belongs to the `i`th busy connection.
static inline int64_t busyOne(int64_t i, int64_t live) { return live < kBusy ? i % live : i % kBusy * (live / kBusy); }
