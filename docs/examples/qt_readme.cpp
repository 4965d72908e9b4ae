// The first example of README.md.

#include <QtWidgets/QApplication>
#include <QtWidgets/QLabel>

#include "bine/protocols/finger.h"
#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"
#include "bine/qtreactor/qt_text.h"

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    bine::QtReactor reactor;                          // attaches to the loop of this thread; exec() stays yours
    QLabel label("Asking ...");
    label.show();
    bine::finger(reactor, "alice@localhost:7979")
        .ownedBy(&label)                              // close the window, and the question dies with it
        .as<QString>()
        .addCallback([&](QString answer) { label.setText(answer); })
        .addErrback([&](const bine::Failure& f) { label.setText(QString::fromStdString(f.userMessage())); });
    return app.exec();
}
