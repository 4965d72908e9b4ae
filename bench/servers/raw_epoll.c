// The limit that all servers are compared with: epoll and plain C, one system call for what needs one.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "clock.h"
#include "options.h"
#include "raw_loop.h"
#include "work.h"

static Options options;
static size_t begun[kDescriptors]; // bytes of a request that is not complete

static int opened(int fd) {
    begun[fd] = 0;
    return 1;
}

static void closed(int fd) { (void)fd; }

static int echo(int fd, const char* data, size_t size) {
    busyFor(options.handlerNs);
    sendOrKeep(fd, data, size);
    return 1;
}

static int drop(int fd, const char* data, size_t size) {
    (void)fd, (void)data, (void)size;
    busyFor(options.handlerNs);
    return 1;
}

static int answer(int fd, const char* data, size_t size) {
    (void)data;
    for (size_t requests = requestsIn(&begun[fd], size); requests > 0; --requests) {
        busyFor(options.handlerNs);
        for (int line = 0; line < kLines; ++line)
            sendOrKeep(fd, kLine, kLineSize);
    }
    return 1;
}

static int listenOnLoopback(void) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) || listen(fd, 1024)) die("listen");
    getsockname(fd, (struct sockaddr*)&address, &length);
    announcePort(ntohs(address.sin_port));
    return fd;
}

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, 0);
    const Service service = {opened, options.mode == ModeEcho ? echo : options.mode == ModeSink ? drop : answer, closed};
    serveConnections(listenOnLoopback(), &service);
}
