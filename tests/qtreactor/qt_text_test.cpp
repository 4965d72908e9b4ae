// Qt's strings and byte arrays where Bine takes text, and as results.

#include <QtTest/QtTest>

#include <string>

#include "bine/defer/deferred.h"
#include "bine/log/recorder.h"
#include "bine/net/answer.h"
#include "bine/net/memory_transport.h"
#include "bine/net/stream.h"
#include "bine/net/tcp.h"
#include "bine/protocols/finger.h"
#include "bine/protocols/line_receiver.h"
#include "bine/qtreactor/qt_text.h"
#include "bine/reactors/native_reactors.h"

using namespace std::string_literals;

namespace {

const QString foreign = QStringLiteral("Gr\u00fc\u00dfe, \u65e5\u672c");
const std::string foreignBytes = "Gr\xc3\xbc\xc3\x9f" "e, \xe6\x97\xa5\xe6\x9c\xac";

struct Lines : bine::LineReceiver {
    void lineReceived(std::string_view line) override { heard += std::string(line) + "|"; }
    std::string heard;
};

struct Wire {
    std::shared_ptr<Lines> protocol = std::make_shared<Lines>();
    std::shared_ptr<bine::MemoryTransport> transport = std::make_shared<bine::MemoryTransport>();
    Wire() { protocol->makeConnection(transport); }
};

} // namespace

class QtTextTest : public QObject {
    Q_OBJECT

private slots:
    void writeTakesEachString_data() {
        QTest::addColumn<QString>("text");
        QTest::addColumn<std::string>("bytes");
        QTest::newRow("not ASCII") << foreign << foreignBytes;
        QTest::newRow("with a NUL") << QString("a").append(QChar(0)).append("b") << "a\0b"s;
        QTest::newRow("empty") << QString("") << ""s;
        QTest::newRow("null") << QString() << ""s;
        QTest::newRow("large") << QString(100'000, 'x') << std::string(100'000, 'x');
    }
    void writeTakesEachString() {
        QFETCH(QString, text);
        QFETCH(std::string, bytes);
        Wire wire;
        bine::Transport& transport = *wire.transport;
        transport.write(text);
        QCOMPARE(wire.transport->value(), bytes);
        wire.transport->clear();
        transport.write(QStringView(text));
        QCOMPARE(wire.transport->value(), bytes);
        wire.transport->clear();
        transport.write(text.toUtf8());
        QCOMPARE(wire.transport->value(), bytes);
        wire.transport->clear();
        static_cast<bine::Consumer&>(transport).write(text);
        QCOMPARE(wire.transport->value(), bytes);
        wire.transport->clear();
        wire.protocol->sendLine(text);
        QCOMPARE(wire.transport->value(), bytes + "\r\n");
    }
    void aByteArrayIsTakenAsItIs() {
        Wire wire;
        const QByteArray bytes("\xff\x00\xfe", 3);
        wire.transport->write(bytes);
        QCOMPARE(wire.transport->value(), "\xff\0\xfe"s);
    }
    void feedTakesThem() {
        Wire wire;
        wire.transport->feed(foreign + "\r\n");
        wire.transport->feed(QByteArray("x\r\n"));
        QCOMPARE(wire.protocol->heard, foreignBytes + "|x|");
    }
    void hostsAreTaken() {
        QCOMPARE(bine::Address::of(QString("::1"), 79).text(), std::string("[::1]:79"));
        QCOMPARE(bine::TCPServerOptions().listenOn(QString("127.0.0.1")).listenOn(), std::string("127.0.0.1"));
        QCOMPARE(bine::TCPClientOptions().bindAddress(QString("127.0.0.1")).bindAddress()->host(), std::string("127.0.0.1"));
    }
    void connectingTakesThem() {
        bine::EpollReactor reactor;
        const QString host = "127.0.0.1";
        int failed = 0;
        const auto hear = [&](const bine::Failure&) {
            if (++failed == 4) reactor.stop();
        };
        bine::connectFactory(reactor, host, 1, bine::Factory::forProtocol<Lines>()).addCallback([](auto&&) {}).addErrback(hear);
        bine::connectProtocol(reactor, host, 1, std::make_shared<Lines>()).addCallback([](auto&&) {}).addErrback(hear);
        bine::openConnection(reactor, host, 1).addCallback([](auto&&) {}).addErrback(hear);
        bine::finger(reactor, QString("@127.0.0.1:1")).as<QString>().addCallback([](QString) {}).addErrback(hear);
        reactor.run();
        QCOMPARE(failed, 4);
    }
    void aResultBecomesAQString_data() {
        QTest::addColumn<std::string>("bytes");
        QTest::addColumn<QString>("text");
        QTest::newRow("not ASCII") << foreignBytes << foreign;
        QTest::newRow("with a NUL") << "a\0b"s << QString("a").append(QChar(0)).append("b");
        QTest::newRow("empty") << ""s << QString("");
        QTest::newRow("not UTF-8") << "a\xff"s << QString("a").append(QChar(0xfffd));
    }
    void aResultBecomesAQString() {
        QFETCH(std::string, bytes);
        QFETCH(QString, text);
        QString got;
        bine::succeed(bytes).as<QString>().addCallback([&](QString result) { got = result; });
        QCOMPARE(got, text);
        QByteArray raw;
        bine::succeed(bytes).as<QByteArray>().addCallback([&](QByteArray result) { raw = result; });
        QCOMPARE(raw.toStdString(), bytes);
    }
    void aFailurePasses() {
        std::string said;
        bine::fail<std::string>(std::runtime_error("oops")).as<QString>().addErrback([&](const bine::Failure& failure) {
            said = failure.getErrorMessage();
            return QString();
        });
        QCOMPARE(said, std::string("oops"));
    }
    void theLogTakesThem() {
        bine::LogRecorder recorder;
        bine::Logger("test").error(foreign, {{"who", QString("me")}});
        const auto events = recorder.flush();
        QCOMPARE(events.size(), std::size_t(1));
        QCOMPARE(events[0].message, foreignBytes);
        QCOMPARE(events[0].fields.at(0).value(), std::string("me"));
    }
};

QTEST_GUILESS_MAIN(QtTextTest)
#include "qt_text_test.moc"
