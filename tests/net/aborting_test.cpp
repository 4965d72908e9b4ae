// Ending with a reason: abortConnection(reason), ProtocolError, and what the log says of either.
#include <QtTest>

#include "bine/log/recorder.h"
#include "bine/net/errors.h"
#include "bine/net/half_close.h"
#include "bine/net/memory_transport.h"
#include "bine/net/stream.h"
#include "net_testing.h"

using namespace bine;
using namespace nettest;

namespace {

struct Wire {
    Wire() { protocol->makeConnection(transport); }
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    std::shared_ptr<Heard> protocol = std::make_shared<Heard>();
};

struct Thrower : Protocol, HalfCloseableProtocol {
    std::string where;
    void maybe(const char* here) {
        if (where == here)
            throw std::runtime_error("bug");
    }
    void connectionMade() override { maybe("connectionMade()"); }
    void dataReceived(std::string_view) override { maybe("dataReceived()"); }
    void readConnectionLost() override { maybe("readConnectionLost()"); }
    void writeConnectionLost() override { maybe("writeConnectionLost()"); }
};

} // namespace

class AbortingTest : public QObject {
    Q_OBJECT

private slots:
    void theReasonIsWhatConnectionLostGets() {
        Wire wire;
        wire.protocol->transport().abortConnection(ProtocolError("no greeting"));
        QVERIFY(wire.transport->aborted());
        QVERIFY(!wire.protocol->lost());
        wire.transport->finish();
        QVERIFY(wire.protocol->lostBy<ProtocolError>());
        QCOMPARE(wire.protocol->reason->getErrorMessage(), std::string("no greeting"));
    }
    void theFirstReasonCountsAndIsLoggedOnce() {
        Logged log(LogLevel::info);
        Wire wire;
        wire.protocol->onData = [](Heard& protocol, std::string_view data) {
            protocol.transport().abortConnection(ProtocolError("no greeting", data));
            protocol.transport().abortConnection(ProtocolError("another"));
        };
        wire.transport->feed("HELO\r\n");
        wire.transport->finish();
        wire.protocol->transport().abortConnection(ProtocolError("too late"));
        QCOMPARE(wire.protocol->reason->getErrorMessage(), std::string("no greeting: \"HELO\\r\\n\""));
        QCOMPARE(log.text, std::string("Aborting <Heard>: no greeting: \"HELO\\r\\n\""));
    }
    void anAbortAfterLoseConnectionHasItsReason() {
        Wire wire;
        wire.protocol->transport().loseConnection();
        wire.protocol->transport().abortConnection(ProtocolError("enough"));
        wire.transport->finish();
        QVERIFY(wire.protocol->lostBy<ProtocolError>());
    }
    void anUnconnectedProtocolMayAbort() {
        LogRecorder log;
        Heard().transport().abortConnection(ProtocolError("nobody is there"));
        QCOMPARE(log.flush().size(), 0U);
    }
    void aThrownProtocolErrorAbortsWithoutACriticalLine() {
        LogRecorder errors;
        Logged log(LogLevel::info);
        Wire wire;
        wire.protocol->onData = [](Heard&, std::string_view) { throw ProtocolError("a bad digit"); };
        wire.transport->feed("x");
        wire.transport->finish();
        QVERIFY(wire.protocol->lostBy<ProtocolError>());
        QCOMPARE(log.text, std::string("Aborting <Heard>: a bad digit"));
        QCOMPARE(errors.flush().size(), std::size_t{0});
    }
    void theCriticalLineNamesTheCallback_data() {
        QTest::addColumn<QString>("callback");
        for (const char* each : {"connectionMade()", "dataReceived()", "readConnectionLost()", "writeConnectionLost()"})
            QTest::newRow(each) << QString(each);
    }
    void theCriticalLineNamesTheCallback() {
        QFETCH(QString, callback);
        LogRecorder errors;
        Logged log(LogLevel::critical);
        const auto transport = std::make_shared<MemoryTransport>();
        const auto protocol = std::make_shared<Thrower>();
        protocol->where = callback.toStdString();
        protocol->makeConnection(transport);
        transport->feed("x");
        transport->feedEof();
        transport->loseWriteConnection();
        transport->takeOutput();
        transport->finish();
        QCOMPARE(log.text,
                 "Unhandled error in " + protocol->where + " of Thrower; the connection is aborted");
        QCOMPARE(errors.flush().size(), std::size_t{1});
    }    void theExcerptIsShortAndEscaped() {
        const ProtocolError error("bad", std::string("\x1b[31m") + std::string(200, 'y'));
        const std::string text = error.what();
        QVERIFY(text.starts_with("bad: \"\\x1b[31myy"));
        QVERIFY(text.ends_with("y\"..."));
        QCOMPARE(std::count(text.begin(), text.end(), 'y'), std::ptrdiff_t{75});
        QVERIFY(!error.userMessage().empty());
    }
    void aStreamLimitIsTheFaultOfThePeer() {
        Logged log(LogLevel::info);
        const auto transport = std::make_shared<MemoryTransport>();
        const auto factory = streamFactory([](Stream stream) -> Deferred<> { co_await stream.readLine(4); });
        factory->buildProtocol(Address())->makeConnection(transport);
        transport->feed("a long line without end");
        transport->finish();
        QCOMPARE(log.text, std::string("Aborting <Stream>: a line is longer than 4 bytes"));
    }
};

QTEST_GUILESS_MAIN(AbortingTest)
#include "aborting_test.moc"
