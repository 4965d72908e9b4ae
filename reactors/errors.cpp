#include "bine/reactors/errors.h"

namespace bine::inline v0 {

// Out of line: one home for each class's type information.
ReactorNotRunning::~ReactorNotRunning() = default;
ReactorAlreadyRunning::~ReactorAlreadyRunning() = default;
ReactorNotRestartable::~ReactorNotRestartable() = default;
NoHostLoop::~NoHostLoop() = default;

}  // namespace bine::inline v0
