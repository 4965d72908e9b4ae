#define _GNU_SOURCE
#include "kinds.h"
#include "run.h"

enum { kByte = 'x' };

static void begin(Connection* connection) {
    connection->stream = beginStream();
    connection->unsent = 1;
    // Once for each thing that happens, so that nothing has to be changed in between.
    watch(connection, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void ready(Connection* connection, uint32_t events) {
    const char byte = kByte;
    if (events & (EPOLLERR | EPOLLHUP)) checkStream(&connection->stream);
    if (connection->unsent) connection->unsent -= sendSome(&connection->stream, &byte, 1);
    if (!(events & EPOLLIN) || !receiveSome(&connection->stream, received, 2)) return;
    if (received[0] != kByte) fail("the server sent something else than was expected");
    closeStream(&connection->stream);
    counted(1, -1);
    begin(connection);
}

void runChurn(void) {
    for (int i = 0; i < load.connections; ++i)
        begin(&connections[i]);
    runLoad(ready);
}
