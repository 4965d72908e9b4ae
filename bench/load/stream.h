#pragma once
// A connection to the server: TCP, a UNIX socket, UDP, and TLS over TCP when built with BENCH_TLS. Does not block once it is open.

#include <stddef.h>
#include <sys/types.h>

#ifdef BENCH_TLS
#include <openssl/ssl.h>
#endif

typedef struct Stream {
    int fd;
#ifdef BENCH_TLS
    SSL* ssl;
#endif
} Stream;

/// Where the server is: a port of 127.0.0.1, or the path of a UNIX socket. `datagrams`: UDP.
void setServer(const char* portOrPath, int datagrams);

/// Connects; does not wait for that to end. From 127.0.0.x in rotation, so that ports last however often it is called.
Stream beginStream(void);
/// Connects, and waits until it is connected.
Stream openStream(void);
/// Ends the program if the connection failed.
void checkStream(Stream* stream);
void closeStream(Stream* stream);

/// How many bytes were sent or came: 0 if none can now. The end of the connection ends the program: no server closes one that is in use.
size_t sendSome(Stream* stream, const void* data, size_t size);
size_t receiveSome(Stream* stream, void* data, size_t size);

/// Waits for what the others do not wait for; 10 s at most.
void waitFor(Stream* stream, short events);

/// Prints why, and exits with 1.
_Noreturn void fail(const char* format, ...);
