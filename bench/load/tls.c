// Connections with TLS 1.3: the same calls as in plain.c. Nobody's certificate is verified.
#define _GNU_SOURCE
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"

static SSL_CTX* context(void) {
    static SSL_CTX* made;
    if (made) return made;
    made = SSL_CTX_new(TLS_client_method());
    if (!made || !SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION)) fail("no TLS 1.3");
    // What could not be written may be written from elsewhere, and in parts.
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return made;
}

/// The handshake is part of the first call.
static void wrap(Stream* stream) {
    if (stream->ssl) return;
    stream->ssl = SSL_new(context());
    if (!stream->ssl || !SSL_set_fd(stream->ssl, stream->fd)) fail("SSL_new");
    SSL_set_connect_state(stream->ssl);
}

/// What a call that did not succeed means: 0 for "not now", which is all that returns.
static size_t notNow(Stream* stream, int result) {
    const int why = SSL_get_error(stream->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return 0;
    if (why == SSL_ERROR_ZERO_RETURN) fail("the server closed a connection");
    if (why == SSL_ERROR_SYSCALL) fail("TLS: %s", errno ? strerror(errno) : "the server closed a connection");
    fail("TLS: %s", ERR_reason_error_string(ERR_peek_last_error()));
}

Stream openStream(void) {
    Stream stream = beginStream();
    waitFor(&stream, POLLOUT);
    checkStream(&stream);
    wrap(&stream);
    int done;
    while ((done = SSL_do_handshake(stream.ssl)) != 1) {
        notNow(&stream, done);
        waitFor(&stream, SSL_want_write(stream.ssl) ? POLLOUT : POLLIN);
    }
    return stream;
}

void closeStream(Stream* stream) {
    SSL_shutdown(stream->ssl);
    SSL_free(stream->ssl);
    close(stream->fd);
}

size_t sendSome(Stream* stream, const void* data, size_t size) {
    wrap(stream);
    ERR_clear_error();
    const int sent = SSL_write(stream->ssl, data, (int)size);
    return sent > 0 ? (size_t)sent : notNow(stream, sent);
}

size_t receiveSome(Stream* stream, void* data, size_t size) {
    ERR_clear_error();
    const int got = SSL_read(stream->ssl, data, (int)size);
    return got > 0 ? (size_t)got : notNow(stream, got);
}
