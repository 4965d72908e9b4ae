#pragma once
// What the machinery of this folder does with transports beyond what everybody may. Internal; reactor's
// thread.

#include <memory>

#include "bine/defer/deferred_ref.h"
#include "bine/net/transport.h"

namespace bine::inline v0::detail {

struct BINE_EXPORT TransportAccess {
    /// Called with the final reason after the protocol's connectionLost(), also when an owner's death
    /// silenced that.
    static void afterLoss(Transport& transport, Function<void(const Failure&)> call);
    /// Ends the connection and tells the protocol now, or when its handler returns. For the end of a reactor.
    static void endNow(Transport& transport, const Failure& reason);
    static void deliverStopping(Transport& transport);
    static bool keptAlive(const Transport& transport) noexcept;
    /// The clock of a transport that has none of its own. It must outlive the connection.
    static void useClock(Transport& transport, Clock& clock);
    /// The reason that is told: an end with unsent bytes is never ConnectionDone.
    static Failure truthful(const Failure& reason, std::size_t unsent);
    static void releaseHold(Transport& transport) noexcept;
    /// Whether a callback of its protocol is on the stack.
    static bool inHandler(const Transport& transport) noexcept { return transport.inHandler(); }
    /// As the death of an owner, in its two steps: the protocol hears nothing more; the connection is
    /// aborted.
    static void hush(Transport& transport) noexcept;
    static void silence(Transport& transport);
    /// The owners of a Deferred, and of what waits for it, own the transport from now on, instead of those that an
    /// earlier call gave it.
    static void shareOwners(Transport& transport, const DeferredRef& deferred);
    /// Calls f as the transport calls its protocol: busy meanwhile, an exception ends the connection. For
    /// protocols that go on from outside a callback.
    template <class F>
    static bool callHandler(Transport& transport, const char* name, F&& f) {
        return transport.callHandler(name, f);
    }
};

} // namespace bine::inline v0::detail
