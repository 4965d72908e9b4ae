#pragma once
// AcceptingSocket: a listening descriptor and its accept loop. Internal; reactor's thread.
//
// Accepts one, hands it on, accepts the next, within the turn's budget; never busy, so a dialog opened while
// a connection is made leaves the port accepting.

#include <cstdint>
#include <memory>

#include "bine/defer/clock.h"
#include "bine/net/network.h"
#include "bine/reactors/io_handler.h"

namespace bine::inline v0::detail {

class AcceptingSocket final : public IoHandler {
public:
    using Accepted = Function<void(std::shared_ptr<Transport>)>;

    AcceptingSocket(Address address, Accepted accepted);
    /// Takes over a listening, non-blocking socket. What it accepts has its options, TCP_NODELAY for one.
    void start(ReactorCore& core, int fd);
    void close();
    /// While false, new connections wait in the kernel.
    void setAccepting(bool on);

    void ioReady(unsigned events) override;
    void reactorStopped() override { close(); }
    LogContext logContext() override { return LogContext("port " + address_.text()); }
    CallbackName callbackName() const noexcept override {
        return {CallbackName::Kind::port, address_.port(), nullptr};
    }

private:
    enum class Outcome { accepted, again, blocked, starved };

    Outcome acceptOne();
    Outcome acceptFailed(int error);
    Outcome turnOneAway();
    void pause();
    void updateReading();

    Address address_;
    Accepted accepted_;
    std::uint32_t sessions_ = 0;
    bool starved_ = false; // said so in the log
    bool accepting_ = true;
    DelayedCall resume_;
};

/// Makes sure that this process holds a descriptor in reserve, which a port gives up for a moment to turn
/// clients away when there are no more.
void keepReserveDescriptor();

} // namespace bine::inline v0::detail
