// FingerQuery: what people write and what servers receive (RFC 1288, section 2.3).
#include <QtTest/QtTest>

#include "bine/protocols/finger_query.h"

using bine::FingerQuery;
using bine::InvalidFingerQuery;

namespace {

/// "user|host|port|verbose", or "!" and the message.
QString parsed(std::string_view text, int port = 79) {
    try {
        const FingerQuery q = FingerQuery::parse(text, port);
        return QString::fromStdString(q.user() + "|" + q.host() + "|" + std::to_string(q.port()) + (q.verbose() ? "|W" : "|"));
    } catch (const InvalidFingerQuery& e) {
        return "!" + QString::fromStdString(e.userMessage());
    }
}

QString line(std::string_view text) {
    try {
        const FingerQuery q = FingerQuery::parseLine(text);
        return QString::fromStdString(q.user() + "|" + q.host() + (q.verbose() ? "|W" : "|") + (q.isForwarding() ? "|forward" : "|"));
    } catch (const InvalidFingerQuery& e) {
        return "!" + QString::fromStdString(e.userMessage());
    }
}

}  // namespace

class TestFingerQuery : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void whatPeopleWrite_data() {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("expected");
        const auto row = [](const char* text, const char* expected) { QTest::newRow(text) << text << expected; };
        row("alice@localhost", "alice|localhost|79|");
        row("alice@localhost:7979", "alice|localhost|7979|");
        row("@localhost", "|localhost|79|");
        row("  @localhost\t", "|localhost|79|");
        row("/W alice@localhost", "alice|localhost|79|W");
        row("/w @localhost", "|localhost|79|W");
        row("/W@localhost", "|localhost|79|W");
        row("alice smith @ localhost:80", "alice smith|localhost|80|");
        row("alice@127.0.0.1:7979", "alice|127.0.0.1|7979|");
        row("alice@::1", "alice|::1|79|");
        row("alice@[::1]", "alice|::1|79|");
        row("alice@[::1]:7979", "alice|::1|7979|");
        row("alice@host:65535", "alice|host|65535|");
        row("\xc3\xa9va@host", "\xc3\xa9va|host|79|");
        row("finger://host", "|host|79|");
        row("finger://host/", "|host|79|");
        row("finger:alice@host", "finger:alice|host|79|");
        row(" Finger://host/alice ", "alice|host|79|");
        row("finger://host:7979/alice", "alice|host|7979|");
        row("finger://[::1]:7979/alice", "alice|::1|7979|");
        row("finger://127.0.0.1/alice%20smith", "alice smith|127.0.0.1|79|");
        row("finger://host/%C3%a9va", "\xc3\xa9va|host|79|");
        row("finger://host/%2FW%20alice", "alice|host|79|W");
        row("finger://host//W%20alice", "alice|host|79|W");
        row("/W finger://host/alice", "alice|host|79|W");
        row("finger://host/100%25", "100%|host|79|");
        row("finger://host/who%3F", "who?|host|79|");
    }
    void whatPeopleWrite() {
        QFETCH(QString, text);
        QFETCH(QString, expected);
        QCOMPARE(parsed(text.toStdString()), expected);
    }
    void thePortCanHaveAnotherDefault() { QCOMPARE(parsed("alice@localhost", 7979), "alice|localhost|7979|"); }

    void whatCannotBeAsked_data() {
        QTest::addColumn<QByteArray>("text");
        QTest::addColumn<QString>("words");
        const auto row = [](const char* text, const char* words) { QTest::newRow(text) << QByteArray(text) << words; };
        row("", "nothing to ask");
        row("   ", "nothing to ask");
        row("alice", "no host in \"alice\"");
        row("alice@", "no host behind the @");
        row("alice@:79", "no host behind the @");
        row("alice@a@b", "Ask the host that has the user");
        row("@a@b", "Ask the host that has the user");
        row("/X alice@host", "\"/X\" is not known");
        row("/Walice@host", "\"/Walice\" is not known");
        row("alice@host:", "\"\" is not a port");
        row("alice@host:0", "\"0\" is not a port");
        row("alice@host:65536", "\"65536\" is not a port");
        row("alice@host:http", "\"http\" is not a port");
        row("alice@host:99999999999999999999", "is not a port");
        row("alice@[::1", "not closed");
        row("alice@[::1]79", "not a port");
        row("alice@[127.0.0.1]", "not an IPv6 address");
        row("alice@1:2:3", "neither a host with a port nor an IPv6 address");
        row("alice@two hosts", "not the name of a host");
        row("alice@host/path", "not the name of a host");
        row("alice\r\nbob@host", "cannot be sent");
        row("alice\x01@host", "cannot be sent");
        row("\xff@host", "cannot be sent");
        row("finger:", "no host in \"finger:\"");
        row("finger://host/finger://host", "does not stand for a user");
        row("finger://", "no host in this link");
        row("finger:///alice", "no host in this link");
        row("finger://:79/alice", "no host in this link");
        row("finger://alice@host", "the user stands behind the host");
        row("finger://host/a@b", "not asked to ask another one");
        row("finger://host/a%40b", "not asked to ask another one");
        row("finger://host/a%0d%0ab", "cannot be sent");
        row("finger://host/a%00", "cannot be sent");
        row("finger://host/%1b", "cannot be sent");
        row("finger://host/%ff", "cannot be sent");
        row("finger://host/%E2%80%AE", "cannot be sent");
        row("finger://ho%0ast/a", "cannot be sent");
        row("finger://host/%", "Write %25");
        row("finger://host/%2", "Write %25");
        row("finger://host/%zz", "Write %25");
        row("finger://host/a?b", "Write %3F");
        row("finger://host/a#b", "%23 for a #");
        row("finger://host:0/a", "\"0\" is not a port");
        row("finger://[::1/a", "not closed");
        row("finger://host//X%20a", "\"/X\" is not known");
    }
    void whatCannotBeAsked() {
        QFETCH(QByteArray, text);
        QFETCH(QString, words);
        const QString answer = parsed(text.toStdString());
        QVERIFY2(answer.startsWith('!') && answer.contains(words), qPrintable(answer));
    }
    void tooLongIsRefused() {
        QVERIFY(parsed(std::string(505, 'a') + "@host").contains(QString(505, 'a')));
        QVERIFY(parsed(std::string(600, 'a') + "@host").contains("too long"));
        QVERIFY(parsed("a@" + std::string(254, 'h')).contains("not the name of a host"));
        std::string link = "finger://host/";
        for (int i = 0; i < 512; ++i) link += "%61";
        QCOMPARE(parsed(link), QString(512, 'a') + "|host|79|");
        QVERIFY(parsed(link + "a").contains("too long"));
        QVERIFY(parsed("finger://host/" + std::string(3000, 'a')).contains("too long"));
    }

    void whatIsSent() {
        QCOMPARE(FingerQuery::parse("alice@localhost").line(), std::string("alice\r\n"));
        QCOMPARE(FingerQuery::parse("@localhost").line(), std::string("\r\n"));
        QCOMPARE(FingerQuery::parse("/W alice@localhost").line(), std::string("/W alice\r\n"));
        QCOMPARE(FingerQuery::parse("/W @localhost").line(), std::string("/W\r\n"));
    }
    void theTextSaysTheSameAgain() {
        for (const char* text : {"alice@localhost", "@localhost", "/W alice@localhost:7979", "a@[::1]", "@[::1]:7979"})
            QCOMPARE(FingerQuery::parse(text).text(), std::string(text));
    }

    void whatServersReceive() {
        QCOMPARE(line(""), "|||");
        QCOMPARE(line("alice"), "alice|||");
        QCOMPARE(line("/W alice"), "alice||W|");
        QCOMPARE(line("/W"), "||W|");
        QCOMPARE(line(" /w  alice "), "alice||W|");
        QCOMPARE(line("alice@host"), "alice|host||forward");
        QCOMPARE(line("@host"), "|host||forward");
        QCOMPARE(line("a@b@c"), "a|b@c||forward");
        QVERIFY(line("al\x1bice").startsWith('!'));
        QVERIFY(line(std::string(513, 'a')).startsWith('!'));
    }
};

QTEST_GUILESS_MAIN(TestFingerQuery)
#include "test_finger_query.moc"
