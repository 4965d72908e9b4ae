#pragma once
// The modes of uv that have no connections; each begins in a loop.

#include <uv.h>

void listenForDatagrams(uv_loop_t* loop);
void spawnProcesses(uv_loop_t* loop);

/// Ends the program if that is an error.
void check(int error, const char* what);
