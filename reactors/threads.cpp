#include "bine/reactors/threads.h"

namespace bine::inline v0 {

void callMultipleInThread(detail::ReactorAt reactor, std::vector<Function<void()>> functions) {
    reactor.reactor().callInThread(
        [functions = std::move(functions)]() mutable {
            for (Function<void()>& function : functions) std::exchange(function, nullptr)();
        },
        reactor.where());
}

}  // namespace bine::inline v0
