#pragma once
// Looking up names with getaddrinfo, which blocks: on threads of its own, never the application's pool.
// Internal; any thread.
//
// Eight threads per process, made on demand and gone when idle. A thread that is stuck in the C library is
// replaced: at once when its lookup is abandoned, else when lookups have waited for 200 ms while none was taken
// up. There are never more than 64; when all of them are stuck, lookups fail until one comes back. Threads are
// detached and block all signals: one that is stuck never keeps a program from ending.

#include <memory>
#include <string>
#include <vector>

#include "bine/defer/function.h"
#include "bine/net/address.h"

namespace bine::inline v0::detail {

/// What getaddrinfo said. Plain data: it crosses threads.
struct LookupAnswer {
    std::vector<SocketAddress> addresses;
    std::string error; // if there are none
    bool transient = false;
};

class HostnameLookup;

/// Calls done(answer), on a thread of the lookups or, if it is refused, before this returns.
std::shared_ptr<HostnameLookup> lookUpHostname(std::string name, Function<void(LookupAnswer)> done);

/// Drops a lookup: done() is not called any more, unless it is being called right now.
void abandonLookup(const std::shared_ptr<HostnameLookup>& lookup) noexcept;

} // namespace bine::inline v0::detail
