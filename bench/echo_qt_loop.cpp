#include <QCoreApplication>

#include "bine/qtreactor/qt_reactor.h"
#include "echo_protocol.h"

int main(int argc, char** argv) {
    QCoreApplication app(argc, argv);
    bine::QtReactor reactor;
    serve(reactor, argc, argv);
    return app.exec();
}
