#pragma once
// ChildWatch: one child of this process, until it has ended. Internal; reactor's thread only.
//
// It waits for the child's pidfd, and reaps that child and no other: children of others are theirs, SIGCHLD and its handlers are nobody's concern, and a pid that is
// used again is not met. Needs Linux 5.4. One descriptor in the reactor's set, no thread; idle nothing.
//
// The child is reaped whoever dies first: without its ChildWatch by the reactor, and if that is gone, when the next child of any reactor comes or ends.

#include <sys/types.h>

#include <memory>

#include "bine/defer/function.h"
#include "bine/log/export.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0::detail {

/// How a child ended.
struct ChildExit {
    enum class Kind { exited, killed, unknown };
    Kind kind = Kind::unknown;  ///< unknown: somebody else has reaped it, or SIGCHLD is ignored
    int number = 0;             ///< exit status, or signal
    bool dumpedCore = false;
    friend bool operator==(const ChildExit&, const ChildExit&) = default;
};

/// For a child that was made without CLONE_PIDFD, and has not been reaped: else the number may be another process's. Throws std::system_error.
BINE_EXPORT int openPidfd(pid_t child);

class BINE_EXPORT ChildWatch {
public:
    /// Watches nothing.
    ChildWatch() noexcept = default;
    /// Calls `told` once, in a later turn: also if the child has ended already, and in the next run if the reactor stops first. Exceptions are logged. `told` may do
    /// anything, also destroy the watch. The descriptor is the watch's from here on, also if this throws (std::system_error, out_of_range with select()): then the child is
    /// reaped some time. Throws std::logic_error in a reactor without descriptors.
    ChildWatch(Reactor& reactor, int pidfd, Function<void(ChildExit)> told);
    /// Nobody is told any more; the child is reaped all the same.
    ~ChildWatch();
    ChildWatch(ChildWatch&& other) noexcept = default;
    ChildWatch& operator=(ChildWatch&& other) noexcept;

    /// The child's pidfd, for pidfd_send_signal() and the like; -1 once it has been reaped, or the reactor is gone.
    int pidfd() const noexcept;

private:
    class Child;
    std::shared_ptr<Child> child_;
};

}  // namespace bine::inline v0::detail
