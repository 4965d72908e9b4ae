#pragma once
// Where the server of UNIX sockets listens: a path of its own, which goes when SIGTERM comes.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char socketPath[64];

static inline void removeSocketPath(int number) {
    (void)number;
    unlink(socketPath);
    _exit(0);
}

/// Short enough for any address.
static inline const char* makeSocketPath(void) {
    snprintf(socketPath, sizeof socketPath, "/tmp/bine-bench-%ld", (long)getpid());
    unlink(socketPath);
    signal(SIGTERM, removeSocketPath);
    return socketPath;
}

static inline void announcePath(void) {
    printf("%s\n", socketPath);
    fflush(stdout);
}
