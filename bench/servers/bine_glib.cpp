// Bine's GlibReactor in GLib's loop.
#include "bine/gtkreactor/glib_reactor.h"
#include "bine_server.h"
#include "glib_frames.h"

int main(int argc, char** argv) {
    static GlibFrames frames;
    options = parseOptions(argc, argv, CanPaint | kCanShow);
    beginToolkit(&options);
    bine::GlibReactor reactor;
    serve(reactor);
    paintFrames(&frames, &options);
    g_main_loop_run(g_main_loop_new(nullptr, FALSE));
}
