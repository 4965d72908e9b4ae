// says: addErrback: this errback returns another type than the Deferred carries here
#include "bine/defer/deferred.h"

#include <string>

bine::Deferred<int> ask();
void f() { ask().addCallbacks([](int value) { return value; }, [](const bine::Failure& failure) { return failure.userMessage(); }); }
