// A test of a protocol, without a network and without waiting.
#include <QtTest/QtTest>

#include "bine/net/memory_transport.h"
#include "bine/protocols/line_receiver.h"

class Login : public bine::LineReceiver {
public:
    void connectionMade() override {
        deadline_ = transport().clock().callLater(std::chrono::seconds(30), [this] { transport().abortConnection(); });
        deadline_.ownedBy(*this);                     // it ends with the connection
    }
    void lineReceived(std::string_view name) override {
        deadline_.cancel();
        sendLine("welcome " + std::string(name));
    }

private:
    bine::DelayedCall deadline_;
};

class TestLogin : public QObject {
    Q_OBJECT
private slots:
    void welcomes() {
        auto transport = std::make_shared<bine::MemoryTransport>();
        std::make_shared<Login>()->makeConnection(transport);
        transport->feed("alice\r\n");
        QCOMPARE(transport->value(), "welcome alice\r\n");
    }
    void doesNotWaitForEver() {
        auto transport = std::make_shared<bine::MemoryTransport>();
        std::make_shared<Login>()->makeConnection(transport);
        transport->manualClock().advance(std::chrono::seconds(30));
        QVERIFY(transport->aborted());
    }
};

QTEST_GUILESS_MAIN(TestLogin)
#include "qt_test_without_network.moc"
