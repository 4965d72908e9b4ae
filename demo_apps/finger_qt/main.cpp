// finger_qt [QUERY]: asks finger servers, in Qt's event loop.
#include <QApplication>
#include <QCommandLineParser>

#include "bine/qtreactor/qt_reactor.h"
#include "finger_window.h"

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    QApplication::setApplicationDisplayName(QCoreApplication::translate("main", "Finger (Qt)"));
    QCommandLineParser options;
    options.setApplicationDescription(QCoreApplication::translate("main", "Asks hosts about their users (RFC 1288)."));
    options.addHelpOption();
    options.addPositionalArgument("query", QCoreApplication::translate("main", "Who to look for: user@host, or @host."), "[QUERY]");
    options.process(app);

    bine::QtReactor reactor;
    FingerWindow window(reactor);
    window.show();
    const QString query = options.positionalArguments().join(' ');
    if (!query.isEmpty()) window.ask(query);
    return app.exec();
}
