// Calls from other threads, and to them, with GLib.
#include <gio/gio.h>

#include "measure.h"

enum { kMostProducers = 8 };

static GMainLoop* loop;
static int64_t producers;
static int64_t each;
static int64_t left;
static GThread* threads[kMostProducers];

static void end(void) {
    endMeasured();
    g_main_loop_quit(loop);
}

static gboolean called(gpointer data) {
    (void)data;
    if (--left == 0) end();
    return G_SOURCE_REMOVE;
}

static gpointer produce(gpointer data) {
    (void)data;
    for (int64_t i = 0; i < each; ++i) g_main_context_invoke(NULL, called, NULL);
    return NULL;
}

/// Within the loop: a context that nobody runs would be run by whoever invokes.
static gboolean beginProducers(gpointer data) {
    (void)data;
    beginMeasured();
    for (int64_t i = 0; i < producers; ++i) threads[i] = g_thread_new("producer", produce, NULL);
    return G_SOURCE_REMOVE;
}

static int64_t callFrom(int64_t howMany, int64_t count) {
    producers = howMany;
    each = (count + producers - 1) / producers;
    const int64_t all = left = each * producers;
    g_idle_add(beginProducers, NULL);
    g_main_loop_run(loop);
    for (int64_t i = 0; i < producers; ++i) g_thread_join(threads[i]);
    return all;
}

static int64_t oneProducer(int64_t count, int64_t n) {
    (void)n;
    return callFrom(1, count);
}

static int64_t eightProducers(int64_t count, int64_t n) {
    (void)n;
    return callFrom(8, count);
}

static void work(GTask* task, gpointer source, gpointer data, GCancellable* cancellable) {
    (void)source, (void)data, (void)cancellable;
    g_task_return_int(task, 1);
}

static void goAndReturn(void);

static void returned(GObject* source, GAsyncResult* result, gpointer data) {
    (void)source, (void)data;
    left -= g_task_propagate_int(G_TASK(result), NULL);
    if (left == 0)
        end();
    else
        goAndReturn();
}

static void goAndReturn(void) {
    GTask* task = g_task_new(NULL, NULL, returned, NULL);
    g_task_run_in_thread(task, work);
    g_object_unref(task);
}

static gboolean beginTrips(gpointer data) {
    (void)data;
    beginMeasured();
    goAndReturn();
    return G_SOURCE_REMOVE;
}

static int64_t roundTrip(int64_t count, int64_t n) {
    (void)n;
    left = count;
    g_idle_add(beginTrips, NULL);
    g_main_loop_run(loop);
    return count;
}

int main(int argc, char** argv) {
    static const Measure measures[] = {
        {"1 producer", oneProducer, 0, 0}, {"8 producers", eightProducers, 0, 0}, {"round trip", roundTrip, 0, 0}, {NULL, NULL, 0, 0}};
    loop = g_main_loop_new(NULL, FALSE);
    return measureMain(argc, argv, measures);
}
