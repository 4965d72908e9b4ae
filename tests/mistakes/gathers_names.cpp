// says: gatherResults: hand each Deferred over with std::move(d)
#include "bine/defer/gather_results.h"

bine::Deferred<int> ask();
void f() {
    auto a = ask(), b = ask();
    bine::gatherResults(a, b);
}
