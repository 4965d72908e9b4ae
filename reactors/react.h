#pragma once
// react: the main() of a program that is one Deferred.
//
//     int main() {
//         bine::EpollReactor reactor;
//         return bine::react(reactor, [](bine::Reactor& reactor) { return fetchAll(reactor); });
//     }
//
// Runs the reactor until that Deferred has fired, and returns the exit status; the process goes on. Reactor's thread, outside of its loop.

#include <functional>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0 {
namespace detail {

BINE_EXPORT int runUntilDone(Reactor& reactor, Function<Deferred<int>()> main);

}  // namespace detail

/// Calls main(reactor, arguments...), which returns a Deferred<> or a Deferred<int>, then run(); stops the reactor when that has fired, also if it was there at
/// once. Returns its int, or 0; if it failed, or main threw, logs that as critical and returns 1. If somebody else stops the reactor first, what has not ended
/// of main is ended as by its owner's death, and 0 returned; 128 + the number if it was SIGINT or SIGTERM, as a shell has it. Throws what run() throws.
template <class F, class... A>
    requires std::is_invocable_v<std::decay_t<F>&, Reactor&, std::decay_t<A>&...>
int react(Reactor& reactor, F&& main, A&&... arguments) {
    using Returned = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>&, Reactor&, std::decay_t<A>&...>>;
    static_assert(std::is_convertible_v<Returned, Deferred<>> || std::is_convertible_v<Returned, Deferred<int>>,
                  "react: main must return a Deferred<>, or a Deferred<int> with the exit status");
    // What lies here outlives all that main began.
    return detail::runUntilDone(reactor, [&reactor, &main, &arguments...]() -> Deferred<int> {
        if constexpr (std::is_convertible_v<Returned, Deferred<int>>)
            return std::invoke(main, reactor, arguments...);
        else
            return std::invoke(main, reactor, arguments...).addCallback([] { return 0; });
    });
}

}  // namespace bine::inline v0
