// says: addBoth: this callback does not take a Result
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void f() { ask().addBoth([](int* value) { return value; }); }
