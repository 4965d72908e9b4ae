#pragma once
// The limit: level-triggered epoll in plain C that does nothing that is not needed, with Bine's receive buffer.

#include <stddef.h>

enum { kDescriptors = 1 << 16 };

/// What a server does with its connections, each known by its descriptor.
typedef struct Service {
    int (*opened)(int fd); // 0: close it again
    int (*received)(int fd, const char* data, size_t size); // 0: close it
    void (*closed)(int fd);
    int (*betweenWaits)(void); // how many milliseconds the next wait may take, -1: for ever; null: always
} Service;

/// Accepts and serves for ever. `listener` does not block.
void serveConnections(int listener, const Service* service);

/// Sends at once; what the kernel does not take is kept, and until it has left nothing is read from this peer.
void sendOrKeep(int fd, const char* data, size_t size);

/// Ends the program.
void die(const char* what);
