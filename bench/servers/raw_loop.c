#define _GNU_SOURCE
#include "raw_loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kBuffer = 256 * 1024, kBatch = 256 };

/// What a peer has not taken yet. Most connections never have any.
typedef struct Unsent {
    size_t at, end, room;
    char bytes[];
} Unsent;

static char buffer[kBuffer];
static Unsent* unsent[kDescriptors];
static int set;
static int listener;
static int full; // no descriptor is left, and the listener is out of the set until there is

void die(const char* what) {
    perror(what);
    exit(1);
}

static void watch(int operation, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(set, operation, fd, &event)) die("epoll_ctl");
}

static void keep(int fd, const char* data, size_t size) {
    Unsent* kept = unsent[fd];
    const size_t have = kept ? kept->end : 0;
    if (!kept || kept->room - have < size) {
        const size_t room = (have + size) * 2;
        kept = realloc(kept, sizeof *kept + room);
        if (!kept) die("realloc");
        if (!unsent[fd]) {
            kept->at = 0;
            watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
        }
        kept->room = room;
        unsent[fd] = kept;
    }
    memcpy(kept->bytes + have, data, size);
    kept->end = have + size;
}

/// How many bytes have left; -1 if none ever will.
static ssize_t sendSome(int fd, const char* data, size_t size) {
    size_t done = 0;
    while (done < size) {
        const ssize_t sent = send(fd, data + done, size - done, MSG_NOSIGNAL);
        if (sent >= 0)
            done += (size_t)sent;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)done;
}

void sendOrKeep(int fd, const char* data, size_t size) {
    if (unsent[fd]) {
        keep(fd, data, size);
        return;
    }
    const ssize_t sent = sendSome(fd, data, size);
    // A peer that is gone is met again by recv(), which closes.
    if (sent >= 0 && (size_t)sent < size) keep(fd, data + sent, size - (size_t)sent);
}

static void closeConnection(int fd, const Service* service) {
    service->closed(fd);
    free(unsent[fd]);
    unsent[fd] = NULL;
    close(fd);
    if (full) {
        full = 0;
        watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    }
}

static void acceptOne(const Service* service) {
    const int one = 1;
    const int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0) {
        // Level-triggered, it would be reported again and again.
        if (errno == EMFILE || errno == ENFILE) {
            full = 1;
            watch(EPOLL_CTL_DEL, listener, 0);
        }
        return;
    }
    if (peer >= kDescriptors) {
        close(peer);
        return;
    }
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // a UNIX socket has none
    watch(EPOLL_CTL_ADD, peer, EPOLLIN);
    if (!service->opened(peer)) closeConnection(peer, service);
}

static void sendKept(int fd, const Service* service) {
    Unsent* kept = unsent[fd];
    const ssize_t sent = sendSome(fd, kept->bytes + kept->at, kept->end - kept->at);
    if (sent < 0) {
        closeConnection(fd, service);
        return;
    }
    kept->at += (size_t)sent;
    if (kept->at < kept->end) return;
    free(kept);
    unsent[fd] = NULL;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void receive(int fd, const Service* service) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0) {
        if (!service->received(fd, buffer, (size_t)got)) closeConnection(fd, service);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        closeConnection(fd, service);
}

void serveConnections(int listening, const Service* service) {
    struct epoll_event ready[kBatch];
    listener = listening;
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) die("epoll_create1");
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        const int n = epoll_wait(set, ready, kBatch, service->betweenWaits ? service->betweenWaits() : -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; ++i) {
            const int fd = ready[i].data.fd;
            if (fd == listener)
                acceptOne(service);
            else if (unsent[fd])
                sendKept(fd, service);
            else
                receive(fd, service);
        }
    }
}
