#pragma once
// PlainText: bytes from a peer, made safe to show. UTF-8 text with lines that end in "\n", and nothing else in it.
//
// What could move a cursor, ring a bell, start a terminal sequence, reorder or hide text (control characters but tab and
// newline, bidirectional overrides, invisible tags) and what is not UTF-8 becomes U+FFFD, one per character or broken sequence. "\r\n"
// and a lone "\r" become "\n". Bytes may arrive in any pieces. Any thread, one at a time; linear cost, no memory but the text.
// Bytes that are all there can be read as Latin-1 where they are not UTF-8: plainTextOrLatin1().

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT PlainText {
public:
    /// The text will have at most `maximum` bytes; it is cut between characters.
    explicit PlainText(std::size_t maximum = (std::numeric_limits<std::size_t>::max)());

    /// Takes what has arrived. False when something did not fit: the text is full, and the rest was dropped.
    bool append(std::string_view bytes);
    /// No more bytes follow: an unfinished character is replaced. False as append().
    bool finish();

    const std::string& text() const noexcept { return text_; }
    /// Hands the text out and starts anew.
    std::string take();
    bool full() const noexcept { return full_; }
    /// Something was not UTF-8. An unfinished character counts after finish().
    bool broken() const noexcept { return broken_; }

private:
    void next(unsigned char byte);
    void continueCharacter(unsigned char byte);
    void character(char32_t c);
    void put(std::string_view encoded);
    void putBroken();

    std::string text_;
    std::size_t maximum_;
    char32_t partial_ = 0;        // what is known of a character whose bytes have not all come
    unsigned char missing_ = 0;   // how many of its bytes are to come
    unsigned char lowest_ = 0x80, highest_ = 0xbf;  // what its next byte may be
    bool afterReturn_ = false;
    bool started_ = false;
    bool full_ = false;
    bool broken_ = false;
};

/// All of it at once.
BINE_EXPORT std::string plainText(std::string_view bytes);

/// The same of bytes whose encoding is not known: UTF-8, or, if they are not valid UTF-8, all of them as Latin-1 (ISO 8859-1), in which the bytes 0x80 to 0x9f are
/// shown as "\x80" to "\x9f". With `cutOff` an unfinished character at the end says nothing, and is replaced. PlainText tells if it was full.
BINE_EXPORT PlainText plainTextOrLatin1(std::string_view bytes, bool cutOff = false,
                                        std::size_t maximum = (std::numeric_limits<std::size_t>::max)());

/// Whether the bytes are valid UTF-8 without anything that PlainText replaces; newlines count as replaced.
BINE_EXPORT bool isPlainLine(std::string_view bytes);

}  // namespace bine::inline v0
