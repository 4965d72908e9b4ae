// says: co_return: a Deferred is no result
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
bine::Deferred<int> f() {
    co_await ask();
    co_return ask();
}
