// Uses each library it was built with a little, and prints their names.
#include <cstdio>

#ifdef WITH_NET
#include "bine/net/tcp.h"

struct Silent : bine::Protocol {};
#endif
#ifdef WITH_APPLICATION
#include "bine/application/start_application.h"
#endif
#ifdef WITH_QT
#include <QCoreApplication>

#include "bine/qtreactor/qt_reactor.h"
#endif
#ifdef WITH_GTK
#include "bine/gtkreactor/glib_reactor.h"
#endif
#include "bine/reactors/native_reactors.h"

template <class AnyReactor>
void use(AnyReactor& reactor, const char* name) {
    reactor.callWhenRunning([&reactor, name] {
        std::printf("%s", name);
        reactor.stop();
    });
    reactor.run();
}

int main([[maybe_unused]] int argc, [[maybe_unused]] char** argv) {
    bine::EpollReactor reactor;
    use(reactor, "Core");
#ifdef WITH_NET
    bine::ListeningPort port = bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Silent>(),
                                               bine::TCPServerOptions().listenOn("127.0.0.1"));
    std::printf(port.listening() ? " Net" : " no port");
#endif
#ifdef WITH_APPLICATION
    bine::MultiService application;
    bine::startApplication(reactor, application);
    use(reactor, " Application");
#endif
#ifdef WITH_QT
    QCoreApplication app(argc, argv);
    bine::QtReactor inQt;
    use(inQt, " Qt");
#endif
#ifdef WITH_GTK
    bine::GlibReactor inGlib;
    use(inGlib, " Gtk");
#endif
    std::printf("\n");
}
