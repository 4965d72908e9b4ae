#pragma once
// How long processes are started, and what is printed then: {"count":N,"seconds":S}.

#include <stdio.h>

#include "clock.h"

static const char kSpawned[] = "/bin/true";
static const int64_t kSpawning = 5000000000;

typedef struct SpawnReport {
    int64_t start;
    long count;
} SpawnReport;

static inline SpawnReport beginSpawning(void) {
    const SpawnReport report = {nowNs(), 0};
    return report;
}

/// One more has ended: whether to go on. At the end it prints.
static inline int countSpawned(SpawnReport* report) {
    const int64_t took = nowNs() - report->start;
    ++report->count;
    if (took < kSpawning) return 1;
    printf("{\"count\":%ld,\"seconds\":%.6f}\n", report->count, (double)took / 1e9);
    fflush(stdout);
    return 0;
}
