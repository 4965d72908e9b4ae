// says: addErrback: this errback does not take a Failure
#include "bine/defer/deferred.h"

#include <exception>

bine::Deferred<int> ask();
void f() { ask().addErrback([](const std::exception&) { return 0; }); }
