#pragma once
// One measurement: events of the connections for some seconds, 0.2 s before them uncounted, then the line of JSON. Or slices of one, when it is told to.

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "stream.h"

enum { kReceive = 256 * 1024, kConnections = 1 << 16 };

typedef struct Connection {
    Stream stream;
    size_t unsent;     // of this request, or of this piece of a stream
    size_t missing;    // of this answer, or of what is under way
    size_t unverified; // of the first answer
    int64_t began;     // when this request did
    int watchesOutput;
} Connection;

/// What the command line says.
typedef struct Load {
    const char* kind;
    int connections;
    size_t size;
    double seconds;
    int idle;
    int server; // its process, or 0
} Load;

extern Load load;
extern Connection connections[kConnections];
extern char received[kReceive];

/// From now on the loop tells what `events` this connection has.
void watch(Connection* connection, uint32_t events);
/// The same in another way.
void watchAgain(Connection* connection, uint32_t events);

/// Counts answers, bytes or connections; a latency too, if it is not negative.
void counted(uint64_t number, int64_t latencyNs);

/// How many connections still expect what they are to verify.
int silentOnes(void);
/// Calls ready() until there is none; ends the program if that takes too long.
void waitForAnswers(void (*ready)(Connection* connection, uint32_t events));

/// Calls ready() for what watch() watches, load.seconds long, and prints the result; if these are zero, as often and as long as it reads from its standard
/// input, and does nothing in between. A server that stops answering ends the program.
void runLoad(void (*ready)(Connection* connection, uint32_t events));

/// The bytes of a message: known, so that answers can be verified.
char* newMessage(size_t size);
/// Compares what came with the first answer that `connection` still expects, which ends at `end` of `expected`.
void verify(Connection* connection, const char* expected, size_t length, size_t size);
