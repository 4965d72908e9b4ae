#pragma once
// Poller: how a reactor learns from the kernel what is ready. Internal; one per reactor, reactor's thread only.
//
// Level-triggered. Three exist: epoll, poll, select. What a kqueue or a completion port would implement is in docs/design.md.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "bine/defer/clock.h"

namespace bine::inline v0::detail {

struct PollEvent {
    std::uint64_t token;
    unsigned events;  // IoEvents
};

class Poller {
public:
    static constexpr Duration kForever = (Duration::max)();

    virtual ~Poller() = default;
    /// Changes what is watched on fd from `was` to `now` (kReadable | kWritable | kErrorsOnly); zero is out of the set, so that hang-ups stay silent too.
    /// Throws std::system_error: EPERM for what cannot be polled; ENOSPC, ENOMEM.
    virtual void watch(int fd, std::uint64_t token, unsigned was, unsigned now) = 0;
    /// The descriptor was closed behind our back, and the number may be somebody else's by now: what was watched for `token` is dropped, and nothing else.
    virtual void forget(int fd, std::uint64_t token) = 0;
    /// Waits until something is ready or `timeout` has passed; never returns early for the clock, but may for a POSIX signal. Returns how many of `events` are filled.
    virtual std::size_t wait(std::span<PollEvent> events, Duration timeout) = 0;
    /// A descriptor that is readable while something watched is ready; -1 where the kernel has none.
    virtual int fileno() const { return -1; }
};

std::unique_ptr<Poller> makeEpollPoller();
std::unique_ptr<Poller> makePollPoller();
std::unique_ptr<Poller> makeSelectPoller();

}  // namespace bine::inline v0::detail
