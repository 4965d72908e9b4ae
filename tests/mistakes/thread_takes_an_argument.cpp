// says: deferToThread: the function takes nothing or a std::stop_token
#include "bine/reactors/defer_to_thread.h"

void f(bine::Reactor& reactor) {
    bine::deferToThread(reactor, [](int number) { return number; }).addCallback([](int number) { (void)number; });
}
