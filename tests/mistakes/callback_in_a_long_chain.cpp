// says: addCallback: this callback does not take the result
#include "bine/defer/deferred.h"

#include <string>

bine::Deferred<int> ask();
void f() {
    ask()
        .addCallback([](const std::string& text) { return text.size(); })
        .addCallback([](std::size_t size) { return size * 2; })
        .addErrback([](const bine::Failure&) { return std::size_t{0}; })
        .logFailures();
}
