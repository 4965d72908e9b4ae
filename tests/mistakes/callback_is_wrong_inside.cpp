// says: foo
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
struct Number {
    int value;
};
void f() { ask().addCallback([](auto value) { return Number{value}.foo(); }); }
