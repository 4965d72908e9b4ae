// says: as: on a Deferred with a name, write std::move(d).as<QString>()
#include "bine/defer/deferred.h"

void f(bine::Deferred<std::string> answer) { answer.as<std::string>().addCallback([](std::string) {}); }
