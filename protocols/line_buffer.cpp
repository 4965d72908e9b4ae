#include "bine/protocols/line_buffer.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace bine::inline v0::detail {

namespace {

/// A connection that is quiet between two lines keeps at most this.
constexpr std::size_t idleCapacity = 1024;

bool endsWith(std::string_view whole, std::string_view end) {
    return !end.empty() && end.data() + end.size() == whole.data() + whole.size() &&
           std::less_equal<const char*>()(whole.data(), end.data());
}

}  // namespace

void LineBuffer::open(std::string_view data) {
    open_ = true;
    taken_ = {};
    borrowed_ = kept_.empty();
    if (borrowed_) {
        rest_ = data;
    } else {
        kept_.append(data);
        rest_ = std::string_view(kept_).substr(offset_);
    }
}

void LineBuffer::close() {
    if (!open_) return;
    open_ = false;
    if (borrowed_) {
        kept_.assign(rest_);
        offset_ = 0;
    } else {
        offset_ = kept_.size() - rest_.size();
        // Moving the rest to the front only when it is the smaller part keeps the sum of all moves linear.
        if (offset_ > kept_.size() / 2) {
            kept_.erase(0, offset_);
            offset_ = 0;
        }
    }
    rest_ = taken_ = {};
    if (!late_.empty()) {
        kept_.append(late_);
        late_ = {};
    }
    if (kept_.empty() && kept_.capacity() > idleCapacity) kept_ = {};
}

LineBuffer::Found LineBuffer::next(std::string_view delimiter, std::size_t maximum, std::string_view& line) {
    const std::size_t overlap = delimiter.size() - 1;
    if (skipping_ && !skipToDelimiter(delimiter)) return Found::nothing;
    const std::size_t end = rest_.find(delimiter, searched_ > overlap ? searched_ - overlap : 0);
    const bool found = end != std::string_view::npos;
    if (found ? end > maximum : rest_.size() >= delimiter.size() && rest_.size() - delimiter.size() >= maximum) {
        // One byte more than allowed is certainly there, and is not of the delimiter.
        line = rest_.substr(0, maximum + 1);
        rest_.remove_prefix(maximum + 1);
        searched_ = 0;
        skipping_ = true;
        return Found::tooLong;
    }
    if (!found) {
        searched_ = rest_.size();
        return Found::nothing;
    }
    line = rest_.substr(0, end);
    rest_.remove_prefix(end + delimiter.size());
    searched_ = 0;
    return Found::line;
}

bool LineBuffer::skipToDelimiter(std::string_view delimiter) {
    const std::size_t end = rest_.find(delimiter);
    searched_ = 0;
    if (end == std::string_view::npos) {
        // Its last bytes may begin a delimiter.
        rest_.remove_prefix(rest_.size() - (std::min)(rest_.size(), delimiter.size() - 1));
        return false;
    }
    rest_.remove_prefix(end + delimiter.size());
    skipping_ = false;
    return true;
}

std::string_view LineBuffer::takeAll() {
    searched_ = 0;
    return taken_ = std::exchange(rest_, {});
}

void LineBuffer::append(std::string_view data) {
    if (!open_)
        kept_.append(data);
    else if (!rest_.empty())
        late_.append(data);
    else if (endsWith(taken_, data))
        rest_ = data;
    else
        late_.insert(0, data);  // in front of what has come while the last piece was being handled
}

std::string LineBuffer::clear() {
    std::string all;
    if (open_)
        all = std::string(std::exchange(rest_, {})) + std::exchange(late_, {});
    else
        all = std::exchange(kept_, {}).substr(std::exchange(offset_, 0));
    searched_ = 0;
    skipping_ = false;
    return all;
}

}  // namespace bine::inline v0::detail
