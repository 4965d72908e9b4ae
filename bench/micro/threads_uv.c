// Calls from other threads, and to them, with libuv: an async handle that tells of a queue under a lock, as everybody writes it who uses it.
#include <uv.h>

#include "measure.h"

enum { kMostProducers = 8 };

typedef struct Call {
    struct Call* next;
    void (*run)(void);
} Call;

static uv_loop_t loop;
static uv_async_t wakeUp;
static uv_mutex_t lock;
static Call* first;
static Call** last = &first;

static int64_t producers;
static int64_t each;
static int64_t left;
static uv_thread_t threads[kMostProducers];

static void callFromThread(void (*run)(void)) {
    Call* call = malloc(sizeof *call);
    call->next = NULL;
    call->run = run;
    uv_mutex_lock(&lock);
    *last = call;
    last = &call->next;
    uv_mutex_unlock(&lock);
    uv_async_send(&wakeUp);
}

static void runCalls(uv_async_t* async) {
    (void)async;
    uv_mutex_lock(&lock);
    Call* call = first;
    first = NULL;
    last = &first;
    uv_mutex_unlock(&lock);
    while (call) {
        Call* next = call->next;
        call->run();
        free(call);
        call = next;
    }
}

static void end(void) {
    endMeasured();
    uv_stop(&loop);
}

static void called(void) {
    if (--left == 0) end();
}

static void produce(void* data) {
    (void)data;
    for (int64_t i = 0; i < each; ++i) callFromThread(called);
}

static void beginProducers(void) {
    beginMeasured();
    for (int64_t i = 0; i < producers; ++i) uv_thread_create(&threads[i], produce, NULL);
}

static int64_t callFrom(int64_t howMany, int64_t count) {
    producers = howMany;
    each = (count + producers - 1) / producers;
    const int64_t all = left = each * producers;
    callFromThread(beginProducers);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int64_t i = 0; i < producers; ++i) uv_thread_join(&threads[i]);
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

static void work(uv_work_t* request) { request->data = NULL; }

static void goAndReturn(void);

static void returned(uv_work_t* request, int status) {
    (void)status;
    free(request);
    if (--left == 0)
        end();
    else
        goAndReturn();
}

static void goAndReturn(void) { uv_queue_work(&loop, malloc(sizeof(uv_work_t)), work, returned); }

static void beginTrips(void) {
    beginMeasured();
    goAndReturn();
}

static int64_t roundTrip(int64_t count, int64_t n) {
    (void)n;
    left = count;
    callFromThread(beginTrips);
    uv_run(&loop, UV_RUN_DEFAULT);
    return count;
}

int main(int argc, char** argv) {
    static const Measure measures[] = {
        {"1 producer", oneProducer, 0, 0}, {"8 producers", eightProducers, 0, 0}, {"round trip", roundTrip, 0, 0}, {NULL, NULL, 0, 0}};
    uv_loop_init(&loop);
    uv_mutex_init(&lock);
    uv_async_init(&loop, &wakeUp, runCalls);
    return measureMain(argc, argv, measures);
}
