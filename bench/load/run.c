#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../servers/clock.h"
#include "../servers/samples.h"

enum { kBatch = 256 };
static const int64_t kWarmUp = 200 * 1000 * 1000;
static const int64_t kWarmUpOfSlice = 10 * 1000 * 1000; // the caches' only
static const int64_t kPatience = 10LL * 1000 * 1000 * 1000;
static const int64_t kRest = 1000 * 1000; // it sleeps for that long, not just between two requests
static const int64_t kNeverRests = 1000 * 1000 * 1000;

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

/// The processor time of the server, in nanoseconds. Of a process that is running it is that of the kernel's last tick, up to 4 ms ago: to be asked at rest.
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

static void serveUntil(int64_t end, void (*ready)(Connection*, uint32_t)) {
    struct epoll_event events[kBatch];
    int64_t now = nowNs(), progressAt = now;
    uint64_t progressSeen = progress;
    while (now < end) {
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
    }
}

static int serverSleeps(void) {
    static int stat = -1;
    char text[256];
    if (stat < 0) {
        snprintf(text, sizeof text, "/proc/%d/stat", load.server);
        stat = open(text, O_RDONLY | O_CLOEXEC);
    }
    const ssize_t size = pread(stat, text, sizeof text - 1, 0);
    if (size <= 0) fail("the server's process is gone");
    text[size] = '\0';
    const char* name = strrchr(text, ')'); // then a space, and the state
    return name && name[1] && name[2] == 'S';
}

/// The server has done what it was asked and sleeps. Since when; or now, if it never does.
static int64_t waitUntilRest(void) {
    const int64_t giveUp = nowNs() + kNeverRests;
    int64_t since = 0;
    for (int64_t now = nowNs(); load.server && now < giveUp; usleep(100), now = nowNs()) {
        if (!serverSleeps())
            since = 0;
        else if (!since)
            since = now;
        else if (now - since >= kRest)
            return since;
    }
    return nowNs();
}

/// From rest to rest: what was served, how long that took, and what it cost are of the same requests. Those whose answers wait unread at the end are as many as
/// waited at the beginning.
static void measure(double seconds, int64_t warmUp, void (*ready)(Connection*, uint32_t)) {
    serveUntil(nowNs() + warmUp, ready);
    waitUntilRest();
    counting = 1;
    count = 0;
    latencies.count = 0;
    const int64_t start = nowNs(), serverStart = serverTime();
    serveUntil(start + (int64_t)(seconds * 1e9), ready);
    const int64_t end = waitUntilRest();
    report(end - start, serverTime() - serverStart);
    counting = 0;
}

int silentOnes(void) {
    int number = 0;
    for (int i = 0; i < load.connections; ++i)
        number += connections[i].unverified != 0;
    return number;
}

void waitForAnswers(void (*ready)(Connection*, uint32_t)) {
    for (const int64_t end = nowNs() + kPatience; silentOnes() && nowNs() < end;)
        serveUntil(nowNs() + 1000 * 1000, ready);
    if (silentOnes()) fail("%d of %d connections had no answer within 10 s", silentOnes(), load.connections);
}

void runLoad(void (*ready)(Connection*, uint32_t)) {
    if (load.seconds > 0) {
        measure(load.seconds, kWarmUp, ready);
        return;
    }
    for (double seconds; scanf("%lf", &seconds) == 1;) {
        measure(seconds, kWarmUpOfSlice, ready);
        fflush(stdout);
    }
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
