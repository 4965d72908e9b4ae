// The limit that all servers are compared with: epoll and plain C, one system call for what needs one.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"
#include "frame.h"
#include "options.h"
#include "raw_loop.h"
#include "raw_modes.h"
#include "socket_path.h"
#include "work.h"
#ifdef BENCH_TLS
#include "raw_tls.h"
enum { kCan = CanUdpUnixSpawn | CanPaint | CanTls };
#else
enum { kCan = CanUdpUnixSpawn | CanPaint };
#endif

static Options options;
static void (*sendAll)(int fd, const char* data, size_t size) = sendOrKeep;
static size_t begun[kDescriptors]; // bytes of a request that is not complete
static Frames frames;

static int opened(int fd) {
    begun[fd] = 0;
    return 1;
}

static void closed(int fd) { (void)fd; }

static int echo(int fd, const char* data, size_t size) {
    busyFor(options.handlerNs);
    sendAll(fd, data, size);
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
            sendAll(fd, kLine, kLineSize);
    }
    return 1;
}

static int paint(void) {
    reportFramesIfAsked(&frames);
    if (frameDue(&frames)) {
        startFrame(&frames);
        workFrame(&frames);
    }
    const int64_t left = frames.due - nowNs();
    return left > 0 ? (int)((left + 999999) / 1000000) : 0;
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

static int listenOnPath(void) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, makeSocketPath());
    if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) || listen(fd, 1024)) die("listen");
    announcePath();
    return fd;
}

static void serve(void) {
    const Service service = {opened, options.mode == ModeWrites ? answer : options.mode == ModeSink ? drop : echo, closed, options.frameNs ? paint : NULL};
    const int listener = options.mode == ModeUnix ? listenOnPath() : listenOnLoopback();
    if (options.frameNs) beginFrames(&frames, &options);
#ifdef BENCH_TLS
    if (options.certificate) {
        sendAll = sendTls;
        serveTls(listener, &service, options.certificate, options.key);
    }
#endif
    serveConnections(listener, &service);
}

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, kCan);
    if (options.mode == ModeUdp)
        serveDatagrams();
    else if (options.mode == ModeSpawn)
        spawnProcesses();
    else
        serve();
}
