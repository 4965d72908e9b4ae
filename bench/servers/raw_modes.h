#pragma once
// The modes of raw_epoll that have no connections.

/// Serves for ever.
void serveDatagrams(void);
/// Prints its result.
void spawnProcesses(void);
