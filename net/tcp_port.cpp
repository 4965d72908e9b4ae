#include "bine/net/tcp_port.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/stream_transport.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {

namespace {

constexpr int kAcceptAtMost = 100; // per turn, where the turn itself has no limit

const Logger& logger() {
    static const Logger log("bine.tcp");
    return log;
}

std::atomic<int> reserve{-1};

int openReserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

} // namespace

void keepReserveDescriptor() {
    if (reserve.load() >= 0)
        return;
    const int fd = openReserve();
    if (const int before = fd < 0 ? -1 : reserve.exchange(fd); before >= 0)
        ::close(before);
}

AcceptingSocket::AcceptingSocket(Address address, Accepted accepted)
    : address_(std::move(address)), accepted_(std::move(accepted)) {}

void AcceptingSocket::start(ReactorCore& core, int fd) {
    openIn(core, fd);
    try {
        wantReading(true);
    } catch (...) {
        closeDescriptor();
        throw;
    }
}

void AcceptingSocket::close() {
    if (resume_.active())
        resume_.cancel();
    closeDescriptor();
}

void AcceptingSocket::setAccepting(bool on) {
    accepting_ = on;
    updateReading();
}

void AcceptingSocket::updateReading() {
    if (!open())
        return;
    if (const bool on = accepting_ && !resume_.active(); on != wantsReading())
        wantReading(on);
}

void AcceptingSocket::ioReady(unsigned) {
    ReactorCore& home = *core(); // this turn holds it
    for (int left = kAcceptAtMost; left > 0 && open() && accepting_; --left) {
        const Outcome outcome = acceptOne();
        if (outcome == Outcome::blocked)
            return;
        if (outcome == Outcome::starved)
            return pause();
        if (outcome == Outcome::accepted && home.turnIsOver())
            return;
    }
}

AcceptingSocket::Outcome AcceptingSocket::acceptOne() {
    SocketAddress peer;
    socklen_t length = SocketAddress::capacity;
    const int fd = ::accept4(this->fd(), peer.data(), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return acceptFailed(errno);
    peer.length = static_cast<std::uint32_t>(length);
    starved_ = false;
    auto transport = std::make_shared<StreamTransport>(*core(), fd, peer);
    transport->setSession(++sessions_, address_.port());
    guarded("Unhandled error in accepting a connection", [&] { accepted_(std::move(transport)); });
    return Outcome::accepted;
}

AcceptingSocket::Outcome AcceptingSocket::acceptFailed(int error) {
    switch (error) {
    case EAGAIN:
#if EAGAIN != EWOULDBLOCK
    case EWOULDBLOCK:
#endif
        return Outcome::blocked;
    // The firewall refused this one; errors of the network that were pending on the new connection
    // (accept(2)).
    case EINTR:
    case EPERM:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
        if (error != EINTR)
            logger().debug("A connection was lost before it was accepted: " + systemErrorText(error));
        return Outcome::again;
    case EMFILE:
    case ENFILE:
        return turnOneAway();
    default:
        if (!std::exchange(starved_, true))
            logger().error("Could not accept a connection on " + address_.text() + ": " +
                           systemErrorText(error));
        return Outcome::starved;
    }
}

// No descriptors are left. The client that waits would keep the port readable, so it gets the reserve for a
// moment and sees a closed connection.
AcceptingSocket::Outcome AcceptingSocket::turnOneAway() {
    if (!std::exchange(starved_, true))
        logger().error("Could not accept a connection on " + address_.text() +
                       ": no file descriptors are left; clients are turned away");
    const int spare = reserve.exchange(-1);
    if (spare < 0) {
        keepReserveDescriptor();
        return Outcome::starved;
    }
    ::close(spare);
    const int client = ::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const int error = errno;
    if (client >= 0)
        ::close(client);
    keepReserveDescriptor();
    if (client >= 0)
        return Outcome::again;
    return error == EAGAIN || error == EWOULDBLOCK ? Outcome::blocked : Outcome::starved;
}

// What ails the port does not go away by asking at once: ask again a little later.
void AcceptingSocket::pause() {
    if (!open() || !core()->reactor())
        return;
    resume_ = core()->reactor()->callLater(
        std::chrono::milliseconds(100), [weak = std::weak_ptr<IoHandler>(shared_from_this())] {
            const auto port = std::static_pointer_cast<AcceptingSocket>(weak.lock());
            if (port)
                port->updateReading();
        });
    updateReading();
}

} // namespace bine::inline v0::detail
