#pragma once
// The stack as addresses, and as text. Internal to failure.cpp.

#include <memory>
#include <string>
#include <vector>

namespace bine::inline v0::detail {

/// The return addresses of the caller, the innermost first, at most 64; null if there is no memory for them.
std::unique_ptr<const std::vector<void*>> currentStack() noexcept;
/// A line for each: the function, as far as the program exports its name, else the file and the offset, which addr2line understands.
std::vector<std::string> stackText(const std::vector<void*>& stack);

}  // namespace bine::inline v0::detail
