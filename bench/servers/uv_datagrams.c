// Echo of datagrams: uv_udp_try_send(), and what the kernel does not take is lost, as datagrams may be.
#include "options.h"
#include "uv_modes.h"

static char buffer[64 * 1024];

static void suggestBuffer(uv_handle_t* handle, size_t suggested, uv_buf_t* result) {
    (void)handle, (void)suggested;
    *result = uv_buf_init(buffer, sizeof buffer);
}

static void received(uv_udp_t* socket, ssize_t got, const uv_buf_t* data, const struct sockaddr* peer, unsigned flags) {
    (void)flags;
    if (got < 0 || !peer) return;
    const uv_buf_t answer = uv_buf_init(data->base, (unsigned)got);
    uv_udp_try_send(socket, &answer, 1, peer);
}

void listenForDatagrams(uv_loop_t* loop) {
    static uv_udp_t socket;
    struct sockaddr_in address;
    int length = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    check(uv_udp_init(loop, &socket), "uv_udp_init");
    check(uv_udp_bind(&socket, (struct sockaddr*)&address, 0), "bind");
    check(uv_udp_recv_start(&socket, suggestBuffer, received), "uv_udp_recv_start");
    uv_udp_getsockname(&socket, (struct sockaddr*)&address, &length);
    announcePort(ntohs(address.sin_port));
}
