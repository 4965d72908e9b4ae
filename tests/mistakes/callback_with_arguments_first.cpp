// says: addCallback: this callback does not take the result
#include "bine/defer/deferred.h"

#include <string>

bine::Deferred<int> ask();
void f() { ask().addCallback([](const std::string& unit, int value) { return unit + std::to_string(value); }, "ms"); }
