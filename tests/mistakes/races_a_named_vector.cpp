// says: race: hand the Deferreds over with std::move(members)
#include "bine/defer/race.h"

#include <vector>

void f(std::vector<bine::Deferred<int>>& all) { bine::race(all); }
