#include <QtTest>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <unordered_set>

#include "bine/net/address.h"
#include "bine/net/errors.h"

using namespace bine;

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
