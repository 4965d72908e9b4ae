// Processes one after the other: posix_spawn() and waitpid().
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

#include "raw_loop.h"
#include "raw_modes.h"
#include "spawn_report.h"

void spawnProcesses(void) {
    char* const arguments[] = {(char*)kSpawned, NULL};
    SpawnReport report = beginSpawning();
    do {
        pid_t child;
        int status;
        errno = posix_spawn(&child, kSpawned, NULL, NULL, arguments, NULL);
        if (errno) die("posix_spawn");
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
    } while (countSpawned(&report));
}
