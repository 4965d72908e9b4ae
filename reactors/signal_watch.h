#pragma once
// SignalWatch: SIGINT and SIGTERM on their way to a reactor. Internal; reactor's thread.
//
// The signals belong to the process, so of several watches the youngest has them, and the one before it again when that has ended: a loop inside a loop ends first.
// The handler, on whatever thread the kernel chooses, stores the number and writes to the mailbox's eventfd; with SA_RESTART. It stands as long as there is a
// watch, and only where the default disposition was. Cost: nothing until a signal comes, but for lookAgain(): two
// system calls.

#include <atomic>
#include <memory>

#include "bine/reactors/fork.h"

namespace bine::inline v0::detail {

class Mailbox;

class SignalWatch {
public:
    /// Takes the signals.
    explicit SignalWatch(std::shared_ptr<Mailbox> mailbox);
    /// Gives them back, to the watch before or to the old dispositions. The handler does not know the watch any more.
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

    /// Whether a signal has come that take() has not told. May be asked at any time; it is true before the eventfd is readable for it.
    bool waits() const noexcept { return number_.load() != 0; }
    /// The number of the first signal that came, or 0, and forgets it. The eventfd is in order then: Mailbox::acknowledge() quietens it.
    int take();
    /// Takes back what somebody has taken from us since, a toolkit for one: its handler is called first from then on, and is there alone again at the end.
    void lookAgain();

private:
    friend struct SignalTable;
    const std::shared_ptr<Mailbox> mailbox_;
    const unsigned process_ = forkGeneration();
    std::atomic<int> number_{0};
    SignalWatch* below_ = nullptr;  // guarded by the table's mutex
    bool came_ = false;             // guarded by the table's mutex: one was taken; a second SIGINT is the user's impatience
};

/// "SIGINT" or "SIGTERM".
const char* signalName(int number) noexcept;

}  // namespace bine::inline v0::detail
