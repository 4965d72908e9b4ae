// The snippet of docs/embedding.md about libuv.

#include <uv.h>

#include <cstdio>

#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

int main() {
    uv_loop_t* const loop = uv_default_loop();
    bine::EpollReactor reactor;

    uv_poll_t ready;
    uv_prepare_t beforeWaiting;
    uv_poll_init(loop, &ready, reactor.fileno());
    uv_prepare_init(loop, &beforeWaiting);
    ready.data = beforeWaiting.data = &reactor;
    uv_poll_start(&ready, UV_READABLE, [](uv_poll_t* self, int, int) { static_cast<bine::EpollReactor*>(self->data)->dispatch(); });
    uv_prepare_start(&beforeWaiting, [](uv_prepare_t* self) { static_cast<bine::EpollReactor*>(self->data)->aboutToWait(); });
    reactor.addSystemEventTrigger("after", "shutdown", [&] {
        uv_close(reinterpret_cast<uv_handle_t*>(&ready), nullptr);
        uv_close(reinterpret_cast<uv_handle_t*>(&beforeWaiting), nullptr); // now uv_run() has nothing to wait for
    });

    reactor.callLater(10ms, [&] {
        std::puts("in libuv's loop");
        reactor.stop();
    });
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) == 0 ? 0 : 1;
}
