// says: a delay has a unit
#include "bine/defer/deferred.h"

void f(bine::Clock& clock) { clock.callLater(5, [] {}); }
