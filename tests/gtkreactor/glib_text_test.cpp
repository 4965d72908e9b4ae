// GLib's strings and bytes where Bine takes text.

#include <QtTest/QtTest>

#include <string>

#include "bine/gtkreactor/glib_text.h"
#include "bine/log/recorder.h"
#include "bine/net/memory_transport.h"
#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"

using namespace std::string_literals;

namespace {

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

class GlibTextTest : public QObject {
    Q_OBJECT

private slots:
    void writeTakesEachString_data() {
        QTest::addColumn<std::string>("text");
        QTest::newRow("not ASCII") << "Gr\xc3\xbc\xc3\x9f"s;
        QTest::newRow("with a NUL") << "a\0b"s;
        QTest::newRow("empty") << ""s;
    }
    void writeTakesEachString() {
        QFETCH(std::string, text);
        GString* string = g_string_new_len(text.data(), static_cast<gssize>(text.size()));
        GBytes* bytes = g_bytes_new(text.data(), text.size());
        Wire wire;
        bine::Transport& transport = *wire.transport;
        transport.write(string);
        transport.write(bytes);
        static_cast<bine::Consumer&>(transport).write(string);
        wire.protocol->sendLine(string);
        QCOMPARE(wire.transport->value(), text + text + text + text + "\r\n");
        g_bytes_unref(bytes);
        g_string_free(string, TRUE);
    }
    void nullIsEmpty() {
        Wire wire;
        GString* const string = nullptr;
        GBytes* const bytes = nullptr;
        wire.transport->write(string);
        wire.transport->write(bytes);
        QCOMPARE(wire.transport->value(), ""s);
    }
    void feedHostsAndTheLogTakeThem() {
        GString* text = g_string_new("127.0.0.1");
        Wire wire;
        wire.transport->feed(text);
        wire.transport->feed("\r\n");
        QCOMPARE(wire.protocol->heard, "127.0.0.1|"s);
        QCOMPARE(bine::Address::of(text, 79).text(), "127.0.0.1:79"s);
        QCOMPARE(bine::TCPServerOptions().listenOn(text).listenOn(), "127.0.0.1"s);
        bine::LogRecorder recorder;
        bine::Logger("test").error(text, {{"host", text}});
        const auto events = recorder.flush();
        QCOMPARE(events.size(), std::size_t(1));
        QCOMPARE(events[0].message, "127.0.0.1"s);
        QCOMPARE(events[0].fields.at(0).value(), "127.0.0.1"s);
        g_string_free(text, TRUE);
    }
};

QTEST_GUILESS_MAIN(GlibTextTest)
#include "glib_text_test.moc"
