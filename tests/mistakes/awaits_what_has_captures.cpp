// says: co_await: GCC 12 destroys the captures of this lambda twice
// only with: gcc 12
#include "bine/defer/deferred.h"

#include <string>

bine::Deferred<int> ask();
bine::Deferred<std::string> f(std::string unit) {
    co_return co_await ask().addCallback([unit](int value) { return std::to_string(value) + unit; });
}
