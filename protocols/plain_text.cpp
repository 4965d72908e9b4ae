#include "bine/protocols/plain_text.h"

#include <algorithm>
#include <utility>

namespace bine::inline v0 {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD
constexpr char32_t byteOrderMark = 0xfeff;

bool isPlainASCII(unsigned char byte) { return (byte >= 0x20 && byte < 0x7f) || byte == '\t'; }

/// Characters above ASCII that act on others instead of being shown.
bool isAgent(char32_t c) {
    return c <= 0x9f                            // C1 control characters
           || (c >= 0x202a && c <= 0x202e)      // bidirectional embeddings and overrides
           || (c >= 0x2066 && c <= 0x2069)      // bidirectional isolates
           || (c >= 0xfff9 && c <= 0xfffb)      // interlinear annotation
           || c == byteOrderMark || (c >= 0xe0000 && c <= 0xe007f);  // invisible tags
}

}  // namespace

PlainText::PlainText(std::size_t maximum) : maximum_(maximum) {}

bool PlainText::append(std::string_view bytes) {
    while (!bytes.empty() && !full_) {
        // The usual case at once: a run of printable ASCII.
        if (missing_ == 0) {
            const auto end = std::find_if_not(bytes.begin(), bytes.end(), [](unsigned char b) { return isPlainASCII(b); });
            const auto length = static_cast<std::size_t>(end - bytes.begin());
            if (length > 0) {
                const auto fitting = (std::min)(length, maximum_ - text_.size());
                text_.append(bytes.substr(0, fitting));
                full_ = fitting < length;
                afterReturn_ = false;
                started_ = true;
                bytes.remove_prefix(length);
                continue;
            }
        }
        next(static_cast<unsigned char>(bytes.front()));
        bytes.remove_prefix(1);
    }
    return !full_;
}

bool PlainText::finish() {
    if (missing_ > 0) {
        missing_ = 0;
        putBroken();
    }
    return !full_;
}

std::string PlainText::take() {
    std::string text = std::exchange(text_, {});
    *this = PlainText(maximum_);
    return text;
}

void PlainText::next(unsigned char byte) {
    if (missing_ > 0) {
        continueCharacter(byte);
        return;
    }
    lowest_ = 0x80;
    highest_ = 0xbf;
    if (byte < 0x80) {
        character(byte);
    } else if (byte >= 0xc2 && byte <= 0xdf) {
        missing_ = 1;
        partial_ = byte & 0x1f;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        missing_ = 2;
        partial_ = byte & 0x0f;
        if (byte == 0xe0) lowest_ = 0xa0;   // shorter forms exist
        if (byte == 0xed) highest_ = 0x9f;  // surrogates
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        missing_ = 3;
        partial_ = byte & 0x07;
        if (byte == 0xf0) lowest_ = 0x90;   // shorter forms exist
        if (byte == 0xf4) highest_ = 0x8f;  // above U+10FFFF
    } else {
        afterReturn_ = false;
        putBroken();
    }
}

void PlainText::continueCharacter(unsigned char byte) {
    if (byte < lowest_ || byte > highest_) {
        missing_ = 0;
        afterReturn_ = false;
        putBroken();
        if (!full_) next(byte);
        return;
    }
    lowest_ = 0x80;
    highest_ = 0xbf;
    partial_ = (partial_ << 6) | (byte & 0x3f);
    if (--missing_ == 0) character(partial_);
}

void PlainText::character(char32_t c) {
    const bool afterReturn = std::exchange(afterReturn_, c == '\r');
    if (c == '\r' || c == 0x2028 || c == 0x2029) {
        put("\n");
    } else if (c == '\n') {
        if (!afterReturn) put("\n");
    } else if (c == byteOrderMark && !started_) {
        started_ = true;  // says nothing here: this is UTF-8 anyway
    } else if (c < 0x80) {
        const char ascii = static_cast<char>(c);
        put(isPlainASCII(static_cast<unsigned char>(c)) ? std::string_view(&ascii, 1) : replacement);
    } else if (isAgent(c)) {
        put(replacement);
    } else {
        char encoded[4];
        std::size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (std::size_t i = length - 1; i > 0; --i, c >>= 6) encoded[i] = static_cast<char>(0x80 | (c & 0x3f));
        encoded[0] = static_cast<char>((0xf00 >> length) | c);
        put({encoded, length});
    }
}

void PlainText::put(std::string_view encoded) {
    started_ = true;
    if (encoded.size() > maximum_ - text_.size())
        full_ = true;
    else
        text_.append(encoded);
}

void PlainText::putBroken() {
    broken_ = true;
    put(replacement);
}

std::string plainText(std::string_view bytes) {
    PlainText text;
    text.append(bytes);
    text.finish();
    return text.take();
}

PlainText plainTextOrLatin1(std::string_view bytes, bool cutOff, std::size_t maximum) {
    PlainText text(maximum);
    text.append(bytes);
    const bool brokenInside = text.broken();
    text.finish();
    if (!(cutOff ? brokenInside : text.broken())) return text;
    PlainText latin1(maximum);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        constexpr char digits[] = "0123456789abcdef";
        const char escaped[] = {'\\', 'x', digits[byte >> 4], digits[byte & 0xf]};
        const char encoded[] = {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))};
        const auto character = byte < 0x80 ? std::string_view(&c, 1)
                               : byte < 0xa0 ? std::string_view(escaped, sizeof escaped)
                                             : std::string_view(encoded, sizeof encoded);
        if (!latin1.append(character)) break;
    }
    return latin1;
}

bool isPlainLine(std::string_view bytes) {
    return bytes.find('\n') == std::string_view::npos && plainText(bytes) == bytes;
}

}  // namespace bine::inline v0
