// Deferreds do what the reference model says the contract says, whatever a program does with them. See tests/defer/deferred_program.h for the input.
#include <string>
#include <string_view>

#include "defer/deferred_comparison.h"
#include "fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto program = algebra::readProgram(std::string_view(reinterpret_cast<const char*>(data), size));
    if (algebra::difference(program).empty()) return 0;
    std::fputs(algebra::difference(algebra::smallest(program)).c_str(), stderr);
    std::abort();
}
