// says: a delay has a unit
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void f(bine::Clock& clock) { ask().addTimeout(5, clock); }
