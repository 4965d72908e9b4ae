#pragma once
// What waits for whom: a look at all Deferreds of a thread, for people who ask why nothing happens.

#include <cstddef>
#include <string>

#include "bine/log/export.h"

namespace bine::inline v0::trace {

/// The living Deferreds of this thread, a line each: where it was made, how many callbacks wait in it, whether it is paused or owned, and its result or what it
/// waits for, which stands below it, indented:
///
///     coroutine begun at mail.cpp:12 in fetch, waits for
///       made at pop3.cpp:80 in send, 1 callback, owned, not fired yet
///
/// At most `most` lines, the youngest first. Those whose result was there from the start, and that nothing was added to, are left out. Cost: O(all).
BINE_EXPORT std::string dump(std::size_t most = 1000);

}  // namespace bine::inline v0::trace
