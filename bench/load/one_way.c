// bulk and sink: no connection waits for an answer.
#define _GNU_SOURCE
#include "kinds.h"
#include "run.h"

static char* message;

/// The next bytes of the stream of messages: one write() each time.
static size_t sendNext(Connection* connection) {
    const size_t sent = sendSome(&connection->stream, message + load.size - connection->unsent, connection->unsent);
    connection->unsent -= sent;
    if (!connection->unsent) connection->unsent = load.size;
    return sent;
}

static void bulkReady(Connection* connection, uint32_t events) {
    if (events & EPOLLOUT) sendNext(connection);
    if (!(events & ~(uint32_t)EPOLLOUT)) return;
    const size_t got = receiveSome(&connection->stream, received, sizeof received);
    if (connection->unverified) verify(connection, message, load.size, got);
    counted(got, -1);
}

static void sinkReady(Connection* connection, uint32_t events) {
    if (events & EPOLLOUT) counted(sendNext(connection), -1);
    if (events & (EPOLLERR | EPOLLHUP)) fail("the server closed a connection");
}

static void openAll(uint32_t events) {
    message = newMessage(load.size);
    for (int i = 0; i < load.connections; ++i) {
        connections[i].stream = openStream();
        connections[i].unsent = connections[i].unverified = load.size;
        watch(&connections[i], events);
    }
}

void runBulk(void) {
    openAll(EPOLLIN | EPOLLOUT);
    runLoad(bulkReady);
}

void runSink(void) {
    openAll(EPOLLOUT);
    runLoad(sinkReady);
}
