#pragma once
// What the fuzz targets share: an input that is taken apart byte by byte, and a check that stops at once.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Unlike assert(), in every build.
#define FUZZ_CHECK(condition)                                                                  \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                      \
        }                                                                                      \
    } while (false)

/// The first bytes of an input say how to run it, the others are the stream.
class FuzzInput {
public:
    FuzzInput(const std::uint8_t* data, std::size_t size) : left_(reinterpret_cast<const char*>(data), size) {}
    /// 0 when there is nothing left.
    std::uint8_t byte() {
        if (left_.empty()) return 0;
        const auto first = static_cast<std::uint8_t>(left_.front());
        left_.remove_prefix(1);
        return first;
    }
    std::string_view rest() const { return left_; }

private:
    std::string_view left_;
};

/// Calls f with `stream` in pieces, mostly small ones; 0 as the seed: all at once.
template <class F>
void inPieces(std::string_view stream, std::uint32_t seed, F&& f) {
    while (!stream.empty()) {
        std::size_t length = stream.size();
        if (seed != 0) {
            seed = seed * 1664525 + 1013904223;
            length = (std::min)(length, std::size_t(1) << (seed >> 29));
        }
        f(stream.substr(0, length));
        stream.remove_prefix(length);
    }
}
