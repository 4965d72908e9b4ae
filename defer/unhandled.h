#pragma once
// Failures that nobody has taken yet while somebody keeps the Deferred.
//
// A failure that was not handled is reported when its Deferred dies (deferred.h). Whoever keeps the Deferred postpones that, perhaps for ever; so
// there are two other occasions: a warning some turns after the failure, if one asks for it, and the report when a reactor stops. Each thread has its own.
// A Deferred that was made failed, by fail(), and has seen no callback yet is not among them.

#include "bine/log/export.h"

namespace bine::inline v0 {

/// Warns, once each, of failures that have had no errback for so many turns of this thread's reactors. 0 is never, which is the default. For debugging:
/// each turn costs a look at every Deferred that lives.
BINE_EXPORT void warnOfUnhandledErrors(unsigned turns);

namespace detail {

/// For reactors: a turn is over. Runs log observers.
BINE_EXPORT void unhandledTurnOver() noexcept;
/// For reactors: they have stopped. Reports the failures that are kept, which will not be reported again at their death; debug builds log, at level debug, what
/// lives. Runs log observers.
BINE_EXPORT void reportLiving() noexcept;

}  // namespace detail
}  // namespace bine::inline v0
