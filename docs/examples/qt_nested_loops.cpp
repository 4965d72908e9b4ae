// The snippets of docs/nested-loops.md.

#include <QtWidgets/QApplication>
#include <QtWidgets/QMessageBox>

#include <memory>

#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/qtreactor/qt_reactor.h"

using namespace std::chrono_literals;

static QString textOf(std::string_view data) { return QString::fromUtf8(data.data(), static_cast<qsizetype>(data.size())); }

struct Asking : bine::Protocol {
    void dataReceived(std::string_view question) override {
        transport().write("one moment\n"); // leaves while the dialog is open
        const auto answer = QMessageBox::question(nullptr, "A question", textOf(question));
        transport().write(answer == QMessageBox::Yes ? "yes\n" : "no\n"); // if the peer is still there
    }
};

struct Patient : bine::Protocol {
    void dataReceived(std::string_view question) override {
        transport().pauseProducing(); // one question at a time
        auto* box = new QMessageBox(QMessageBox::Question, "A question", textOf(question), QMessageBox::Yes | QMessageBox::No);
        box->setAttribute(Qt::WA_DeleteOnClose);
        QObject::connect(box, &QMessageBox::finished, [weak = weak_from_this()](int answer) {
            const auto self = weak.lock();
            if (!self) return; // gone meanwhile
            self->transport().write(answer == QMessageBox::Yes ? "yes\n" : "no\n");
            self->transport().resumeProducing();
        });
        box->open(); // returns at once
    }
};

struct Hasty : bine::Protocol {
    void dataReceived(std::string_view) override {
        transport().write("goodbye\n");
        transport().loseConnection(); // the peer sees both at once
        QMessageBox::information(nullptr, "A visitor", "was sent away");
    }                                 // and now connectionLost() is called
};

int main(int argc, char** argv) {
    QApplication app(argc, argv);
    bine::QtReactor reactor;
    const auto asking = bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Asking>());
    const auto patient = bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Patient>());
    const auto hasty = bine::listenTCP(reactor, 0, bine::Factory::forProtocol<Hasty>());
    reactor.callLater(1s, [] { QCoreApplication::quit(); });
    return app.exec();
}
