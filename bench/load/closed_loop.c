#define _GNU_SOURCE
#include "../servers/clock.h"
#include "kinds.h"
#include "run.h"

static const char* request;
static size_t requestSize;
static const char* expected;
static size_t expectedSize;
static int goesOn; // once everybody has been answered: some servers take long until they have accepted all, if those who came first ask again at once

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
    if (goesOn) ask(connection, now);
}

static void ready(Connection* connection, uint32_t events) {
    if (events & EPOLLOUT) sendRest(connection);
    if (events & ~(uint32_t)EPOLLOUT) receive(connection);
}

static void askAll(void) {
    for (int i = 0; i < load.connections; ++i) {
        connections[i].unverified = expectedSize;
        ask(&connections[i], nowNs());
    }
}

void runClosedLoop(const char* r, size_t rSize, const char* e, size_t eSize) {
    request = r, requestSize = rSize, expected = e, expectedSize = eSize;
    for (int i = 0; i < load.connections; ++i) {
        connections[i].stream = openStream();
        watch(&connections[i], EPOLLIN);
    }
    askAll();
    waitForAnswers(ready);
    goesOn = 1;
    askAll();
    runLoad(ready);
    if (silentOnes()) fail("%d of %d connections had no answer at all", silentOnes(), load.connections);
}
