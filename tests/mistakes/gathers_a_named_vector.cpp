// says: gatherResults: hand the Deferreds over with std::move(members)
#include "bine/defer/gather_results.h"

#include <vector>

void f(std::vector<bine::Deferred<int>>& all) { bine::gatherResults(all); }
