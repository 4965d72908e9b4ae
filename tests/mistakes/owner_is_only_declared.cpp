// says: ownedBy: the class of this owner is only declared here
#include "bine/defer/deferred.h"

bine::Deferred<int> ask();
class Label;
void f(Label* label) { ask().ownedBy(label); }
