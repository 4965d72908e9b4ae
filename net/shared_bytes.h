#pragma once
// SharedBytes: bytes that never change, for many readers. Copies are cheap and mean the same bytes.
//
//     const bine::SharedBytes frame(encode(picture));
//     for (bine::Transport* viewer : viewers) viewer->write(frame);   // 1 MB is there once, however many do not read
//
// Any thread: each copy may be used and dropped on another one. Cost of a copy: one atomic count.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bine::inline v0 {

class SharedBytes {
public:
    /// No bytes.
    SharedBytes() noexcept = default;
    /// Takes the string over: moved in, nothing is copied.
    explicit SharedBytes(std::string bytes) : bytes_(std::make_shared<const std::string>(std::move(bytes))) {}
    explicit SharedBytes(std::string_view bytes) : SharedBytes(std::string(bytes)) {}
    explicit SharedBytes(const char* bytes) : SharedBytes(std::string(bytes)) {}

    /// Valid as long as any copy lives.
    std::string_view view() const noexcept { return bytes_ ? std::string_view(*bytes_) : std::string_view(); }
    std::size_t size() const noexcept { return bytes_ ? bytes_->size() : 0; }
    bool empty() const noexcept { return size() == 0; }

private:
    std::shared_ptr<const std::string> bytes_;
};

} // namespace bine::inline v0
