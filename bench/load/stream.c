#define _GNU_SOURCE
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { kSources = 200 };

static struct sockaddr_storage server;
static socklen_t serverLength;
static int type = SOCK_STREAM;

void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void setServer(const char* portOrPath, int datagrams) {
    if (datagrams) type = SOCK_DGRAM;
    if (strchr(portOrPath, '/')) {
        struct sockaddr_un* path = (struct sockaddr_un*)&server;
        if (strlen(portOrPath) >= sizeof path->sun_path) fail("%s: too long", portOrPath);
        path->sun_family = AF_UNIX;
        strcpy(path->sun_path, portOrPath);
        serverLength = sizeof *path;
        return;
    }
    struct sockaddr_in* address = (struct sockaddr_in*)&server;
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)atoi(portOrPath));
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    serverLength = sizeof *address;
}

Stream beginStream(void) {
    static unsigned source;
    const int one = 1;
    Stream stream = {.fd = socket(server.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (stream.fd < 0) fail("socket: %s", strerror(errno));
    if (server.ss_family == AF_INET) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + source++ % kSources)};
        setsockopt(stream.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one); // the port is chosen by connect(), which knows more
        if (bind(stream.fd, (struct sockaddr*)&from, sizeof from)) fail("bind: %s", strerror(errno));
        if (type == SOCK_STREAM) setsockopt(stream.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    // A UNIX socket whose listener's queue is full says EAGAIN, and is not under way.
    while (connect(stream.fd, (struct sockaddr*)&server, serverLength)) {
        if (errno == EINPROGRESS) break;
        if (errno != EAGAIN || server.ss_family != AF_UNIX) fail("connect: %s", strerror(errno));
        usleep(1000);
    }
    return stream;
}

void waitFor(Stream* stream, short events) {
    struct pollfd one = {.fd = stream->fd, .events = events};
    int n;
    while ((n = poll(&one, 1, 10000)) < 0 && errno == EINTR) {
    }
    if (n < 0) fail("poll: %s", strerror(errno));
    if (n == 0) fail("the server has not answered for 10 s");
}

void checkStream(Stream* stream) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) fail("connect: %s", strerror(error));
}
