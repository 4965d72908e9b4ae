// bulk and sink: streams of messages that do not wait for answers. Both bound what is under way, since what the kernel's buffers of several
// megabytes take does not fit a processor's cache: then every server works at half its speed, and stays there once it has fallen behind.
#define _GNU_SOURCE
#include "../servers/clock.h"
#include "kinds.h"
#include "run.h"

enum { kUnderWay = 256 * 1024 };                         // bulk: of each connection, sent and not back
static const double kBytesPerNs = 2.0 * (1 << 30) / 1e9; // sink: of all connections
static const int64_t kLongest = 1000 * 1000;             // sink: in ns; what was missed in a longer pause is not made up for

static char* message;

/// The next bytes of the stream of messages: one write() each time.
static size_t sendNext(Connection* connection) {
    const size_t sent = sendSome(&connection->stream, message + load.size - connection->unsent, connection->unsent);
    connection->unsent -= sent;
    if (!connection->unsent) connection->unsent = load.size;
    return sent;
}

static void fill(Connection* connection) {
    size_t sent = 1;
    while (sent && connection->missing + load.size <= kUnderWay)
        connection->missing += sent = sendNext(connection);
}

static void bulkReady(Connection* connection, uint32_t events) {
    (void)events;
    const size_t got = receiveSome(&connection->stream, received, sizeof received);
    if (got > connection->missing) fail("the server sent more than it was sent");
    if (connection->unverified) verify(connection, message, load.size, got);
    connection->missing -= got;
    counted(got, -1);
    fill(connection);
}

static void sinkReady(Connection* connection, uint32_t events) {
    static int64_t looked;
    static double due;
    if (events & (EPOLLERR | EPOLLHUP)) fail("the server closed a connection");
    const int64_t now = nowNs(), since = now - looked;
    looked = now;
    if (since < kLongest) due += (double)since * kBytesPerNs;
    if (due < 0) return; // tries again and again: this processor has nothing else to do
    const size_t sent = sendNext(connection);
    due -= (double)sent;
    counted(sent, -1);
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
    if (load.size > kUnderWay) fail("SIZE is out of range");
    openAll(EPOLLIN);
    for (int i = 0; i < load.connections; ++i)
        fill(&connections[i]);
    runLoad(bulkReady);
}

void runSink(void) {
    openAll(EPOLLOUT);
    runLoad(sinkReady);
}
