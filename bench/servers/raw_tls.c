#include "raw_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

enum { kPlain = 256 * 1024 };

static const Service* inner;
static SSL_CTX* context;
static SSL* connections[kDescriptors];
static char plain[kPlain];

/// What OpenSSL has to say to the peer leaves.
static void flush(int fd) {
    BIO* out = SSL_get_wbio(connections[fd]);
    char* data;
    const long size = BIO_get_mem_data(out, &data);
    if (size <= 0) return;
    sendOrKeep(fd, data, (size_t)size);
    (void)BIO_reset(out);
}

void sendTls(int fd, const char* data, size_t size) {
    SSL_write(connections[fd], data, (int)size); // to memory, of which there is enough
    flush(fd);
}

static int opened(int fd) {
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    SSL* ssl = connections[fd] = SSL_new(context);
    if (!in || !out || !ssl) die("SSL_new");
    BIO_set_mem_eof_return(in, -1); // empty: there will be more
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    return inner->opened(fd);
}

static void closed(int fd) {
    inner->closed(fd);
    SSL_free(connections[fd]);
    connections[fd] = NULL;
}

static int received(int fd, const char* data, size_t size) {
    SSL* ssl = connections[fd];
    BIO_write(SSL_get_rbio(ssl), data, (int)size);
    for (;;) {
        size_t have = 0;
        int got = 1;
        while (have < sizeof plain && (got = SSL_read(ssl, plain + have, (int)(sizeof plain - have))) > 0)
            have += (size_t)got;
        const int why = got > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, got);
        flush(fd); // of a handshake
        if (have && !inner->received(fd, plain, have)) return 0;
        if (why == SSL_ERROR_NONE) continue;
        ERR_clear_error();
        return why == SSL_ERROR_WANT_READ;
    }
}

void serveTls(int listener, const Service* service, const char* certificate, const char* key) {
    static const Service outer = {opened, received, closed, NULL};
    inner = service;
    context = SSL_CTX_new(TLS_server_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 || SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    serveConnections(listener, &outer);
}
