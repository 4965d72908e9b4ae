// Timers of libuv. Its users have the handle as a part of something else, and start and stop it.
#include <uv.h>

#include "timers.h"

static uv_loop_t loop;

static void never(uv_timer_t* timer) {
    (void)timer;
    abort();
}

static uv_timer_t* liveTimers(int64_t n) {
    static uv_timer_t* live;
    if (live) return live;
    live = malloc((size_t)n * sizeof *live);
    for (int64_t i = 0; i < n; ++i) {
        uv_timer_init(&loop, &live[i]);
        uv_timer_start(&live[i], never, (uint64_t)farDelayMs(), 0);
    }
    return live;
}

static int64_t scheduleAndCancel(int64_t count, int64_t n) {
    liveTimers(n);
    static uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        uv_timer_start(&timer, never, (uint64_t)farDelayMs(), 0);
        uv_timer_stop(&timer);
        if (i % kPerPass == 0) uv_run(&loop, UV_RUN_NOWAIT);
    }
    endMeasured();
    uv_close((uv_handle_t*)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    return count;
}

static void countFiring(uv_timer_t* timer) { ++*(int64_t*)timer->data; }

static int64_t scheduleAndFire(int64_t count, int64_t n) {
    (void)count;
    uv_timer_t* timers = malloc((size_t)n * sizeof *timers);
    int64_t fired = 0;
    beginMeasured();
    for (int64_t i = 0; i < n; ++i) {
        uv_timer_init(&loop, &timers[i]);
        timers[i].data = &fired;
        uv_timer_start(&timers[i], countFiring, (uint64_t)nearDelayMs(), 0);
    }
    endMeasured();
    waitUntilAllAreDue();
    beginMeasured();
    while (fired < n) uv_run(&loop, UV_RUN_NOWAIT);
    endMeasured();
    for (int64_t i = 0; i < n; ++i) uv_close((uv_handle_t*)&timers[i], NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    free(timers);
    return n;
}

static int64_t reset(int64_t count, int64_t n) {
    uv_timer_t* live = liveTimers(n);
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        uv_timer_start(&live[busyOne(i, n)], never, 2 * kHourMs, 0);
        if (i % kPerPass == 0) uv_run(&loop, UV_RUN_NOWAIT);
    }
    endMeasured();
    return count;
}

static int64_t pass(int64_t count, int64_t n) {
    liveTimers(n);
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    endMeasured();
    return count;
}

int main(int argc, char** argv) {
    static const Measure measures[] = {{"schedule and cancel", scheduleAndCancel, 1000000, 0},
                                       {"schedule and fire", scheduleAndFire, 1000000, 0},
                                       {"reset", reset, 10000, 0},
                                       {"pass", pass, 10000, 0},
                                       {NULL, NULL, 0, 0}};
    uv_loop_init(&loop);
    return measureMain(argc, argv, measures);
}
