// says: addCallback: on a Deferred with a name, the callback returns the type that the Deferred carries
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void f() {
    auto d = ask();
    d.addCallback([](int value) { return value / 2.0; });
}
