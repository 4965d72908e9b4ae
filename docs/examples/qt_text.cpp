// The example of docs/finger.md for Qt's strings.

#include <QtWidgets/QApplication>
#include <QtWidgets/QLineEdit>
#include <QtWidgets/QPlainTextEdit>

#include "bine/protocols/finger.h"
#include "bine/qtreactor/qt_reactor.h"
#include "bine/qtreactor/qt_text.h"

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    bine::QtReactor reactor;
    QLineEdit query("@localhost:7979");
    QPlainTextEdit view;
    view.show();
    bine::finger(reactor, query.text()).as<QString>().addCallback([&](QString answer) { view.setPlainText(answer); });
    return app.exec();
}
