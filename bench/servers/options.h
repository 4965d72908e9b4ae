#pragma once
// The command line that all servers have: SERVER MODE [OPTIONS]. C and C++.
//
//     echo     what comes goes back
//     sink     what comes is dropped
//     writes   each 64 bytes are answered with ten writes of 20 bytes
//     --handler US          each piece that arrives (in writes: each request) keeps the processor busy
//     --frame MS --work MS  the loop paints beside serving between one SIGUSR1 and the next, and tells on SIGTERM how late the frames were
//     --window              the frames are a window's
//     --tls CERT KEY        TLS 1.3
//
// A server listens on a free port of 127.0.0.1, prints it, and serves until SIGTERM.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"

typedef enum Mode { ModeEcho, ModeSink, ModeWrites, ModeUdp, ModeUnix, ModeSpawn } Mode;

/// What a server can do beyond the three modes.
enum { CanPaint = 1, CanShowWindow = 2, CanTls = 4, CanUdpUnixSpawn = 8 };

typedef struct Options {
    Mode mode;
    int64_t handlerNs;
    int64_t frameNs; // 0: no frames
    int64_t workNs;
    int window;
    const char* certificate; // null: no TLS
    const char* key;
} Options;

static inline void refuse(const char* what) {
    fprintf(stderr, "not understood, or not to be had with this server: %s\n", what);
    exit(2);
}

static inline Mode modeCalled(const char* name, int can) {
    static const char* const names[] = {"echo", "sink", "writes", "udp", "unix", "spawn"};
    for (int mode = ModeEcho; mode <= (can & CanUdpUnixSpawn ? ModeSpawn : ModeWrites); ++mode)
        if (strcmp(name, names[mode]) == 0) return (Mode)mode;
    refuse(name);
    return ModeEcho;
}

/// Exits with 2 at what is not understood. Raises the limit of descriptors, too.
static inline Options parseOptions(int argc, char** argv, int can) {
    Options options;
    memset(&options, 0, sizeof options);
    options.workNs = 2000000;
    if (argc < 2) refuse("no mode");
    options.mode = modeCalled(argv[1], can);
    for (int i = 2; i < argc; ++i) {
        const int left = argc - 1 - i;
        if (strcmp(argv[i], "--handler") == 0 && left >= 1)
            options.handlerNs = (int64_t)(atof(argv[++i]) * 1e3);
        else if (strcmp(argv[i], "--frame") == 0 && left >= 1 && (can & CanPaint))
            options.frameNs = (int64_t)(atof(argv[++i]) * 1e6);
        else if (strcmp(argv[i], "--work") == 0 && left >= 1 && (can & CanPaint))
            options.workNs = (int64_t)(atof(argv[++i]) * 1e6);
        else if (strcmp(argv[i], "--window") == 0 && (can & CanShowWindow))
            options.window = 1;
        else if (strcmp(argv[i], "--tls") == 0 && left >= 2 && (can & CanTls)) {
            options.certificate = argv[++i];
            options.key = argv[++i];
        } else
            refuse(argv[i]);
    }
    raiseDescriptorLimit();
    return options;
}

static inline void announcePort(int port) {
    printf("%d\n", port);
    fflush(stdout);
}
