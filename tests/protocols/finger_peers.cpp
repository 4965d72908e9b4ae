// Finger against the programs of others: Debian's finger asks our server, our client asks Debian's in.fingerd.
//
// The finger client knows no port but 79. So the test gives itself a network of its own, if it may; else port 79 of 127.0.0.79 has to do.
#include <QtTest/QtTest>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/protocols/finger.h"
#include "bine/protocols/finger_server.h"
#include "bine/reactors/native_reactors.h"

using namespace bine;
using namespace std::chrono_literals;

namespace {

void enterOwnNetwork() {
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0) return;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

/// A program of the system, or empty.
QString program(const QString& name) { return QStandardPaths::findExecutable(name, {"/usr/bin", "/usr/sbin", "/bin", "/sbin"}); }

}  // namespace

class FingerPeers : public QObject {
    Q_OBJECT

    EpollReactor reactor_;

    /// What Debian's finger prints while our server runs.
    QByteArray askedByDebian(const QStringList& arguments) {
        QProcess finger;
        finger.setProcessChannelMode(QProcess::MergedChannels);
        finger.start(program("finger"), arguments);
        while (!finger.waitForFinished(5) && finger.state() != QProcess::NotRunning) reactor_.iterate(5ms);
        return finger.readAll();
    }
    /// Our answer to a query, tried again for as long as nobody listens.
    std::string ask(const std::string& query) {
        std::optional<Result<std::string>> result;
        for (int tries = 0; tries < 200; ++tries) {
            result.reset();
            auto asking = finger(reactor_, query).addBoth([&](Result<std::string> r) { result = std::move(r); });
            while (!result) reactor_.iterate(1s);
            if (result->isValue()) return result->value();
            if (!result->failure().check<ConnectionRefusedError>()) break;
            QTest::qWait(20);
        }
        return "!" + result->failure().getErrorMessage();
    }

private Q_SLOTS:
    void debiansFingerAsksOurServer() {
        if (program("finger").isEmpty()) QSKIP("there is no finger program (package finger)");
        const std::map<std::string, std::string> users = {{"alice", "Gone climbing.\nPlan: \xc3\xbc"}, {"bob", "No plan."}};
        ListeningPort port;
        try {
            port = listenTCP(reactor_, 79, std::make_shared<FingerFactory>(reactor_, users), TCPServerOptions().listenOn("127.0.0.79"));
        } catch (const CannotListenError& e) {
            if (e.osError() != EACCES) throw;
            QSKIP("neither a network of our own nor port 79 may be had here");
        }
        const QByteArray alice = askedByDebian({"alice@127.0.0.79"});
        QVERIFY2(alice.contains("Gone climbing.") && alice.contains("Plan:"), alice);
        const QByteArray longer = askedByDebian({"-l", "bob@127.0.0.79"});
        QVERIFY2(longer.contains("No plan."), longer);
        const QByteArray everybody = askedByDebian({"@127.0.0.79"});
        QVERIFY2(everybody.contains("alice") && everybody.contains("bob"), everybody);
        const QByteArray forwarded = askedByDebian({"alice@elsewhere@127.0.0.79"});
        QVERIFY2(forwarded.contains("Finger forwarding service denied"), forwarded);
        port.stopListening();
        reactor_.iterate();
    }
    void ourClientAsksDebiansServer() {
        const QString socat = program("socat"), fingerd = program("in.fingerd");
        if (socat.isEmpty() || fingerd.isEmpty()) QSKIP("there is no socat or no in.fingerd (packages socat, fingerd)");
        const auto free = listenTCP(reactor_, 0, Factory::make([](const Address&) { return std::shared_ptr<Protocol>(); }),
                                    TCPServerOptions().listenOn("127.0.0.1"));
        const QString number = QString::number(free.getHost().port());
        bool stopped = false;
        free.stopListening().addCallback([&] { stopped = true; });
        while (!stopped) reactor_.iterate(1s);

        QProcess server;
        server.start(socat, {"TCP-LISTEN:" + number + ",bind=127.0.0.1,reuseaddr,fork", "EXEC:" + fingerd});
        QVERIFY(server.waitForStarted());
        const std::string at = "@127.0.0.1:" + number.toStdString();
        const std::string root = ask("root" + at);
        const std::string longer = ask("/W root" + at);
        const std::string nobody = ask("no-such-user-here" + at);
        server.terminate();
        server.waitForFinished();
        QVERIFY2(root.find("Login: root") != std::string::npos, root.c_str());
        QVERIFY2(root.find('\r') == std::string::npos, root.c_str());
        QVERIFY2(longer.find("Login: root") != std::string::npos, longer.c_str());
        QCOMPARE(nobody, std::string());  // in.fingerd's "no such user" goes to its standard error
    }
};

int main(int argc, char** argv) {
    enterOwnNetwork();
    QCoreApplication app(argc, argv);
    FingerPeers test;
    return QTest::qExec(&test, argc, argv);
}

#include "finger_peers.moc"
