// says: as: the result is no text: this is for Deferred<std::string> and the like
#include "bine/defer/deferred.h"

void f(bine::Deferred<int> answer) { std::move(answer).as<std::string>().addCallback([](std::string) {}); }
