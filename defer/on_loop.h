#pragma once
// onLoop: go on in a later turn of the loop.
//
//     co_await bine::onLoop(reactor);                 // what called us has returned; so has the dialog that was open
//
// The clock's thread. Cost: as deferLater(), with no delay.

#include <utility>

#include "bine/defer/defer_later.h"

namespace bine::inline v0 {

/// Fires in a later turn, never now. Cancelling it takes the call back.
inline Deferred<> onLoop(Clock& clock, std::source_location where = std::source_location::current()) {
    return deferLater(clock, Delay(Duration::zero(), where));
}

/// Fires as `deferred` does, but in a later turn than that: callbacks that are added behind it do not run inside whoever fired it.
template <class T>
Deferred<T> onLoop(Clock& clock, Deferred<T> deferred, std::source_location where = std::source_location::current()) {
    return std::move(deferred).addBoth([&clock, where](Result<T> result) {
        return onLoop(clock, where).addCallback([result = std::move(result)]() mutable { return std::move(result); });
    });
}

}  // namespace bine::inline v0
