// says: as: this type has no TextTraits that make it: for QString and QByteArray include
#include "bine/defer/deferred.h"

struct Text {};
void f(bine::Deferred<std::string> answer) { std::move(answer).as<Text>().addCallback([](Text) {}); }
