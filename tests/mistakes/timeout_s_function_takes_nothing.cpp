// says: addTimeout: this function does not fit
#include "bine/defer/deferred.h"

#include <chrono>

bine::Deferred<int> ask();
void f(bine::Clock& clock) { ask().addTimeout(std::chrono::seconds(5), clock, [] { return 0; }); }
