// The other side: what asks the servers, on one thread and on epoll.
//
//     load KIND PORT CONNECTIONS SIZE SECONDS [IDLE [PID]]
//
//     echo    each connection sends SIZE bytes, waits for as many, sends again
//     udp     the same with datagrams
//     writes  the same with requests of 64 bytes and answers of 200
//     bulk    each connection has pieces of SIZE under way, 256 KiB in all; counts the bytes that come back
//     sink    each connection sends pieces of SIZE, all together 2 GiB/s; counts the bytes sent
//     churn   CONNECTIONS at once connect, exchange a byte and close; counts connections
//     hold    opens CONNECTIONS, says so, and waits for SIGTERM
//
// load_tls is the same over TLS 1.3. PORT may be the path of a UNIX socket. IDLE connections are opened first and made sure of. PID is the
// server's: then the result has the processor time it used meanwhile, too. With SECONDS 0 each line of the standard input says for how long it is to run;
// in between it waits, and so does the server.
//
// Prints {"count":N,"seconds":S,"p50_us":..,"p99_us":..,"server_cpu_s":..}, the latencies in closed loops only. Exits with 1 if the server
// closes a connection, answers with the wrong bytes, or not at all for 10 s.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../servers/limits.h"
#include "../servers/work.h"
#include "kinds.h"
#include "run.h"

static char* tenLines(void) {
    char* lines = malloc(kLines * kLineSize);
    for (int i = 0; lines && i < kLines; ++i)
        memcpy(lines + i * kLineSize, kLine, kLineSize);
    return lines;
}

static int is(const char* kind) { return strcmp(load.kind, kind) == 0; }

int main(int argc, char** argv) {
    if (argc < 6) fail("load KIND PORT CONNECTIONS SIZE SECONDS [IDLE [PID]]");
    load.kind = argv[1];
    load.connections = atoi(argv[3]);
    load.size = (size_t)atol(argv[4]);
    load.seconds = atof(argv[5]);
    load.idle = argc > 6 ? atoi(argv[6]) : 0;
    load.server = argc > 7 ? atoi(argv[7]) : 0;
    if (load.connections < 0 || load.connections > kConnections || load.size < 1) fail("CONNECTIONS or SIZE is out of range");
    raiseDescriptorLimit();
    setServer(argv[2], is("udp"));

    if (is("writes"))
        openIdle(load.idle, kRequestSize, kLines * kLineSize);
    else if (is("sink"))
        openIdle(load.idle, 0, 0);
    else
        openIdle(load.idle, 1, 1);

    if (is("echo") || is("udp")) {
        const char* message = newMessage(load.size);
        runClosedLoop(message, load.size, message, load.size);
    } else if (is("writes"))
        runClosedLoop(newMessage(kRequestSize), kRequestSize, tenLines(), kLines * kLineSize);
    else if (is("bulk"))
        runBulk();
    else if (is("sink"))
        runSink();
    else if (is("churn"))
        runChurn();
    else if (is("hold")) {
        openIdle(load.connections, 1, 1);
        printf("{\"held\":%d}\n", load.connections);
        fflush(stdout);
        pause();
    } else
        fail("no kind '%s'", load.kind);
}
