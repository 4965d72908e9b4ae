#pragma once
// The kinds of load. Each opens its connections, runs, and prints the result.

#include <stddef.h>

/// A request on each connection, the whole answer, the next request.
void runClosedLoop(const char* request, size_t requestSize, const char* expected, size_t expectedSize);
/// Sends and receives at once, so much that something is always under way; counts what comes back.
void runBulk(void);
/// Sends at a steady rate; counts what was sent.
void runSink(void);
/// Connects, exchanges a byte, closes; counts connections.
void runChurn(void);

/// Opens connections and makes sure of each with a request of this size, if that has an answer; then they stay as they are.
void openIdle(int count, size_t requestSize, size_t answerSize);
