#pragma once
// TLS 1.3 for the limit: OpenSSL between memory and memory, the sockets stay where they are.

#include "raw_loop.h"

/// Serves `service` behind TLS, for ever. It sends with sendTls().
void serveTls(int listener, const Service* service, const char* certificate, const char* key);

/// One record (of 16 KiB at most) each, in one send().
void sendTls(int fd, const char* data, size_t size);
