#pragma once
// SIGINT and SIGTERM: what a reactor does about them, and how a program ends that one of them has stopped.
//
// See docs/signals.md. Children need no signal: see child_watch.h.

#include "bine/log/export.h"

namespace bine::inline v0 {

/// Whether SIGINT and SIGTERM stop a reactor: ReactorBase::setSignalHandling().
enum class SignalHandling { off, on };

/// Ends the process as the signal would have ended it, so that a shell sees what happened; `number` is that of ReactorBase::exitSignal(). stdio is flushed, but no
/// destructor runs: for the end of main(). Should the signal not end the process, the exit status is 128 + number.
[[noreturn]] BINE_EXPORT void exitWithSignal(int number);

}  // namespace bine::inline v0
