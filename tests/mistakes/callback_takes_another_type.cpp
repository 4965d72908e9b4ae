// says: addCallback: this callback does not take the result
#include "bine/defer/deferred.h"

#include <string>

bine::Deferred<int> ask();
void f() { ask().addCallback([](const std::string& text) { return text.size(); }); }
