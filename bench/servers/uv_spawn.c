// Processes one after the other: uv_spawn(), the next when one has ended.
#include "spawn_report.h"
#include "uv_modes.h"

static uv_process_t process;
static SpawnReport report;

static void spawnNext(uv_loop_t* loop);

static void closed(uv_handle_t* handle) {
    if (countSpawned(&report)) spawnNext(handle->loop);
}

static void ended(uv_process_t* handle, int64_t status, int number) {
    (void)status, (void)number;
    uv_close((uv_handle_t*)handle, closed);
}

static void spawnNext(uv_loop_t* loop) {
    char* arguments[] = {(char*)kSpawned, NULL};
    const uv_process_options_t options = {.file = kSpawned, .args = arguments, .exit_cb = ended};
    check(uv_spawn(loop, &process, &options), "uv_spawn");
}

void spawnProcesses(uv_loop_t* loop) {
    report = beginSpawning();
    spawnNext(loop);
}
