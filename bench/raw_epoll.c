// The limit: an echo server on level-triggered epoll in plain C, with the same receive buffer as Bine's. It does nothing that is not needed.
//
//     raw_epoll PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kBuffer = 256 * 1024, kBatch = 256 };

static char buffer[kBuffer];

static void die(const char* what) {
    perror(what);
    exit(1);
}

static void sendAll(int fd, const char* data, ssize_t size) {
    while (size > 0) {
        const ssize_t sent = send(fd, data, (size_t)size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN || errno == EINTR) continue;
            return;
        }
        data += sent;
        size -= sent;
    }
}

int main(int argc, char** argv) {
    const int port = argc > 1 ? atoi(argv[1]) : 0;
    const int one = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 1024)) die("listen");
    socklen_t length = sizeof address;
    getsockname(listener, (struct sockaddr*)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    const int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    struct epoll_event ready[kBatch];
    for (;;) {
        const int n = epoll_wait(set, ready, kBatch, -1);
        for (int i = 0; i < n; ++i) {
            const int fd = ready[i].data.fd;
            if (fd == listener) {
                const int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (peer < 0) continue;
                setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = peer;
                epoll_ctl(set, EPOLL_CTL_ADD, peer, &event);
                continue;
            }
            const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got > 0)
                sendAll(fd, buffer, got);
            else if (got == 0 || (errno != EAGAIN && errno != EINTR))
                close(fd);
        }
    }
}
