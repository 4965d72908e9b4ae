// The echo server in Qt's event loop.
#include <QApplication>
#include <QFormLayout>
#include <QLabel>
#include <QShortcut>
#include <QStyle>
#include <QVBoxLayout>
#include <QWidget>
#include <iostream>

#include "../command_line.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"
#include "echo_protocol.h"

namespace {

class EchoWindow : public QWidget {
public:
    EchoWindow() {
        setWindowTitle("Echo (Qt)");
        auto* heading = new QLabel("What Comes In Goes Out");
        QFont large = heading->font();
        large.setPointSizeF(large.pointSizeF() * 1.6);
        large.setBold(true);
        heading->setFont(large);

        auto* form = new QFormLayout;
        form->addRow("Listening on:", &address_);
        form->addRow("Connections:", &connections_);
        form->addRow("Echoed:", &echoed_);
        for (QLabel* label : {&address_, &connections_, &echoed_}) {
            label->setTextFormat(Qt::PlainText);
            label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
        }
        auto* column = new QVBoxLayout(this);
        column->addWidget(heading);
        column->addSpacing(heading->fontMetrics().height() / 2);
        column->addLayout(form);
        column->addStretch();
        const int margin = 2 * style()->pixelMetric(QStyle::PM_LayoutLeftMargin);
        column->setContentsMargins(margin, margin, margin, margin);

        for (const auto key : {QKeySequence::Close, QKeySequence::Quit})
            connect(new QShortcut(key, this), &QShortcut::activated, this, &QWidget::close);
        resize(sizeHint().expandedTo({420, 220}));
        show({});
    }
    using QWidget::show;
    void show(const EchoCount& count) {
        connections_.setText(QString("%1 now, %2 in all").arg(count.connections).arg(count.served));
        echoed_.setText(QString::fromStdString(inUnits(count.bytes)));
    }
    void setAddress(const std::string& address) { address_.setText(QString::fromStdString(address)); }

private:
    QLabel address_, connections_, echoed_;
};

}  // namespace

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    const CommandLine options(argc, argv, "echo_qt [--port N] [--interface ADDRESS]", {"--port", "--interface"});
    try {
        EchoWindow window;
        bine::QtReactor reactor;
        auto factory = std::make_shared<EchoFactory>(reactor, [&](const EchoCount& count) { window.show(count); });
        const auto port = bine::listenTCP(reactor, options.port(8001), factory,
                                          bine::TCPServerOptions().listenOn(options.value("--interface", "127.0.0.1")));
        port.ownedBy(&window);
        window.setAddress(port.getHost().text());
        window.show();
        return app.exec();
    } catch (const bine::Error& e) {
        std::cerr << e.userMessage() << "\n";
        return 1;
    }
}
