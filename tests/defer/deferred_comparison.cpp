#include "defer/deferred_comparison.h"

#include <algorithm>

#include "bine/log/log.h"
#include "defer/deferred_engine.h"
#include "defer/deferred_interpreter.h"
#include "defer/deferred_model.h"

namespace algebra {

namespace {

Log runOnModel(const Program& program) { return Interpreter<Model>(program).run(); }

Log runOnEngine(const Program& program) {
    const auto unheard = bine::setDefaultLogObserver([](const bine::LogEvent&) {});  // most failures here are nobody's
    return Interpreter<Engine>(program).run();
}

/// Takes operations out of `operations`, a part of `program`, as long as there is a difference. True if that was any.
bool shrink(Program& program, std::vector<Operation>& operations) {
    bool any = false;
    for (std::size_t length = operations.size(); length > 0; length /= 2)
        for (std::size_t i = 0; i < operations.size();) {
            const auto before = operations;
            const auto first = operations.begin() + static_cast<std::ptrdiff_t>(i);
            operations.erase(first, first + static_cast<std::ptrdiff_t>(std::min(length, operations.size() - i)));
            if (!difference(program).empty()) {
                any = true;
            } else {
                operations = before;
                i += length;
            }
        }
    for (auto& operation : operations) {
        any = shrink(program, operation.body) || any;
        for (auto& function : operation.functions) any = shrink(program, function.body) || any;
    }
    return any;
}

std::string column(const std::string& text, std::size_t width) {
    return text.size() >= width ? text.substr(0, width - 2) + ".." : text + std::string(width - text.size(), ' ');
}

}  // namespace

std::vector<std::string> seenByModel(const Program& program) {
    const Log log = runOnModel(program);
    return {log.lines().begin(), log.lines().begin() + static_cast<std::ptrdiff_t>(log.size())};
}

std::vector<std::string> seenOfEngine(const Program& program) { return runOnEngine(program).lines(); }

std::string difference(const Program& program) {
    const Log model = runOnModel(program);
    const Log engine = runOnEngine(program);
    const auto& expected = model.lines();
    const auto& seen = engine.lines();
    const auto end = expected.begin() + static_cast<std::ptrdiff_t>(model.size());
    const auto differs = std::mismatch(expected.begin(), end, seen.begin(), seen.end());
    const bool same = differs.first == end && (!model.silence().empty() || differs.second == seen.end());
    if (same) return {};

    constexpr std::size_t width = 76;
    std::string text = "The program:\n" + programText(program) + "\n  " + column("The model", width) + "The engine\n";
    const std::size_t at = static_cast<std::size_t>(differs.first - expected.begin());
    const std::size_t last = std::min(std::max(model.size(), seen.size()), at + 12);
    for (std::size_t i = 0; i < last; ++i)
        text += (i == at ? "* " : "  ") + column(i < model.size() ? expected[i] : "", width) + (i < seen.size() ? seen[i] : "") + "\n";
    if (!model.silence().empty()) text += "  (there the contract says nothing: " + model.silence() + ")\n";
    return text;
}

Program smallest(Program program) {
    while (shrink(program, program)) {
    }
    return readProgram(bytesOf(program));  // with new numbers
}

}  // namespace algebra
