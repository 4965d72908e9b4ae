// Bine's QtReactor in Qt's loop. QT_NO_GLIB=1 takes Qt's own dispatcher instead of the one over GLib.
#include "bine/qtreactor/qt_reactor.h"
#include "bine_server.h"
#include "qt_frames.h"

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, CanPaint | canShow);
    Application app(argc, argv);
    bine::QtReactor reactor;
    serve(reactor);
    const QtFrames frames(options);
    return Application::exec();
}
