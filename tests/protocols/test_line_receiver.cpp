// LineReceiver and LineOnlyReceiver: lines however they are cut, modes and pauses in the middle, and what it costs.
#include <QtTest/QtTest>

#include <functional>
#include <stdexcept>

#include "bine/log/recorder.h"
#include "bine/net/errors.h"
#include "bine/net/memory_transport.h"
#include "bine/protocols/line_receiver.h"

using namespace bine;

namespace {

/// Writes down what it hears: "[line]", "(raw)", "!bytes of a line that is too long!", "#Reason".
class Recorder : public LineReceiver {
public:
    void lineReceived(std::string_view line) override {
        heard += "[" + std::string(line) + "]";
        if (onLine) onLine(line);
    }
    void rawDataReceived(std::string_view data) override {
        heard += "(" + std::string(data) + ")";
        if (onRaw) onRaw(data);
    }
    void lineLengthExceeded(std::string_view bytes) override {
        heard += "!" + std::string(bytes) + "!";
        if (onTooLong) onTooLong();
        if (closeWhenTooLong) LineReceiver::lineLengthExceeded(bytes);
    }
    void connectionLost(const Failure& reason) override { heard += "#" + reason.typeName().substr(reason.typeName().rfind(':') + 1); }

    std::string heard;
    std::function<void(std::string_view)> onLine, onRaw;
    std::function<void()> onTooLong;
    bool closeWhenTooLong = true;
};

class OnlyRecorder : public LineOnlyReceiver {
public:
    void lineReceived(std::string_view line) override {
        heard += "[" + std::string(line) + "]";
        if (onLine) onLine(line);
    }
    std::string heard;
    std::function<void(std::string_view)> onLine;
};

template <class P = Recorder>
struct Connected {
    std::shared_ptr<MemoryTransport> transport = std::make_shared<MemoryTransport>();
    std::shared_ptr<P> protocol = std::make_shared<P>();
    Connected() { protocol->makeConnection(transport); }
    void feed(std::string_view data) { transport->feed(data); }
    std::string& heard() { return protocol->heard; }
};

/// What is heard of `stream` is the same in pieces of each size, and cut in two at each place; else the first that differs.
template <class P>
std::string heardInAllPieces(const std::string& stream, const std::function<void(P&)>& prepare = {}) {
    const auto heard = [&](std::vector<std::size_t> cuts) {
        Connected<P> c;
        if (prepare) prepare(*c.protocol);
        std::size_t from = 0;
        for (const std::size_t cut : cuts) {
            c.feed(std::string_view(stream).substr(from, cut - from));
            from = cut;
        }
        c.feed(std::string_view(stream).substr(from));
        return c.heard();
    };
    const std::string whole = heard({});
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
        if (const std::string other = heard({cut}); other != whole) return "cut at " + std::to_string(cut) + ": " + other;
        std::vector<std::size_t> cuts;
        for (std::size_t at = cut; at < stream.size(); at += cut) cuts.push_back(at);
        if (const std::string other = heard(cuts); other != whole) return "pieces of " + std::to_string(cut) + ": " + other;
    }
    return whole;
}

}  // namespace

class TestLineReceiver : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void linesAreTheSameHoweverTheyAreCut() {
        const std::string stream = "one\r\n\r\ntwo\rthree\nfour\r\n\r\r\nrest";
        const std::string expected = "[one][][two\rthree\nfour][\r]";
        QCOMPARE(heardInAllPieces<Recorder>(stream), expected);
        QCOMPARE(heardInAllPieces<OnlyRecorder>(stream), expected);
    }
    void anyDelimiterWorks() {
        QCOMPARE(heardInAllPieces<Recorder>("a--b---c--", [](Recorder& r) { r.setDelimiter("--"); }), std::string("[a][b][-c]"));
        QCOMPARE(heardInAllPieces<Recorder>("aababaabab", [](Recorder& r) { r.setDelimiter("abab"); }), std::string("[a][a]"));
        QCOMPARE(heardInAllPieces<Recorder>(std::string("x\0y\0", 4), [](Recorder& r) { r.setDelimiter(std::string_view("\0", 1)); }),
                 std::string("[x][y]"));
    }
    void anEmptyDelimiterIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, std::make_shared<Recorder>()->setDelimiter(""));
    }
    void theDelimiterCanChangeBetweenTwoLines() {
        const auto prepare = [](Recorder& r) {
            r.onLine = [&r](std::string_view line) {
                if (line == "dot") r.setDelimiter(".");
            };
        };
        QCOMPARE(heardInAllPieces<Recorder>("dot\r\na.b\r\n.c", prepare), std::string("[dot][a][b\r\n]"));
    }
    void sendLineAddsTheDelimiter() {
        Connected<> c;
        c.protocol->sendLine("hello");
        c.protocol->setDelimiter("\n");
        c.protocol->sendLine("");
        QCOMPARE(c.transport->value(), std::string("hello\r\n\n"));
    }

    // --- Length

    void aLineOfMaximalLengthIsFine() {
        const auto prepare = [](Recorder& r) { r.setMaxLength(5); };
        QCOMPARE(heardInAllPieces<Recorder>("12345\r\n12345\r\n", prepare), std::string("[12345][12345]"));
        QCOMPARE(Connected<>().protocol->maxLength(), std::size_t(16384));
    }
    void aLineTooLongClosesTheConnection() {
        Connected<> c;
        c.protocol->setMaxLength(5);
        c.feed("123456\r\nnext\r\n");
        QCOMPARE(c.heard(), std::string("!123456!"));
        QVERIFY(c.transport->closing());
    }
    void aLineTooLongIsNoticedBeforeItEnds() {
        Connected<> c;
        c.protocol->setMaxLength(5);
        c.feed("123456");
        QCOMPARE(c.heard(), std::string());
        c.feed("7");
        QCOMPARE(c.heard(), std::string("!123456!"));
        QVERIFY(c.transport->closing());
    }
    void lineOnlyReceiverHasTheSameLimit() {
        Connected<OnlyRecorder> c;
        c.protocol->setMaxLength(5);
        c.feed("12345\r\n123456\r\n1\r\n");
        QCOMPARE(c.heard(), std::string("[12345]"));
        QVERIFY(c.transport->closing());
    }
    void anOverrideThatGoesOnGetsTheNextLine() {
        const auto prepare = [](Recorder& r) {
            r.setMaxLength(5);
            r.closeWhenTooLong = false;
        };
        QCOMPARE(heardInAllPieces<Recorder>("12345\r\n123456\r\nok\r\n1234567890\rx\r\r\n12345\r\n", prepare),
                 std::string("[12345]!123456![ok]!123456![12345]"));
        QCOMPARE(heardInAllPieces<Recorder>("12345\rx\r\nok\r\n", prepare), std::string("!12345\r![ok]"));
        QCOMPARE(heardInAllPieces<Recorder>("12345\r\n" + std::string(100, 'x') + "\r\n\r\n", prepare), std::string("[12345]!xxxxxx![]"));
        QCOMPARE(heardInAllPieces<Recorder>("a\r\n\r\n", [](Recorder& r) {
                     r.setMaxLength(0);
                     r.closeWhenTooLong = false;
                 }),
                 std::string("!a![]"));
        QCOMPARE(heardInAllPieces<Recorder>("ababxabababab--x--", [](Recorder& r) {
                     r.setMaxLength(3);
                     r.closeWhenTooLong = false;
                     r.setDelimiter("--");
                 }),
                 std::string("!abab![x]"));
    }
    void aLineTooLongClosesTheSameHoweverItIsCut() {
        QCOMPARE(heardInAllPieces<Recorder>("ok\r\n123456\r\nnext\r\n", [](Recorder& r) { r.setMaxLength(5); }), std::string("[ok]!123456!"));
    }
    void rawModeGetsTheRestOfALineTooLong() {
        std::string raw;
        const auto prepare = [&raw](Recorder& r) {
            raw.clear();
            r.setMaxLength(5);
            r.closeWhenTooLong = false;
            r.onTooLong = [&r] { r.setRawMode(); };
            r.onRaw = [&](std::string_view data) {
                r.heard.resize(r.heard.size() - data.size() - 2);  // how it is cut is not part of what is compared
                const auto end = data.find('.');
                raw += data.substr(0, end);
                if (end == std::string_view::npos) return;
                r.heard += "(" + std::exchange(raw, {}) + ")";
                r.setLineMode(data.substr(end + 1));
            };
        };
        QCOMPARE(heardInAllPieces<Recorder>("1234567\r\n89.ok\r\n123456x.no\r\n", prepare), std::string("!123456!(7\r\n89)[ok]!123456!(x)[no]"));
    }
    void aPauseInALineTooLongChangesNothing() {
        const std::string stream = "1234567890\r\nok\r\n123456\r\nok\r\n";
        for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
            Connected<> c;
            c.protocol->setMaxLength(5);
            c.protocol->closeWhenTooLong = false;
            c.protocol->onTooLong = [&] { c.protocol->pauseProducing(); };
            c.transport->feed(stream, chunk);
            for (int i = 0; i < 6; ++i) c.protocol->resumeProducing();
            QCOMPARE(c.heard(), std::string("!123456![ok]!123456![ok]"));
        }
    }

    // --- Modes

    void rawModeBeginsInTheMiddleOfAPiece() {
        const auto prepare = [](Recorder& r) {
            r.onLine = [&r](std::string_view line) {
                if (line == "raw") r.setRawMode();
            };
        };
        Connected<> c;
        prepare(*c.protocol);
        c.feed("a\r\nraw\r\n1\r\n2");
        c.feed("3\r\n");
        QCOMPARE(c.heard(), std::string("[a][raw](1\r\n2)(3\r\n)"));
        QVERIFY(!c.protocol->lineMode());
    }
    void lineModeGoesOnWithTheRest() {
        // "N\r\n" announces N raw bytes.
        const auto prepare = [](Recorder& r) {
            auto left = std::make_shared<std::size_t>(0);
            auto raw = std::make_shared<std::string>();
            r.onLine = [&r, left](std::string_view line) {
                if (line.empty() || !std::isdigit(static_cast<unsigned char>(line[0]))) return;
                *left = std::stoul(std::string(line));
                r.setRawMode();
            };
            r.onRaw = [&r, left, raw](std::string_view data) {
                r.heard.resize(r.heard.size() - data.size() - 2);  // how it is cut is not part of what is compared
                const auto mine = data.substr(0, *left);
                *raw += mine;
                *left -= mine.size();
                if (*left > 0) return;
                r.heard += "(" + std::exchange(*raw, {}) + ")";
                r.setLineMode(data.substr(mine.size()));
            };
        };
        QCOMPARE(heardInAllPieces<Recorder>("5\r\na\r\nbcx\r\n3\r\n\r\n\ry\r\n", prepare), std::string("[5](a\r\nbc)[x][3](\r\n\r)[y]"));
    }
    void theRestMayBeAnyBytes() {
        Connected<> c;
        c.protocol->setRawMode();
        c.protocol->onRaw = [&](std::string_view) { c.protocol->setLineMode("one\r\ntwo"); };
        c.feed("xyz");
        c.feed("\r\n");
        QCOMPARE(c.heard(), std::string("(xyz)[one][two]"));
    }
    void setLineModeOutsideOfACallbackDeliversTheRest() {
        Connected<> c;
        c.protocol->setRawMode();
        c.protocol->setLineMode("one\r\ntw");
        QCOMPARE(c.heard(), std::string("[one]"));
        c.feed("o\r\n");
        QCOMPARE(c.heard(), std::string("[one][two]"));
    }
    void rawModeWithoutAHandlerIsAnError() {
        struct Careless : LineReceiver {
            void lineReceived(std::string_view) override { setRawMode(); }
        };
        LogRecorder log;
        auto transport = std::make_shared<MemoryTransport>();
        auto careless = std::make_shared<Careless>();
        careless->makeConnection(transport);
        transport->feed("a\r\nb");
        QVERIFY(transport->aborted());
        QCOMPARE(log.flushErrors<std::logic_error>().size(), std::size_t(1));
    }

    // --- Pauses

    void aPauseHoldsTheRestOfThePiece() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view line) {
            if (line == "stop") c.protocol->pauseProducing();
        };
        c.feed("a\r\nstop\r\nb\r\nc");
        QCOMPARE(c.heard(), std::string("[a][stop]"));
        QVERIFY(c.transport->paused());
        c.feed("d\r\n");
        QCOMPARE(c.heard(), std::string("[a][stop]"));
        c.protocol->resumeProducing();
        QCOMPARE(c.heard(), std::string("[a][stop][b][cd]"));
        QVERIFY(!c.transport->paused());
    }
    void pausingAtEveryLineIsTheSameHoweverItIsCut() {
        const std::string stream = "one\r\n\r\nraw\r\nfour\r\n";
        for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
            Connected<> c;
            c.protocol->onLine = [&](std::string_view) { c.protocol->pauseProducing(); };
            c.transport->feed(stream, chunk);
            for (int i = 0; i < 6; ++i) c.protocol->resumeProducing();
            QCOMPARE(c.heard(), std::string("[one][][raw][four]"));
        }
    }
    void resumingInTheCallbackGoesOnAfterIt() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view line) {
            if (line != "a") return;
            c.protocol->pauseProducing();
            c.protocol->resumeProducing();
            c.protocol->heard += "<";
        };
        c.feed("a\r\nb\r\n");
        QCOMPARE(c.heard(), std::string("[a]<[b]"));
        QVERIFY(!c.transport->paused());
    }
    void aPauseHoldsRawDataToo() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view) {
            c.protocol->setRawMode();
            c.protocol->pauseProducing();
        };
        c.feed("a\r\nraw");
        QCOMPARE(c.heard(), std::string("[a]"));
        c.protocol->resumeProducing();
        QCOMPARE(c.heard(), std::string("[a](raw)"));
    }
    void aPausedReceiverHearsOfTheEndAfterItsLines() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view line) {
            if (line == "a") c.protocol->pauseProducing();
        };
        c.feed("a\r\nb\r\n");
        c.transport->feedEof();
        QCOMPARE(c.heard(), std::string("[a]"));
        c.protocol->resumeProducing();
        QCOMPARE(c.heard(), std::string("[a][b]#ConnectionDone"));
    }
    void anExceptionAfterAResumeEndsTheConnection() {
        LogRecorder log;
        Connected<> c;
        c.protocol->onLine = [&](std::string_view line) {
            if (line == "a") c.protocol->pauseProducing();
            if (line == "b") throw std::runtime_error("bad line");
        };
        c.feed("a\r\nb\r\nc\r\n");
        c.protocol->resumeProducing();
        QVERIFY(c.transport->aborted());
        c.transport->finish();
        QCOMPARE(c.heard(), std::string("[a][b]#runtime_error"));
        QCOMPARE(log.flushErrors<std::runtime_error>().size(), std::size_t(1));
    }
    void stopProducingClosesTheConnection() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view) { c.protocol->stopProducing(); };
        c.feed("a\r\nb\r\n");
        QCOMPARE(c.heard(), std::string("[a]"));
        QVERIFY(c.transport->closing());
    }
    void resumingAfterTheEndDoesNothing() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view) { c.protocol->pauseProducing(); };
        c.feed("a\r\nb\r\n");
        c.transport->end(connectionDone());
        c.protocol->resumeProducing();
        QCOMPARE(c.heard(), std::string("[a]#ConnectionDone"));
    }

    // --- Ends

    void r155_noLineAfterLoseConnection() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view) { c.protocol->transport().loseConnection(); };
        c.feed("a\r\nb\r\n");
        QCOMPARE(c.heard(), std::string("[a]"));

        Connected<OnlyRecorder> only;
        only.protocol->onLine = [&](std::string_view) { only.protocol->transport().loseConnection(); };
        only.feed("a\r\nb\r\n");
        QCOMPARE(only.heard(), std::string("[a]"));
    }
    void r159_noLineAfterAbortConnection() {
        Connected<> c;
        c.protocol->onLine = [&](std::string_view) { c.protocol->transport().abortConnection(); };
        c.feed("a\r\nb\r\n");
        QCOMPARE(c.heard(), std::string("[a]"));
    }
    void theEndAtAnyByteIsJustTheEnd() {
        const std::string stream = "one\r\ntwo\r\n";
        for (std::size_t length = 0; length <= stream.size(); ++length) {
            Connected<> c;
            c.feed(std::string_view(stream).substr(0, length));
            c.transport->feedEof();
            const std::string lines = length < 5 ? "" : length < 10 ? "[one]" : "[one][two]";
            QCOMPARE(c.heard(), lines + "#ConnectionDone");
        }
    }
    void clearLineBufferTakesWhatWasNotDelivered() {
        Connected<> c;
        std::string taken;
        c.protocol->onLine = [&](std::string_view) { taken = c.protocol->clearLineBuffer(); };
        c.feed("a\r\nb\r\nc");
        QCOMPARE(taken, std::string("b\r\nc"));
        QCOMPARE(c.heard(), std::string("[a]"));
        c.feed("x\r\n");
        QCOMPARE(c.heard(), std::string("[a][x]"));
        c.feed("partial");
        QCOMPARE(c.protocol->clearLineBuffer(), std::string("partial"));
    }

    // --- Cost

    void linesInOnePieceAreNotCopied() {
        Connected<> c;
        const std::string piece = "first\r\nsecond\r\n";
        bool inside = true;
        c.protocol->onLine = [&](std::string_view line) {
            inside = inside && line.data() >= piece.data() && line.data() + line.size() <= piece.data() + piece.size();
        };
        c.protocol->dataReceived(piece);
        QCOMPARE(c.heard(), std::string("[first][second]"));
        QVERIFY(inside);
    }
    // Quadratic cost would move terabytes, which takes minutes: the time limit of the test is the assertion.
    void costIsLinear_pausedAtEveryLine() {
        Connected<> c;
        std::size_t lines = 0;
        c.protocol->onLine = [&](std::string_view) {
            c.protocol->heard.clear();
            ++lines;
            c.protocol->pauseProducing();
        };
        std::string piece;
        for (int i = 0; i < 1'000'000; ++i) piece += "12345678\r\n";
        c.protocol->dataReceived(piece);
        while (c.protocol->paused()) c.protocol->resumeProducing();
        QCOMPARE(lines, std::size_t(1'000'000));
    }
    void costIsLinear_modesThatAlternate() {
        std::size_t lines = 0;
        struct Quiet : Recorder {
            void rawDataReceived(std::string_view data) override { onRaw(data); }
        };
        auto quiet = std::make_shared<Quiet>();
        auto transport = std::make_shared<MemoryTransport>();
        quiet->onLine = [&](std::string_view) {
            quiet->heard.clear();
            ++lines;
            quiet->setRawMode();
        };
        quiet->onRaw = [&](std::string_view data) { quiet->setLineMode(data.substr(1)); };
        quiet->makeConnection(transport);
        std::string piece;
        for (int i = 0; i < 1'000'000; ++i) piece += "1234567\r\nR";
        quiet->dataReceived(piece);
        QCOMPARE(lines, std::size_t(1'000'000));
    }
    void costIsLinear_aLongLineByteByByte() {
        Connected<> c;
        c.protocol->setMaxLength(std::size_t(1) << 40);
        const std::string byte = "\r";
        for (int i = 0; i < 1'000'000; ++i) c.protocol->dataReceived(byte);
        c.protocol->dataReceived("\n");
        QCOMPARE(c.heard().size(), std::size_t(999'999 + 2));
    }
};

QTEST_GUILESS_MAIN(TestLineReceiver)
#include "test_line_receiver.moc"
