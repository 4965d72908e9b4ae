// says: callLater: this callable does not take the arguments that follow it
#include <chrono>

#include "bine/defer/deferred.h"

void f(bine::Clock& clock) { clock.callLater(std::chrono::seconds(5), [](int number) { (void)number; }); }
