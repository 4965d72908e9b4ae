// QTcpServer and QTcpSocket; with --tls QSslServer and QSslSocket. QT_NO_GLIB=1 takes Qt's own dispatcher instead of the one over GLib.
#include <QFile>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslServer>
#include <QSslSocket>
#include <QTcpServer>
#include <QTcpSocket>
#include <memory>

#include "options.h"
#include "qt_frames.h"
#include "work.h"

static Options options;

enum { kReadAhead = 256 * 1024, kEnoughUnsent = 64 * 1024 };

/// A peer's socket: answers while the peer takes what it is sent.
class Connection : public QObject {
public:
    explicit Connection(QTcpSocket* socket) : QObject(socket), socket_(socket), tls_(qobject_cast<QSslSocket*>(socket)) {
        socket->setSocketOption(QAbstractSocket::LowDelayOption, 1);
        socket->setReadBufferSize(kReadAhead); // without a limit Qt reads on, however much waits here
        connect(socket, &QTcpSocket::readyRead, this, &Connection::serve);
        connect(socket, &QTcpSocket::disconnected, socket, &QObject::deleteLater);
        if (options.mode == ModeSink) return;
        if (tls_)
            connect(tls_, &QSslSocket::encryptedBytesWritten, this, &Connection::serveWhatWaited);
        else
            connect(socket, &QTcpSocket::bytesWritten, this, &Connection::serveWhatWaited);
    }

private:
    void serveWhatWaited() {
        if (socket_->bytesAvailable() > 0) serve();
    }
    void serve() {
        if (socket_->bytesToWrite() + (tls_ ? tls_->encryptedBytesToWrite() : 0) > kEnoughUnsent) return;
        const QByteArray data = socket_->readAll();
        if (options.mode == ModeWrites) {
            for (auto requests = requestsIn(&begun_, static_cast<size_t>(data.size())); requests > 0; --requests) answer();
            return;
        }
        busyFor(options.handlerNs);
        if (options.mode == ModeEcho) socket_->write(data);
    }
    void answer() {
        busyFor(options.handlerNs);
        for (int line = 0; line < kLines; ++line) socket_->write(kLine, kLineSize);
    }

    QTcpSocket* socket_;
    QSslSocket* tls_; // null: no TLS
    size_t begun_ = 0;
};

static QByteArray contents(const char* path) {
    QFile file(QString::fromLocal8Bit(path));
    if (!file.open(QIODevice::ReadOnly)) refuse(path);
    return file.readAll();
}

static std::unique_ptr<QTcpServer> makeServer() {
    if (!options.certificate) return std::make_unique<QTcpServer>();
    QSslConfiguration configuration = QSslConfiguration::defaultConfiguration();
    configuration.setLocalCertificate(QSslCertificate(contents(options.certificate)));
    const QByteArray key = contents(options.key);
    const QSslKey rsa(key, QSsl::Rsa);
    configuration.setPrivateKey(rsa.isNull() ? QSslKey(key, QSsl::Ec) : rsa);
    configuration.setProtocol(QSsl::TlsV1_3OrLater);
    auto server = std::make_unique<QSslServer>();
    server->setSslConfiguration(configuration);
    return server;
}

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, CanPaint | CanTls | canShow);
    Application app(argc, argv);
    const auto server = makeServer();
    server->setListenBacklogSize(1024);
    server->setMaxPendingConnections(1024);
    QObject::connect(server.get(), &QTcpServer::pendingConnectionAvailable, server.get(), [&server] {
        while (QTcpSocket* socket = server->nextPendingConnection()) new Connection(socket);
    });
    if (!server->listen(QHostAddress::LocalHost)) qFatal("%s", qPrintable(server->errorString()));
    announcePort(server->serverPort());
    const QtFrames frames(options);
    return Application::exec();
}
