#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../servers/clock.h"
#include "../servers/samples.h"

enum { kBatch = 256 };
static const int64_t kWarmUp = 200 * 1000 * 1000;
static const int64_t kPatience = 10LL * 1000 * 1000 * 1000;

Load load;
Connection connections[kConnections];
char received[kReceive];

static int set = -1;
static int counting;
static uint64_t progress; // of everything, so that a server that stops is seen
static uint64_t count;
static Samples latencies;

static void control(int operation, Connection* connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (set < 0) set = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(set, operation, connection->stream.fd, &event)) fail("epoll_ctl: %s", strerror(errno));
}

void watch(Connection* connection, uint32_t events) { control(EPOLL_CTL_ADD, connection, events); }
void watchAgain(Connection* connection, uint32_t events) { control(EPOLL_CTL_MOD, connection, events); }

void counted(uint64_t number, int64_t latencyNs) {
    progress += number;
    if (!counting) return;
    count += number;
    if (latencyNs >= 0) addSample(&latencies, latencyNs);
}

/// The processor time of the server, in nanoseconds: exact, where /proc has ticks.
static int64_t serverTime(void) {
    clockid_t clock;
    struct timespec t;
    if (!load.server || clock_getcpuclockid(load.server, &clock) || clock_gettime(clock, &t)) return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void report(int64_t took, int64_t serverTook) {
    sortSamples(&latencies);
    printf("{\"count\":%llu,\"seconds\":%.6f", (unsigned long long)count, (double)took / 1e9);
    if (latencies.count)
        printf(",\"p50_us\":%.1f,\"p99_us\":%.1f", percentile(&latencies, 0.5) / 1e3, percentile(&latencies, 0.99) / 1e3);
    if (load.server) printf(",\"server_cpu_s\":%.6f", (double)serverTook / 1e9);
    printf("}\n");
}

void runLoad(void (*ready)(Connection*, uint32_t)) {
    struct epoll_event events[kBatch];
    const int64_t warm = nowNs() + kWarmUp;
    int64_t start = 0, serverStart = 0, now = nowNs(), progressAt = now;
    uint64_t progressSeen = 0;
    for (;;) {
        const int n = epoll_wait(set, events, kBatch, 50);
        if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < n; ++i)
            ready(events[i].data.ptr, events[i].events);
        now = nowNs();
        if (progress != progressSeen) {
            progressSeen = progress;
            progressAt = now;
        } else if (now - progressAt > kPatience)
            fail("the server has not answered for 10 s");
        if (!counting && now >= warm) {
            counting = 1;
            start = now;
            serverStart = serverTime();
        } else if (counting && (double)(now - start) >= load.seconds * 1e9)
            break;
    }
    report(now - start, serverTime() - serverStart);
}

char* newMessage(size_t size) {
    char* message = malloc(size);
    if (!message) fail("no memory");
    for (size_t i = 0; i < size; ++i)
        message[i] = (char)(i * 131 + (i >> 8) * 17 + 7);
    return message;
}

void verify(Connection* connection, const char* expected, size_t length, size_t size) {
    const size_t looked = size < connection->unverified ? size : connection->unverified;
    if (memcmp(received, expected + length - connection->unverified, looked) != 0) fail("the server sent something else than was expected");
    connection->unverified -= looked;
}
