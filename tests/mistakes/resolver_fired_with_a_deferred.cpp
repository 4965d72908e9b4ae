// says: callback: a Deferred is no result
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
void f(bine::Resolver<int>& answer) { answer.callback(ask()); }
