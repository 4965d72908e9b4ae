#pragma once
// ShutdownWork: what a higher floor has open in a reactor, and how the shutdown ends it piece by piece. Internal; reactor's thread.
//
// A service of the reactor (provideService<ShutdownWork>), at most one. The reactor calls endOne() in 'during shutdown', and when it dies,
// until that returns false, or endAll(). Between two calls it may serve its loop.

#include "bine/log/export.h"

namespace bine::inline v0::detail {

class BINE_EXPORT ShutdownWork {
public:
    virtual ~ShutdownWork() = default;
    /// Ends one thing. False if nothing is left. Runs user code and does not throw.
    virtual bool endOne() = 0;
    /// Ends all, in a bounded number of steps: what its user code begins without end is left.
    virtual void endAll() = 0;
};

}  // namespace bine::inline v0::detail
