#pragma once
// LineBuffer: a stream of bytes, taken apart line by line. The part of line receivers that knows no network. Internal; one thread.
//
// Between open() and close() it hands out views of what has arrived, without copying; what is left at close() is kept. Each byte is searched
// once and copied at most twice, into whatever pieces the stream was cut, however often it stops in the middle of a piece.

#include <cstddef>
#include <string>
#include <string_view>

#include "bine/log/export.h"

namespace bine::inline v0::detail {

class BINE_EXPORT LineBuffer {
public:
    enum class Found { nothing, line, tooLong };

    /// Begins with what was kept, and `data` behind it, which is borrowed until close(). REQUIRES: not open.
    void open(std::string_view data);
    /// Keeps what was not taken. No effect unless open.
    void close();
    bool isOpen() const noexcept { return open_; }

    /// The next line without its delimiter. A line longer than `maximum` bytes is tooLong as soon as that is certain: then `line` is its first
    /// `maximum` + 1 bytes, and the rest of it is skipped, its delimiter too. The view is valid until close(). REQUIRES: open, a delimiter.
    Found next(std::string_view delimiter, std::size_t maximum, std::string_view& line);
    /// What follows is not the rest of a line that was tooLong.
    void endSkipping() noexcept { skipping_ = false; }
    /// All there is, as next().
    std::string_view takeAll();
    /// More bytes, behind all others. What is the end of takeAll() returns there without a copy.
    void append(std::string_view data);
    /// Takes all there is, at any time.
    std::string clear();
    /// While open: nothing can be taken now; append() may have kept something for the next open().
    bool empty() const noexcept { return rest_.empty(); }
    /// Not open: how many bytes are kept. Open: how many append() kept.
    std::size_t kept() const noexcept { return open_ ? late_.size() : kept_.size() - offset_; }
    /// The delimiter is another one: search anew.
    void searchAgain() noexcept { searched_ = 0; }

private:
    bool skipToDelimiter(std::string_view delimiter);

    std::string kept_;          // not open: what is kept, from offset_ on
    std::string late_;          // open: appended meanwhile
    std::size_t offset_ = 0;
    std::size_t searched_ = 0;  // bytes of the rest that are known to hold no delimiter
    std::string_view rest_;     // open: not taken yet; a part of kept_, or of what was borrowed
    std::string_view taken_;    // the last takeAll()
    bool borrowed_ = false;
    bool open_ = false;
    bool skipping_ = false;     // in a line that was tooLong
};

}  // namespace bine::inline v0::detail
