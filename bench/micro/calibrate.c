// What the machine does today, to read the others by.
#include "measure.h"

static int64_t allocate(int64_t count, int64_t n) {
    (void)n;
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        void* block = malloc(64);
        use((int64_t)(intptr_t)block);
        free(block);
    }
    endMeasured();
    return count;
}

static int64_t lookAtClock(int64_t count, int64_t n) {
    (void)n;
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) use(readClock(CLOCK_MONOTONIC));
    endMeasured();
    return count;
}

static int64_t addTo(void* captured, int64_t value) { return *(int64_t*)captured += value; }

/// As a std::function does it: a pointer to the code, and one to what it captured.
static int64_t callIndirectly(int64_t count, int64_t n) {
    (void)n;
    int64_t sum = 0;
    struct {
        int64_t (*volatile call)(void*, int64_t);
        void* volatile captured;
    } function = {addTo, &sum};
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) use(function.call(function.captured, i));
    endMeasured();
    return count;
}

int main(int argc, char** argv) {
    static const Measure measures[] = {
        {"malloc and free", allocate, 0, 0}, {"clock_gettime", lookAtClock, 0, 0}, {"indirect call", callIndirectly, 0, 0}, {NULL, NULL, 0, 0}};
    return measureMain(argc, argv, measures);
}
