#pragma once
// Looking up names with getaddrinfo, which blocks: on threads of its own, never the application's pool.
// Internal.
//
// At most eight threads per process, made on demand, detached: one that is stuck in the C library never keeps
// a program from ending.

#include <atomic>
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

/// Calls done(answer) on a thread of the lookup's, or drops it if `cancelled` was set before its turn came.
/// Any thread.
void lookUpHostname(std::string name, std::shared_ptr<std::atomic<bool>> cancelled,
                    Function<void(LookupAnswer)> done);

} // namespace bine::inline v0::detail
