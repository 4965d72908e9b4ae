// A chat client in Qt: a window that talks to the chat server, and says goodbye.
#include <QApplication>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QVBoxLayout>

#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"
#include "bine/qtreactor/qt_owner.h"
#include "bine/qtreactor/qt_reactor.h"

class Chat : public bine::LineReceiver {
public:
    explicit Chat(QPlainTextEdit& log) : log_(log) {}
    void lineReceived(std::string_view line) override { log_.appendPlainText(QString::fromUtf8(line.data(), qsizetype(line.size()))); }
    void connectionLost(const bine::Failure& reason) override { log_.appendPlainText(QString::fromStdString(reason.userMessage())); }
    void reactorStopping() override { sendLine("(has left)"); }

private:
    QPlainTextEdit& log_;
};

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    bine::QtReactor reactor;
    QWidget window;
    QPlainTextEdit log;
    QLineEdit entry;
    QVBoxLayout column(&window);
    column.addWidget(&log);
    column.addWidget(&entry);
    window.show();

    auto chat = std::make_shared<Chat>(log);
    QObject::connect(&entry, &QLineEdit::returnPressed, [&] {
        chat->sendLine(entry.text().toStdString());                    // does nothing while not connected
        entry.clear();
    });
    bine::connectProtocol(reactor, "localhost", 7000, chat)
        .ownedBy(&log)                                                 // the connection goes with the log
        .addErrback([&](const bine::Failure& failure) {
            log.appendPlainText(QString::fromStdString(failure.userMessage()));
            return chat;
        });
    return app.exec();
}
