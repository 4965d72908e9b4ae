#define _GNU_SOURCE
#include "../servers/clock.h"
#include "kinds.h"
#include "run.h"

static const char* request;
static size_t requestSize;
static const char* expected;
static size_t expectedSize;

static void sendRest(Connection* connection) {
    while (connection->unsent) {
        const size_t sent = sendSome(&connection->stream, request + requestSize - connection->unsent, connection->unsent);
        if (!sent) break;
        connection->unsent -= sent;
    }
    const int watches = connection->unsent != 0;
    if (watches == connection->watchesOutput) return;
    connection->watchesOutput = watches;
    watchAgain(connection, watches ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void ask(Connection* connection, int64_t now) {
    connection->unsent = requestSize;
    connection->missing = expectedSize;
    connection->began = now;
    sendRest(connection);
}

static void receive(Connection* connection) {
    const size_t got = receiveSome(&connection->stream, received, sizeof received);
    if (got > connection->missing) fail("the server sent more than was asked for");
    if (connection->unverified) verify(connection, expected, expectedSize, got);
    connection->missing -= got;
    if (!got || connection->missing) return;
    const int64_t now = nowNs();
    counted(1, now - connection->began);
    ask(connection, now);
}

static void ready(Connection* connection, uint32_t events) {
    if (events & EPOLLOUT) sendRest(connection);
    if (events & ~(uint32_t)EPOLLOUT) receive(connection);
}

void runClosedLoop(const char* r, size_t rSize, const char* e, size_t eSize) {
    request = r, requestSize = rSize, expected = e, expectedSize = eSize;
    for (int i = 0; i < load.connections; ++i) {
        connections[i].stream = openStream();
        connections[i].unverified = expectedSize;
        watch(&connections[i], EPOLLIN);
    }
    for (int i = 0; i < load.connections; ++i)
        ask(&connections[i], nowNs());
    runLoad(ready);
    int silent = 0;
    for (int i = 0; i < load.connections; ++i)
        silent += connections[i].unverified != 0;
    if (silent) fail("%d of %d connections had no answer at all", silent, load.connections);
}
