#pragma once
// The reactors that wait by themselves: EpollReactor, PollReactor, SelectReactor.
//
// EpollReactor is the one to use. It can also be driven by any other loop that watches one descriptor:
//
//     pollfd fds[] = {{reactor.fileno(), POLLIN, 0}, ...};
//     reactor.aboutToWait();                       // unsent bytes leave before the loop blocks
//     poll(fds, n, -1);                            // timers and other threads wake the same descriptor
//     if (fds[0].revents) reactor.dispatch();
//
// PollReactor and SelectReactor are for kernels and sandboxes without epoll; they only run their own loop.

#include "bine/reactors/reactor_base.h"

namespace bine::inline v0 {

class BINE_EXPORT EpollReactor : public ReactorBase {
public:
    EpollReactor();
    ~EpollReactor() override;

    /// Readable whenever dispatch() has something to do: I/O, a timer, a call from another thread. Level-triggered. From the first call on,
    /// timers are kept in the kernel too. Readable at once if the reactor was never started, so that dispatch() starts it. Owned by the reactor.
    int fileno();
    /// One bounded turn; re-entrant. Outside run() the first turn starts the reactor; after stop() it does nothing until attach().
    void dispatch();
    /// At the nesting limit: dispatch() does nothing until a turn on the stack has ended. A loop that is nested in a callback leaves fileno() out meanwhile.
    bool turnsHeld() const;
    /// Sends what callbacks left unsent. To be called before the host's loop blocks. Runs no user code.
    void aboutToWait();
    /// For a loop of your own, after stop(): pending again, the next dispatch() starts it. Throws ReactorAlreadyRunning.
    virtual void attach();

protected:
    /// As dispatch(), with a budget for this turn.
    void dispatch(Duration budget);
    /// Nothing is left to do for a host: stopped, crashed or never attached.
    bool detached() const;
};

class BINE_EXPORT PollReactor : public ReactorBase {
public:
    PollReactor();
    ~PollReactor() override;
};

/// Descriptors of FD_SETSIZE (1024) and above are refused with std::out_of_range.
class BINE_EXPORT SelectReactor : public ReactorBase {
public:
    SelectReactor();
    ~SelectReactor() override;
};

}  // namespace bine::inline v0
