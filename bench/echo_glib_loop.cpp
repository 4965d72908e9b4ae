#include <glib.h>

#include "bine/gtkreactor/glib_reactor.h"
#include "echo_protocol.h"

int main(int argc, char** argv) {
    bine::GlibReactor reactor;
    serve(reactor, argc, argv);
    g_main_loop_run(g_main_loop_new(nullptr, FALSE));
}
