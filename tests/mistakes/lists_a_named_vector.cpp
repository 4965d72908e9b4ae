// says: deferredList: hand the Deferreds over with std::move(members)
#include "bine/defer/deferred_list.h"

#include <vector>

void f(std::vector<bine::Deferred<int>>& all) { bine::deferredList(all); }
