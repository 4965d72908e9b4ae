// says: co_await: a coroutine that returns a Deferred awaits only Deferreds
#include "bine/defer/deferred.h"

#include <chrono>

bine::Deferred<> f(bine::Clock& clock) { co_await clock.callLater(std::chrono::seconds(1), [] {}); }
