// The load: keeps N connections in ping-pong with messages of a size, and counts the answers.
//
//     load PORT CONNECTIONS BYTES SECONDS [IDLE]     prints answers and seconds
//
// IDLE further connections are opened first and left alone.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(int port) {
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address)) {
        perror("connect");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int main(int argc, char** argv) {
    if (argc < 5) return 2;
    const int port = atoi(argv[1]);
    const int connections = atoi(argv[2]);
    const size_t size = (size_t)atol(argv[3]);
    const double seconds = atof(argv[4]);
    const int idle = argc > 5 ? atoi(argv[5]) : 0;
    char* message = calloc(1, size);
    char* answer = malloc(1 << 20);
    size_t* got = calloc((size_t)connections, sizeof *got);
    int* fds = calloc((size_t)connections, sizeof *fds);
    for (int i = 0; i < idle; ++i) dial(port);

    const int set = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; ++i) {
        fds[i] = dial(port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (unsigned)i};
        epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event);
    }
    for (int i = 0; i < connections; ++i)
        if (write(fds[i], message, size) < 0) perror("write");
    unsigned long answers = 0;
    const double start = now();
    const double end = start + seconds;
    struct epoll_event ready[256];
    double at = start;
    while (at < end) {
        const int n = epoll_wait(set, ready, 256, 100);
        for (int i = 0; i < n; ++i) {
            const unsigned c = ready[i].data.u32;
            const ssize_t r = recv(fds[c], answer, 1 << 20, MSG_DONTWAIT);
            if (r <= 0) {
                if (r < 0 && (errno == EAGAIN || errno == EINTR)) continue;
                fprintf(stderr, "the server closed a connection\n");
                return 1;
            }
            got[c] += (size_t)r;
            while (got[c] >= size) {
                got[c] -= size;
                ++answers;
                if (write(fds[c], message, size) < 0) perror("write");
            }
        }
        at = now();
    }
    printf("%lu %.6f\n", answers, at - start);
    return 0;
}
