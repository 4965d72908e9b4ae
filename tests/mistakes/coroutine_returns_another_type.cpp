// says: co_return: this is no value of the type that the Deferred carries
#include "bine/defer/deferred.h"

#include <string>

bine::Deferred<int> ask();
bine::Deferred<int> f() {
    co_await ask();
    co_return std::string("five");
}
