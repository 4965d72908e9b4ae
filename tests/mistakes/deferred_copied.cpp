// says: a Deferred has one holder and is not copied
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void keep(bine::Deferred<int> d);
void f() {
    auto d = ask();
    keep(d);
}
