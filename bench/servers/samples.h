#pragma once
// Measured values, all of them stored: percentiles are exact. C and C++.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Samples {
    uint32_t* values; // nanoseconds; 4.3 s is the most
    size_t count;
    size_t room;
} Samples;

static inline void addSample(Samples* samples, int64_t ns) {
    if (samples->count == samples->room) {
        samples->room = samples->room ? samples->room * 2 : 1 << 16;
        samples->values = (uint32_t*)realloc(samples->values, samples->room * sizeof *samples->values);
        if (!samples->values) {
            perror("samples");
            exit(1);
        }
    }
    samples->values[samples->count++] = ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static inline int compareSamples(const void* left, const void* right) {
    const uint32_t a = *(const uint32_t*)left, b = *(const uint32_t*)right;
    return (a > b) - (a < b);
}

static inline void sortSamples(Samples* samples) {
    if (samples->count) qsort(samples->values, samples->count, sizeof *samples->values, compareSamples);
}

/// Of sorted samples, the smallest that `part` of them (0.5: the median, 1: the largest) do not exceed; in nanoseconds, 0 if there are none.
static inline double percentile(const Samples* samples, double part) {
    if (!samples->count) return 0;
    size_t rank = (size_t)(part * (double)samples->count);
    if ((double)rank < part * (double)samples->count) ++rank;
    return samples->values[rank ? rank - 1 : 0];
}
