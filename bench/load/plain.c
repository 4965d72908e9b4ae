// Connections without TLS.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

Stream openStream(void) {
    Stream stream = beginStream();
    waitFor(&stream, POLLOUT);
    checkStream(&stream);
    return stream;
}

void closeStream(Stream* stream) { close(stream->fd); }

size_t sendSome(Stream* stream, const void* data, size_t size) {
    for (;;) {
        const ssize_t sent = send(stream->fd, data, size, MSG_NOSIGNAL);
        if (sent >= 0) return (size_t)sent;
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) fail("send: %s", strerror(errno));
    }
}

size_t receiveSome(Stream* stream, void* data, size_t size) {
    for (;;) {
        const ssize_t got = recv(stream->fd, data, size, 0);
        if (got > 0) return (size_t)got;
        if (got == 0) fail("the server closed a connection");
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) fail("recv: %s", strerror(errno));
    }
}
