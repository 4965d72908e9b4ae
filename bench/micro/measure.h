#pragma once
// How the programs of bench/micro measure, and the command line that all of them have. C and C++.
//
//     PROGRAM MEASURE [N]    prints {"ns": time per operation, "count": operations, "cpu_ns": processor time of the process per operation}
//     PROGRAM --list         prints the names of the measures
//
// N is how many timers live, how long a chain is, and so on; each measure has one of its own that is taken otherwise. A run takes about 0.2 s,
// unless what is measured has a size of its own; the fastest of five counts, since the machine may have others to serve.

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Measure {
    const char* name;
    /// Does the operation at least `count` times, or as often as it likes if it comes in one size; returns how often. What is between
    /// beginMeasured() and endMeasured() counts; there may be several such stretches.
    int64_t (*run)(int64_t count, int64_t n);
    int64_t n;    // unless the command line has another; 0: takes none
    int64_t most; // larger ones are refused: the library ends there; 0: no such end
} Measure;

typedef struct Times {
    int64_t wall;
    int64_t cpu; // of all threads
} Times;

static Times measured;

static inline int64_t readClock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/// On the same thread as endMeasured().
static inline void beginMeasured(void) {
    measured.cpu -= readClock(CLOCK_PROCESS_CPUTIME_ID);
    measured.wall -= readClock(CLOCK_MONOTONIC);
}

static inline void endMeasured(void) {
    measured.wall += readClock(CLOCK_MONOTONIC);
    measured.cpu += readClock(CLOCK_PROCESS_CPUTIME_ID);
}

/// The optimiser has to believe that somebody looks at it.
static inline void use(int64_t value) { __asm__ volatile("" : : "r"(value) : "memory"); }

/// 0 to below `end`, the same numbers in each process.
static inline int64_t randomBelow(int64_t end) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) * (uint64_t)end >> 31);
}

static inline int64_t runOnce(const Measure* measure, int64_t count, int64_t n) {
    measured.wall = measured.cpu = 0;
    return measure->run(count, n);
}

/// How often makes 0.2 s.
static inline int64_t findCount(const Measure* measure, int64_t n) {
    const int64_t wanted = 200000000;
    int64_t count = 1;
    for (;;) {
        const int64_t done = runOnce(measure, count, n);
        if (measured.wall >= wanted / 4) return measured.wall >= wanted ? done : done * wanted / measured.wall;
        if (done < count) return done; // it comes in one size
        count = done * 8;
    }
}

static inline void printFastest(const Measure* measure, int64_t n) {
    const int64_t count = findCount(measure, n);
    Times best = {INT64_MAX, 0};
    int64_t operations = 0;
    for (int repetition = 0; repetition < 5; ++repetition) {
        const int64_t done = runOnce(measure, count, n);
        if ((double)measured.wall / (double)done >= (double)best.wall / (operations ? (double)operations : 1)) continue;
        best = measured;
        operations = done;
    }
    printf("{\"ns\": %.2f, \"count\": %" PRId64 ", \"cpu_ns\": %.2f}\n", (double)best.wall / (double)operations, operations,
           (double)best.cpu / (double)operations);
}

static inline int refuse(const char* program, const char* why) {
    fprintf(stderr, "%s: %s; usage: %s MEASURE [N], or --list\n", program, why, program);
    return 2;
}

/// The program. `measures` ends with one that has no name.
static inline int measureMain(int argc, char** argv, const Measure* measures) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (; measures->name; ++measures) puts(measures->name);
        return 0;
    }
    if (argc != 2 && argc != 3) return refuse(argv[0], "one measure at a time");
    while (measures->name && strcmp(measures->name, argv[1]) != 0) ++measures;
    if (!measures->name) return refuse(argv[0], "there is no such measure");
    int64_t n = measures->n;
    if (argc == 3) {
        char* end = NULL;
        n = strtoll(argv[2], &end, 10);
        if (n <= 0 || *end) return refuse(argv[0], "N is a positive number");
        if (measures->n == 0) return refuse(argv[0], "this measure takes no N");
        if (measures->most != 0 && n > measures->most) return refuse(argv[0], "N is more than this library can do");
    }
    printFastest(measures, n);
    return 0;
}
