// The loop of README.md.

#include <poll.h>
#include <unistd.h>

#include "bine/reactors/native_reactors.h"

static bool running = true;
static void handleX11() { running = false; }

int main() {
    const int x11 = STDIN_FILENO;
    bine::EpollReactor reactor;
    pollfd fds[] = {{reactor.fileno(), POLLIN, 0}, {x11, POLLIN, 0}};
    while (running) {
        reactor.aboutToWait();                            // unsent bytes leave before the loop blocks
        poll(fds, 2, -1);                                 // timers and other threads wake the same descriptor
        if (fds[0].revents) reactor.dispatch();
        if (fds[1].revents) handleX11();
    }
}
