#pragma once
// Runs a program of Deferreds (deferred_program.h) on the reference model and on the engine, and compares what is seen.

#include <string>
#include <vector>

#include "defer/deferred_program.h"

namespace algebra {

/// What the model says is seen; what follows a silence of the contract is left out.
std::vector<std::string> seenByModel(const Program& program);
/// What is seen of the engine.
std::vector<std::string> seenOfEngine(const Program& program);

/// Empty if they agree; else the program and both logs, for people.
std::string difference(const Program& program);

/// What is left of a program on which they do not agree when everything is gone that is not needed for that.
Program smallest(Program program);

}  // namespace algebra
