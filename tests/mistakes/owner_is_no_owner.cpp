// says: ownedBy: this type is no owner
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
struct Window {};
void f(Window& window) { ask().ownedBy(window); }
