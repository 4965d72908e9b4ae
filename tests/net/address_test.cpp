#include <QtTest>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <unordered_set>

#include "bine/net/address.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"

using namespace bine;
using namespace std::chrono_literals;

class AddressTest : public QObject {
    Q_OBJECT
private slots:
    void ipv4IsCheckedAndCanonical() {
        QCOMPARE(IPv4Address("127.0.0.1", 80).host(), "127.0.0.1");
        QCOMPARE(Address(IPv4Address("127.0.0.1", 80)).text(), "127.0.0.1:80");
        for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01x", "localhost", "1.2.3.4 ", "::1"})
            QVERIFY_THROWS_EXCEPTION(InvalidAddressError, IPv4Address(bad, 1));
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, IPv4Address(std::string_view("1.2.3.4\0", 8), 1));
    }
    void r106_ipv6LiteralsKeepTheirScope() {
        const IPv6Address scoped("fe80::1%7", 80);
        QCOMPARE(scoped.host(), "fe80::1");
        QCOMPARE(scoped.scopeID(), 7u);
        QCOMPARE(Address(scoped).text(), "[fe80::1%7]:80");
        QCOMPARE(IPv6Address("0:0:0:0:0:0:0:1", 1).host(), "::1");
        QCOMPARE(IPv6Address("fe80::1%lo", 1).scopeID(), 1u);
        for (const char* bad : {"", "1.2.3.4", "::1%", "::1%nosuchinterface", ":::", "12345::"})
            QVERIFY_THROWS_EXCEPTION(InvalidAddressError, IPv6Address(bad, 1));
    }
    void r104_portsMayBeServiceNames() {
        QCOMPARE(Port("8080").number(), 8080);
        QVERIFY_THROWS_EXCEPTION(ServiceNameUnknownError, Port("nosuchservice"));
        QVERIFY_THROWS_EXCEPTION(ServiceNameUnknownError, Port(""));
        for (const int bad : {-1, 65536})
            QVERIFY_THROWS_EXCEPTION(InvalidAddressError, Port{bad});
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, Port("65536"));
        QVERIFY_THROWS_EXCEPTION(ServiceNameUnknownError, Port("80 "));
    }
    void ofTellsLiteralsFromNames() {
        QCOMPARE(Address::of("10.0.0.1", 1).kind(), AddressKind::ipv4);
        QCOMPARE(Address::of("::", 1).kind(), AddressKind::ipv6);
        QCOMPARE(Address::of("example.org", 1).kind(), AddressKind::hostname);
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, Address::of("", 1));
    }
    void r106_anIPv6LiteralMayStandInBrackets() {
        QCOMPARE(Address::of("[::1]", 80), Address::of("::1", 80));
        QCOMPARE(Address::of("[fe80::1%7]", 80).host(), "fe80::1%7");
        QCOMPARE(IPv6Address("[2001:db8::1]", 1).host(), "2001:db8::1");
        QVERIFY(detail::isAddressLiteral("[::1]"));
        QCOMPARE(*TCPClientOptions().bindAddress("[::1]", 80).bindAddress(), Address::of("::1", 80));
    }
    void r106_malformedHostsSayWhatToWrite_data() {
        QTest::addColumn<QByteArray>("host");
        QTest::addColumn<QString>("words");
        const auto row = [](const char* host, const char* words) {
            QTest::newRow(host) << QByteArray(host) << words;
        };
        row("", "write a name such as localhost, or an address such as 127.0.0.1");
        row("[", "the bracket is not closed; write [::1] or ::1");
        row("[::1", "the bracket is not closed; write [::1] or ::1");
        row("::1]", "write [::1], or a name without them");
        row("[]", "write [::1], or a name without them");
        row("[foo]", "write [::1], or a name without them");
        row("[127.0.0.1]", "write [::1], or a name without them");
        row("[::1]x", "write [::1], or a name without them");
        row("[[::1]]", "write [::1], or a name without them");
        row("[::1]:80", "the port is an argument of its own");
        row("example.org:80", "the port is an argument of its own");
        row("12345::", "write one such as ::1");
        row("::1%nosuchinterface", "no network interface nosuchinterface");
    }
    void r106_malformedHostsSayWhatToWrite() {
        QFETCH(QByteArray, host);
        QFETCH(QString, words);
        try {
            Address::of(host.toStdString(), 80);
            QFAIL("it was taken");
        } catch (const InvalidAddressError& e) {
            QCOMPARE(e.address(), host.toStdString());
            QVERIFY2(QString(e.what()).contains(words), e.what());
            QVERIFY2(QString::fromStdString(e.userMessage()).contains(words), e.userMessage().c_str());
        }
    }
    void unixPathsAreBounded() {
        QCOMPARE(UNIXAddress(std::string(107, 'x')).path().size(), std::size_t{107});
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, UNIXAddress(std::string(108, 'x')));
        QCOMPARE(UNIXAddress(std::string(1, '\0') + std::string(107, 'x')).path().size(), std::size_t{108});
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError,
                                 UNIXAddress(std::string(1, '\0') + std::string(108, 'x')));
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, UNIXAddress(std::string("a\0b", 3)));
    }
    void everyKindSurvivesTheKernelsForm() {
        const Address all[] = {IPv4Address("1.2.3.4", 5),
                               IPv6Address("fe80::2", 5, 6, 7),
                               UNIXAddress("/run/x"),
                               UNIXAddress(""),
                               UNIXAddress(std::string("\0name", 5)),
                               UNIXAddress(std::string(1, '\0') + std::string(107, 'x')),
                               UNIXAddress(std::string(107, 'y'))};
        for (const Address& each : all)
            QCOMPARE(detail::SocketAddress(each).address().text(), each.text());
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, detail::SocketAddress(Address::of("a.b", 1)));
        QVERIFY_THROWS_EXCEPTION(InvalidAddressError, detail::SocketAddress{Address()});
    }
    void truncatedAndForeignSockaddrsAreUnspecified() {
        detail::SocketAddress address{Address(IPv6Address("::1", 1))};
        for (std::size_t length = 0; length < address.length; ++length)
            QCOMPARE(detail::addressFromSockaddr(address.data(), length).kind(), AddressKind::unspecified);
        address.data()->sa_family = AF_PACKET;
        QCOMPARE(detail::addressFromSockaddr(address.data(), address.length).kind(),
                 AddressKind::unspecified);
    }
    void equalAddressesHashAlike() {
        std::unordered_set<Address> set{IPv4Address("1.2.3.4", 5), IPv4Address("1.2.3.4", 6), Address(),
                                        UNIXAddress("/x")};
        QCOMPARE(set.size(), std::size_t{4});
        QVERIFY(set.contains(Address::of("1.2.3.4", 5)));
        QCOMPARE(Address::of("1.2.3.4", 5).withPort(6), Address::of("1.2.3.4", 6));
    }
    void r095_errnosHaveTheirErrors() {
        QVERIFY(detail::connectFailure("x", ECONNREFUSED).check<ConnectionRefusedError>());
        QVERIFY(detail::connectFailure("x", EHOSTUNREACH).check<NoRouteError>());
        QVERIFY(detail::connectFailure("x", ENETUNREACH).check<NoRouteError>());
        QVERIFY(detail::connectFailure("x", ETIMEDOUT).check<TCPTimedOutError>());
        const Failure other = detail::connectFailure("x", EACCES);
        QVERIFY(other.check<ConnectError>() && !other.check<ConnectionRefusedError>());
        QCOMPARE(other.check<ConnectError>()->osError(), EACCES);
    }
    void r095_theMostTellingErrorGivesTheType() {
        const Failure refused = ConnectionRefusedError("x", ECONNREFUSED);
        const Failure timedOut = ConnectTimeoutError("x");
        const Failure kernelsTimeout = TCPTimedOutError("x", ETIMEDOUT);
        const Failure other = ConnectError("x", EACCES);
        const Failure bind = ConnectBindError("x", EADDRINUSE);
        const Failure noRoute = NoRouteError("x", EHOSTUNREACH);
        const auto of = [](const std::vector<Failure>& reasons) {
            std::vector<FailedAddress> failed;
            for (const Failure& each : reasons)
                failed.emplace_back(Address::of("192.0.2.1", 80), each);
            return detail::connectFailure("a.name:80", failed, 5s);
        };
        QVERIFY(of({noRoute, other, timedOut, refused}).check<ConnectionRefusedError>());
        QVERIFY(of({refused, timedOut, other, noRoute}).check<ConnectionRefusedError>());
        QVERIFY(of({noRoute, other, timedOut}).check<ConnectTimeoutError>());
        QVERIFY(of({noRoute, kernelsTimeout, other}).check<TCPTimedOutError>());
        QVERIFY(of({noRoute, bind}).check<ConnectBindError>());
        QVERIFY(of({noRoute, noRoute}).check<NoRouteError>());
        const Failure mixed = of({noRoute, other});
        QVERIFY(mixed.check<ConnectError>() && !mixed.check<NoRouteError>());
        QCOMPARE(mixed.check<ConnectError>()->osError(), EACCES);
        QCOMPARE(of({noRoute, timedOut}).check<ConnectError>()->duration(), Duration(5s));
        QVERIFY(of({Failure(std::runtime_error("of its own"))}).check<std::runtime_error>());
    }
    void errorsSayHowLongItTook() {
        const auto text = [](Duration duration) {
            return QString::fromStdString(ConnectTimeoutError("a.name:80", duration).userMessage());
        };
        QVERIFY(text(30s).startsWith("a.name did not answer within 30 seconds. Check "));
        QVERIFY(text(30s).endsWith("or try again later."));
        QVERIFY(text(1s).contains("within 1 second."));
        QVERIFY(text(1500ms).contains("within 1.5 seconds."));
        QVERIFY(text(250ms).contains("within 250 ms."));
        QVERIFY(text(0s).startsWith("a.name did not answer. "));
        QCOMPARE(QString(ConnectTimeoutError("[::1]:80", 30s).what()), "connecting to ::1 port 80 failed after 30 s: timed out");
    }
    void whatComesFromOutsideIsEscaped() {
        const std::string evil = "a\x1b[2J\n\xe2\x80\xae\xff";
        const std::string shown = "a\\x1b[2J\\n\\u202e\\xff";
        const auto check = [&](const Error& error) {
            for (const std::string& text : {std::string(error.what()), error.userMessage()}) {
                QVERIFY2(text.find(shown) != text.npos, text.c_str());
                QVERIFY2(text.find_first_of("\x1b\n\xe2\xff") == text.npos, text.c_str());
            }
        };
        check(ConnectError(evil + ":80", EACCES));
        check(ConnectBindError(evil + ":80", EADDRINUSE));
        check(UnknownHostError(evil + ":80", 0));
        check(NoRouteError(evil + ":80", ENETUNREACH));
        check(ConnectionRefusedError(evil + ":80", ECONNREFUSED));
        check(TCPTimedOutError(evil + ":80", ETIMEDOUT));
        check(ServiceNameUnknownError(evil));
        check(UserError(evil + ":80", "why"));
        check(ConnectTimeoutError(evil + ":80", 1s));
        check(ConnectingCancelledError(evil + ":80"));
        check(DNSLookupError(evil, "why", true));
        check(DNSLookupError(evil, "why", false));
        check(InvalidAddressError(evil, "why"));
        check(CannotListenError(evil, 80, EADDRNOTAVAIL));
        QCOMPARE(ConnectError(evil + ":80", EACCES).destination(), shown + ":80");
        QVERIFY(QString(DNSLookupError("h", evil, true).what()).contains(QString::fromStdString(shown)));
        QVERIFY(QString(ConnectError("h:80", 0, evil).what()).contains(QString::fromStdString(shown)));
    }
    void errorsAreWhatTheyAre() {
        const Failure timeout = ConnectTimeoutError("x");
        QVERIFY(timeout.check<UserError>() && timeout.check<ConnectError>() &&
                !timeout.check<TimeoutError>());
        const Failure aborted = ConnectionAborted();
        QVERIFY(aborted.check<ConnectionLost>() && aborted.check<ConnectionClosed>() &&
                !aborted.check<ConnectionDone>());
        QVERIFY(Failure(ConnectingCancelledError("x")).check<CancelledError>());
        QVERIFY(CannotListenError("::", 80, EADDRINUSE).userMessage().find("another program") !=
                std::string::npos);
        QVERIFY(ConnectionRefusedError("h:1", ECONNREFUSED).isTransient());
        QVERIFY(!DNSLookupError("h", "no", false).isTransient());
    }
};

QTEST_GUILESS_MAIN(AddressTest)
#include "address_test.moc"
