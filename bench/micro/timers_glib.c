// Timeouts of GLib. Each pass of its loop looks at all that live, so fewer do.
#include <glib.h>

#include "timers.h"

static gboolean never(gpointer data) {
    (void)data;
    abort();
}

static guint* liveTimeouts(int64_t n) {
    static guint* live;
    if (live) return live;
    live = g_new(guint, n);
    for (int64_t i = 0; i < n; ++i) live[i] = g_timeout_add((guint)farDelayMs(), never, NULL);
    return live;
}

static int64_t scheduleAndCancel(int64_t count, int64_t n) {
    liveTimeouts(n);
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        g_source_remove(g_timeout_add((guint)farDelayMs(), never, NULL));
        if (i % kPerPass == 0) g_main_context_iteration(NULL, FALSE);
    }
    endMeasured();
    return count;
}

static gboolean countFiring(gpointer fired) {
    ++*(int64_t*)fired;
    return G_SOURCE_REMOVE;
}

static int64_t scheduleAndFire(int64_t count, int64_t n) {
    (void)count;
    int64_t fired = 0;
    beginMeasured();
    for (int64_t i = 0; i < n; ++i) g_timeout_add((guint)nearDelayMs(), countFiring, &fired);
    endMeasured();
    waitUntilAllAreDue();
    beginMeasured();
    while (fired < n) g_main_context_iteration(NULL, FALSE);
    endMeasured();
    return n;
}

static int64_t reset(int64_t count, int64_t n) {
    guint* live = liveTimeouts(n);
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        guint* timeout = &live[busyOne(i, n)];
        g_source_remove(*timeout);
        *timeout = g_timeout_add(2 * kHourMs, never, NULL);
        if (i % kPerPass == 0) g_main_context_iteration(NULL, FALSE);
    }
    endMeasured();
    return count;
}

static int64_t pass(int64_t count, int64_t n) {
    liveTimeouts(n);
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) g_main_context_iteration(NULL, FALSE);
    endMeasured();
    return count;
}

int main(int argc, char** argv) {
    static const Measure measures[] = {{"schedule and cancel", scheduleAndCancel, 10000, 0},
                                       {"schedule and fire", scheduleAndFire, 10000, 0},
                                       {"reset", reset, 10000, 0},
                                       {"pass", pass, 10000, 0},
                                       {NULL, NULL, 0, 0}};
    return measureMain(argc, argv, measures);
}
