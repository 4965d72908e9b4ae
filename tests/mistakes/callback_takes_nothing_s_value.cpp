// says: addCallback: this callback does not take the result
#include "bine/defer/deferred.h"

bine::Deferred<> done();
void f() { done().addCallback([](int value) { return value; }); }
