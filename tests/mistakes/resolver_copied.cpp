// says: a Resolver has one holder and is not copied
#include "bine/defer/deferred.h"

void keep(bine::Resolver<int> answer);
void f() {
    bine::Resolver<int> answer;
    keep(answer);
}
