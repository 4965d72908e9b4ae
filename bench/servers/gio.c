// GIO: a GSocketService and asynchronous streams; with --tls GTlsConnection.
#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "glib_frames.h"
#include "options.h"
#include "work.h"

static Options options;
static GTlsCertificate* certificate;

typedef struct Peer {
    GIOStream* stream;
    GInputStream* in;
    GOutputStream* out;
    size_t begun; // bytes of a request that is not complete
    size_t lines; // still to be written
    char buffer[64 * 1024];
} Peer;

static void readMore(Peer* peer);

// The stream closes its descriptor when nobody refers to it any more.
static void forget(Peer* peer) {
    g_object_unref(peer->stream);
    g_free(peer);
}

static void echoed(GObject* out, GAsyncResult* result, gpointer data) {
    if (g_output_stream_write_all_finish(G_OUTPUT_STREAM(out), result, NULL, NULL))
        readMore(data);
    else
        forget(data);
}

static void writeLine(Peer* peer);

static void lineWritten(GObject* out, GAsyncResult* result, gpointer data) {
    Peer* peer = data;
    if (!g_output_stream_write_all_finish(G_OUTPUT_STREAM(out), result, NULL, NULL))
        forget(peer);
    else
        writeLine(peer);
}

static void writeLine(Peer* peer) {
    if (peer->lines == 0) {
        readMore(peer);
        return;
    }
    if (peer->lines-- % kLines == 0) busyFor(options.handlerNs);
    g_output_stream_write_all_async(peer->out, kLine, kLineSize, G_PRIORITY_DEFAULT, NULL, lineWritten, peer);
}

static void received(GObject* in, GAsyncResult* result, gpointer data) {
    Peer* peer = data;
    const gssize got = g_input_stream_read_finish(G_INPUT_STREAM(in), result, NULL);
    if (got <= 0) {
        forget(peer);
        return;
    }
    if (options.mode == ModeWrites) {
        peer->lines = requestsIn(&peer->begun, (size_t)got) * kLines;
        writeLine(peer);
        return;
    }
    busyFor(options.handlerNs);
    if (options.mode == ModeEcho)
        g_output_stream_write_all_async(peer->out, peer->buffer, (gsize)got, G_PRIORITY_DEFAULT, NULL, echoed, peer);
    else
        readMore(peer);
}

static void readMore(Peer* peer) {
    g_input_stream_read_async(peer->in, peer->buffer, sizeof peer->buffer, G_PRIORITY_DEFAULT, NULL, received, peer);
}

static gboolean incoming(GSocketService* service, GSocketConnection* connection, GObject* source, gpointer data) {
    (void)service, (void)source, (void)data;
    g_socket_set_option(g_socket_connection_get_socket(connection), IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    Peer* peer = g_malloc(sizeof *peer); // not cleared: the buffer is most of it
    peer->begun = peer->lines = 0;
    peer->stream = certificate ? g_tls_server_connection_new(G_IO_STREAM(connection), certificate, NULL) : g_object_ref(G_IO_STREAM(connection));
    if (!peer->stream) {
        g_free(peer);
        return TRUE;
    }
    peer->in = g_io_stream_get_input_stream(peer->stream);
    peer->out = g_io_stream_get_output_stream(peer->stream);
    readMore(peer);
    return TRUE;
}

static void check(GError* error) {
    if (error) g_error("%s", error->message);
}

int main(int argc, char** argv) {
    static GlibFrames frames;
    GError* error = NULL;
    options = parseOptions(argc, argv, CanPaint | CanTls | kCanShow);
    beginToolkit(&options);
    if (options.certificate) {
        certificate = g_tls_certificate_new_from_files(options.certificate, options.key, &error);
        check(error);
    }
    GSocketService* service = g_socket_service_new();
    g_socket_listener_set_backlog(G_SOCKET_LISTENER(service), 1024);
    GSocketAddress* loopback = g_inet_socket_address_new_from_string("127.0.0.1", 0);
    GSocketAddress* bound = NULL;
    g_socket_listener_add_address(G_SOCKET_LISTENER(service), loopback, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &bound, &error);
    check(error);
    g_signal_connect(service, "incoming", G_CALLBACK(incoming), NULL);
    announcePort(g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
    paintFrames(&frames, &options);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}
