#include "bine/defer/stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace bine::inline v0::detail {

std::unique_ptr<const std::vector<void*>> currentStack() noexcept {
    constexpr int most = 64, own = 1;
    void* found[most + own];
    const int n = ::backtrace(found, most + own);
    try {
        return std::make_unique<const std::vector<void*>>(found + (n > own ? own : n), found + n);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

std::vector<std::string> stackText(const std::vector<void*>& stack) {
    std::vector<std::string> lines;
    for (void* address : stack) {
        // The call stands before the address that it returns to.
        void* const call = static_cast<char*>(address) - 1;
        Dl_info info{};
        const bool known = ::dladdr(call, &info) != 0;
        std::string line;
        if (known && info.dli_sname) {
            int status = 0;
            const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), &std::free);
            line = status == 0 && name ? name.get() : info.dli_sname;
            line += " in ";
        }
        char offset[32];
        const auto base = reinterpret_cast<std::uintptr_t>(known ? info.dli_fbase : nullptr);
        std::snprintf(offset, sizeof offset, "+0x%zx", static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(call) - base));
        lines.push_back(line + (known && info.dli_fname ? info.dli_fname : "?") + offset);
    }
    return lines;
}

}  // namespace bine::inline v0::detail
