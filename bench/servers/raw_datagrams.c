// Echo of datagrams: recvfrom() and sendto(), until there is none.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "options.h"
#include "raw_loop.h"
#include "raw_modes.h"

static void answerAll(int fd) {
    static char datagram[64 * 1024];
    struct sockaddr_in peer;
    for (;;) {
        socklen_t length = sizeof peer;
        const ssize_t got = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr*)&peer, &length);
        if (got < 0 && errno == EAGAIN) return;
        if (got < 0) continue; // what became of an earlier answer
        sendto(fd, datagram, (size_t)got, MSG_NOSIGNAL, (struct sockaddr*)&peer, length); // or it is lost, as datagrams may be
    }
}

void serveDatagrams(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address)) die("bind");
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event)) die("epoll");
    getsockname(fd, (struct sockaddr*)&address, &length);
    announcePort(ntohs(address.sin_port));
    for (;;)
        if (epoll_wait(set, &event, 1, -1) == 1) answerAll(fd);
}
