// libuv: one receive buffer of the size it suggests, uv_try_write() first, and uv_write() for what the kernel does not take.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "clock.h"
#include "options.h"
#include "socket_path.h"
#include "uv_modes.h"
#include "work.h"

static Options options;
static char buffer[64 * 1024];

typedef struct Peer {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    size_t begun; // bytes of a request that is not complete
    int writing;  // how many writes have not ended: nothing is read until then
} Peer;

typedef struct Write {
    uv_write_t request;
    char bytes[];
} Write;

static void received(uv_stream_t* stream, ssize_t got, const uv_buf_t* data);

void check(int error, const char* what) {
    if (error >= 0) return;
    fprintf(stderr, "%s: %s\n", what, uv_strerror(error));
    exit(1);
}

static void freeHandle(uv_handle_t* handle) { free(handle); }

static void forget(uv_stream_t* stream) {
    if (!uv_is_closing((uv_handle_t*)stream)) uv_close((uv_handle_t*)stream, freeHandle);
}

static void suggestBuffer(uv_handle_t* handle, size_t suggested, uv_buf_t* result) {
    (void)handle, (void)suggested;
    *result = uv_buf_init(buffer, sizeof buffer);
}

static void written(uv_write_t* request, int error) {
    uv_stream_t* stream = request->handle;
    Peer* peer = (Peer*)stream;
    free(request);
    if (error)
        forget(stream);
    else if (--peer->writing == 0)
        uv_read_start(stream, suggestBuffer, received);
}

static void sendAll(uv_stream_t* stream, const char* data, size_t size) {
    Peer* peer = (Peer*)stream;
    uv_buf_t rest = uv_buf_init((char*)data, (unsigned)size);
    const int sent = peer->writing ? UV_EAGAIN : uv_try_write(stream, &rest, 1);
    if (sent == (int)size) return;
    const size_t done = sent > 0 ? (size_t)sent : 0;
    Write* write = malloc(sizeof *write + size - done);
    if (!write) abort();
    memcpy(write->bytes, data + done, size - done);
    rest = uv_buf_init(write->bytes, (unsigned)(size - done));
    if (uv_write(&write->request, stream, &rest, 1, written)) {
        free(write);
        forget(stream);
        return;
    }
    if (peer->writing++ == 0) uv_read_stop(stream);
}

static void received(uv_stream_t* stream, ssize_t got, const uv_buf_t* data) {
    Peer* peer = (Peer*)stream;
    if (got < 0) {
        forget(stream);
        return;
    }
    if (got == 0) return; // EAGAIN
    if (options.mode == ModeWrites) {
        for (size_t requests = requestsIn(&peer->begun, (size_t)got); requests > 0; --requests) {
            busyFor(options.handlerNs);
            for (int line = 0; line < kLines; ++line)
                sendAll(stream, kLine, kLineSize);
        }
        return;
    }
    busyFor(options.handlerNs);
    if (options.mode != ModeSink) sendAll(stream, data->base, (size_t)got);
}

static void incoming(uv_stream_t* listener, int error) {
    if (error) return;
    Peer* peer = malloc(sizeof *peer);
    if (!peer) abort();
    peer->begun = 0;
    peer->writing = 0;
    if (options.mode == ModeUnix)
        check(uv_pipe_init(listener->loop, &peer->pipe, 0), "uv_pipe_init");
    else
        check(uv_tcp_init(listener->loop, &peer->tcp), "uv_tcp_init");
    if (uv_accept(listener, &peer->stream)) {
        forget(&peer->stream);
        return;
    }
    if (options.mode != ModeUnix) uv_tcp_nodelay(&peer->tcp, 1);
    uv_read_start(&peer->stream, suggestBuffer, received);
}

static void listenOnLoopback(uv_loop_t* loop, uv_tcp_t* listener) {
    struct sockaddr_in address;
    int length = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    check(uv_tcp_init(loop, listener), "uv_tcp_init");
    check(uv_tcp_bind(listener, (struct sockaddr*)&address, 0), "bind");
    check(uv_listen((uv_stream_t*)listener, 1024, incoming), "listen");
    uv_tcp_getsockname(listener, (struct sockaddr*)&address, &length);
    announcePort(ntohs(address.sin_port));
}

static void listenOnPath(uv_loop_t* loop, uv_pipe_t* listener) {
    check(uv_pipe_init(loop, listener, 0), "uv_pipe_init");
    check(uv_pipe_bind(listener, makeSocketPath()), "bind");
    check(uv_listen((uv_stream_t*)listener, 1024, incoming), "listen");
    announcePath();
}

int main(int argc, char** argv) {
    Peer listener;
    uv_loop_t* loop = uv_default_loop();
    options = parseOptions(argc, argv, CanUdpUnixSpawn);
    signal(SIGPIPE, SIG_IGN); // libuv leaves that to the program
    if (options.mode == ModeUdp)
        listenForDatagrams(loop);
    else if (options.mode == ModeSpawn)
        spawnProcesses(loop);
    else if (options.mode == ModeUnix)
        listenOnPath(loop, &listener.pipe);
    else
        listenOnLoopback(loop, &listener.tcp);
    return uv_run(loop, UV_RUN_DEFAULT);
}
