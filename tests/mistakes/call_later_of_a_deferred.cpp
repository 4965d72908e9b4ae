// says: callLater: the callable returns a Deferred
#include <chrono>

#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void f(bine::Clock& clock) { clock.callLater(std::chrono::seconds(5), [] { return ask(); }); }
