// says: addErrback: this errback returns nothing, but the Deferred carries a value here
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void f() { ask().addErrback([](const bine::Failure&) {}); }
