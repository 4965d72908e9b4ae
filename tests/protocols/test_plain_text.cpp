// PlainText: what a peer sends, made safe to show, whatever pieces it comes in.
#include <QtTest/QtTest>

#include "bine/protocols/plain_text.h"

using bine::isPlainLine;
using bine::plainText;
using bine::PlainText;

namespace {

const std::string bad = "\xef\xbf\xbd";

/// The same through append() in two pieces, cut at each place; empty if one of them differs from the whole.
std::string inPieces(const std::string& bytes) {
    const std::string whole = plainText(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        PlainText text;
        text.append(std::string_view(bytes).substr(0, cut));
        text.append(std::string_view(bytes).substr(cut));
        text.finish();
        if (text.text() != whole) return {};
    }
    PlainText text;
    for (const char byte : bytes) text.append({&byte, 1});
    text.finish();
    return text.text() == whole ? whole : std::string();
}

}  // namespace

class TestPlainText : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void printableTextIsLeftAlone() {
        QCOMPARE(inPieces("Login: alice\tName: Alice\nPlan:\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\xbf\n"),
                 std::string("Login: alice\tName: Alice\nPlan:\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\xbf\n"));
        QCOMPARE(plainText(""), std::string());
    }
    void lineEndsBecomeNewlines() {
        QCOMPARE(inPieces("a\r\nb\rc\nd\r\r\ne\r"), std::string("a\nb\nc\nd\n\ne\n"));
        QCOMPARE(inPieces("a\xe2\x80\xa8" "b\xe2\x80\xa9" "c"), std::string("a\nb\nc"));
    }
    void controlCharactersAreReplaced() {
        QCOMPARE(inPieces("\x1b[31mred\x07\x08\x7f"), bad + "[31mred" + bad + bad + bad);
        QCOMPARE(inPieces(std::string("a\0b", 3)), "a" + bad + "b");
        QCOMPARE(inPieces("\xc2\x9b" "31m"), bad + "31m");  // C1: what an ESC [ is in one character
    }
    void directionOverridesAndHiddenTextAreReplaced() {
        QCOMPARE(inPieces("exe.\xe2\x80\xaegpj"), "exe." + bad + "gpj");
        QCOMPARE(inPieces("\xe2\x81\xa6x\xe2\x81\xa9"), bad + "x" + bad);
        QCOMPARE(inPieces("a\xf3\xa0\x81\x81" "b"), "a" + bad + "b");
    }
    void invalidUtf8IsReplaced() {
        QCOMPARE(inPieces("caf\xe9"), "caf" + bad);                       // Latin-1
        QCOMPARE(inPieces("\xc0\xaf"), bad + bad);                        // overlong
        QCOMPARE(inPieces("\xe0\x80\xaf"), bad + bad + bad);              // overlong
        QCOMPARE(inPieces("\xed\xa0\x80"), bad + bad + bad);              // surrogate
        QCOMPARE(inPieces("\xf4\x90\x80\x80"), bad + bad + bad + bad);    // above U+10FFFF
        QCOMPARE(inPieces("\xf5\xff\x80"), bad + bad + bad);
        QCOMPARE(inPieces("\xe2\x82x"), bad + "x");                       // broken off
        QCOMPARE(inPieces("\xe2\x82\xe2\x82\xac"), bad + "\xe2\x82\xac");
        QCOMPARE(inPieces("\xf0\x9f\x8c"), bad);                          // unfinished
        QCOMPARE(inPieces("\xc3\n"), bad + "\n");
        QCOMPARE(inPieces("\r\xff\n"), "\n" + bad + "\n");
    }
    void aByteOrderMarkIsDroppedInFrontOnly() {
        QCOMPARE(inPieces("\xef\xbb\xbfhello"), std::string("hello"));
        QCOMPARE(inPieces("a\xef\xbb\xbf"), "a" + bad);
        QCOMPARE(inPieces("\xff\xef\xbb\xbf"), bad + bad);
    }
    void theTextIsCutBetweenCharacters() {
        PlainText text(4);
        QVERIFY(text.append("abc"));
        QVERIFY(!text.full());
        QVERIFY(!text.append("\xc3\xa9"));
        QVERIFY(text.full());
        QVERIFY(!text.append("d"));
        QCOMPARE(text.text(), std::string("abc"));
        QVERIFY(!text.finish());

        PlainText exact(4);
        QVERIFY(exact.append("abcd"));
        QVERIFY(exact.finish());
        QVERIFY(!exact.append("e"));
        QCOMPARE(exact.text(), std::string("abcd"));
    }
    void takeStartsAnew() {
        PlainText text(3);
        text.append("abcd");
        QCOMPARE(text.take(), std::string("abc"));
        QVERIFY(!text.full());
        QVERIFY(text.append("xyz"));
        QCOMPARE(text.take(), std::string("xyz"));
    }
    void whatIsNotUtf8IsLatin1() {
        const auto text = [](std::string_view bytes, bool cutOff = false) { return bine::plainTextOrLatin1(bytes, cutOff).take(); };
        QCOMPARE(text("caf\xc3\xa9"), std::string("caf\xc3\xa9"));
        QCOMPARE(text("caf\xe9"), std::string("caf\xc3\xa9"));
        QCOMPARE(text("\xc3\xa9 \xe9"), std::string("\xc3\x83\xc2\xa9 \xc3\xa9"));   // all of it
        QCOMPARE(text("\xff\xa0\r\n\x1b"), "\xc3\xbf\xc2\xa0\n" + bad);
        QCOMPARE(text("\x93quoted\x94"), std::string("\\x93quoted\\x94"));             // C1: ESC in disguise, or Windows-1252
        QCOMPARE(text("\xe2\x82"), std::string("\xc3\xa2\\x82"));
        QCOMPARE(text("\xe2\x82", true), bad);                                       // the rest was cut off
        QCOMPARE(text("\xff\xe2\x82", true), std::string("\xc3\xbf\xc3\xa2\\x82"));
        QVERIFY(bine::plainTextOrLatin1("\xff\xff", false, 3).full());
        QCOMPARE(bine::plainTextOrLatin1("\xff\xff", false, 3).take(), std::string("\xc3\xbf"));
    }
    void plainLines() {
        QVERIFY(isPlainLine(""));
        QVERIFY(isPlainLine("alice b\xc3\xa9"));
        QVERIFY(!isPlainLine("a\nb"));
        QVERIFY(!isPlainLine("a\r"));
        QVERIFY(!isPlainLine("a\x1b"));
        QVERIFY(!isPlainLine("\xff"));
    }
};

QTEST_GUILESS_MAIN(TestPlainText)
#include "test_plain_text.moc"
