#pragma once
// LatestOnly: of several questions, only the answer to the last one counts.
//
//     latest_(lookUp(entry.text())).addCallback([this](std::vector<Match> matches) { show(matches); });
//
// For a search box that asks with every key: answers may come in any order, and those to old questions are of no use. Thread: that of the Deferreds. Cost: as
// ownedBy().

#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/owner.h"

namespace bine::inline v0 {

class LatestOnly {
public:
    /// The Deferred comes back, and the one of the last call ends: it is cancelled at its source, and none of its callbacks runs any more. It ends with this
    /// object, too.
    template <class T>
    Deferred<T> operator()(Deferred<T> deferred) {
        scope_.cancel();
        return std::move(deferred).ownedBy(scope_);
    }
    /// Ends the last one.
    void cancel() noexcept { scope_.cancel(); }

private:
    Scope scope_;
};

}  // namespace bine::inline v0
