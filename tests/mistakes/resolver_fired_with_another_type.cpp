// says: callback: this is no value of the type that the Resolver carries
#include "bine/defer/deferred.h"

#include <string>

void f(bine::Resolver<int>& answer) { answer.callback(std::string("five")); }
