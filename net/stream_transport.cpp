#include "bine/net/stream_transport.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "bine/log/log.h"
#include "bine/log/sanitizer.h"
#include "bine/net/errors.h"
#include "bine/net/half_close.h"
#include "bine/net/protocol.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {

// What an idle connection costs: this, its control block (16) and its slot in the reactor (28). The promise
// is 256.
static_assert(sizeof(StreamTransport) <= 200);

CompactAddress::CompactAddress(const SocketAddress& address) noexcept {
    if (address.family() == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(address.data());
        std::memcpy(bytes_, &in->sin_addr, sizeof in->sin_addr);
        port_ = ntohs(in->sin_port);
    } else if (address.family() == AF_INET6) {
        const auto* in = reinterpret_cast<const sockaddr_in6*>(address.data());
        std::memcpy(bytes_, &in->sin6_addr, sizeof in->sin6_addr);
        port_ = ntohs(in->sin6_port);
        scope_ = in->sin6_scope_id;
    } else {
        return;
    }
    family_ = static_cast<std::uint16_t>(address.family());
}

Address CompactAddress::address() const {
    if (family_ == AF_INET) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port_);
        std::memcpy(&in.sin_addr, bytes_, sizeof in.sin_addr);
        return addressFromSockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in);
    }
    if (family_ == AF_INET6) {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port_);
        in.sin6_scope_id = scope_;
        std::memcpy(&in.sin6_addr, bytes_, sizeof in.sin6_addr);
        return addressFromSockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in);
    }
    return {};
}

static void noteUnsent(std::size_t bytes, const Transport& transport, const Failure& reason) {
    static const Logger log("bine.net");
    if (bytes != 0 && log.enabled(LogLevel::debug))
        log.debug(std::to_string(bytes) + " bytes written to " + transport.describe() +
                  " were not sent: " + reason.getErrorMessage());
}

/// What is needed before a protocol is attached, or after the end.
struct StreamTransport::Cold {
    ReactorCore* home = nullptr; // counted
    int fd = -1;
    CompactAddress host;
    ~Cold() {
        if (home)
            home->unref();
        if (fd >= 0)
            ::close(fd);
    }
};

/// The protocol's hearing of the end, in a later turn. If that turn never comes (the reactor dies), when this
/// is destroyed.
struct StreamTransport::Delivery {
    std::shared_ptr<StreamTransport> transport;
    Failure reason;

    Delivery(std::shared_ptr<StreamTransport> transport, Failure reason)
        : transport(std::move(transport)), reason(std::move(reason)) {}
    Delivery(Delivery&&) noexcept = default;
    Delivery& operator=(Delivery&&) = delete;
    ~Delivery() { (*this)(); }
    void operator()() {
        if (const auto ended = std::exchange(transport, nullptr))
            ended->deliverLoss(reason);
    }
};

StreamTransport::StreamTransport(ReactorCore& core, int fd, const SocketAddress& peer)
    : cold_(std::make_unique<Cold>()), peer_(peer) {
    cold_->fd = fd;
    cold_->home = &core;
    core.ref();
}

StreamTransport::~StreamTransport() { dropQueue(); }

// Once it has ended nothing is checked, and every call is a no-op.
void StreamTransport::assertThread(const char* call) const {
    if (const ReactorCore* const home = open() ? core() : cold_ ? cold_->home : nullptr)
        home->home().check([&] { return std::string(call) + " of " + describe(); });
}

int StreamTransport::descriptor() const noexcept { return open() ? fd() : cold_ ? cold_->fd : -1; }

void StreamTransport::protocolAttached() {
    if (!cold_ || cold_->fd < 0 || !cold_->home->reactor())
        throw std::logic_error("attach: the connection has ended");
    openIn(*cold_->home, std::exchange(cold_->fd, -1));
    cold_.reset();
    if (queue_)
        markDirty();
    try {
        updateReading();
    } catch (...) { // the reactor refuses it: a descriptor too high for select(), a full epoll set
        closeDescriptor();
        throw;
    }
}

void StreamTransport::aroundHandler(void (*call)(void*), void* object) {
    const BusyScope busy(*this);
    call(object);
}

void StreamTransport::handlersReturned() {
    if (writeEnded_)
        writeEndTold_ ? bothEnded() : tell();
    if (outputFailed())
        readRestLater();
}

Clock* StreamTransport::clockOrNull() const noexcept {
    if (open())
        return core()->reactor();
    return cold_ && cold_->home ? cold_->home->reactor() : nullptr;
}

// With what the kernel has accepted and the peer's kernel has not: an abort destroys that too.
std::size_t StreamTransport::unsent() const noexcept {
    int kept = 0;
    if (::ioctl(descriptor(), SIOCOUTQ, &kept) != 0 || kept < 0)
        kept = 0;
    if (writeEnded_ && kept > 0)
        --kept; // the end of file counts as one
    return buffered() + static_cast<std::size_t>(kept);
}

// --- Reading

void StreamTransport::ioReady(unsigned events) {
    if (wantsReading() && (events & (kReadable | kHangUp | kIoError)))
        readSome();
    if (wantsWriting() && open() && (events & (kWritable | kHangUp | kIoError)) && sendQueued())
        tell();
    if (watchesErrors() && (events & (kHangUp | kIoError)))
        hungUp();
}

void StreamTransport::readyWhileBusy(unsigned events) {
    if (wantsWriting() && (events & (kWritable | kHangUp | kIoError)))
        sendAndTellLater();
    if (!open() || !(events & (kReadable | kHangUp | kIoError)))
        return;
    if (!everDisconnecting())
        return IoHandler::readyWhileBusy(events);
    if (wantsReading()) // lingering: what is read is dropped
        readSome();
    if (watchesErrors() && (events & (kHangUp | kIoError)))
        hungUp();
}

void StreamTransport::readSome() {
    const BufferLease lease(*core());
    const ssize_t n = ::recv(fd(), lease.data(), lease.size(), 0);
    if (n > 0) {
        deliverData({lease.data(), static_cast<std::size_t>(n)});
#ifdef BINE_SANITIZED
        std::memset(lease.data(), 0xdb, static_cast<std::size_t>(n)); // whoever kept the view shall see
#endif
    } else if (n == 0) {
        inputEnded();
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        endSocket(ConnectionLost(errno), true);
    }
}

void StreamTransport::inputEnded() {
    inputEnded_ = true;
    if (everDisconnecting()) {
        if (writeEnded_)
            endSocket(connectionDone(), true);
        else
            inputOver();
        return;
    }
    if (queue_)
        sendAndTellLater();
    if (open())
        deliverEof();
    if (writeEnded_)
        bothEnded();
}

// Ends the connection, if the input has been heard to its end too.
void StreamTransport::bothEnded() {
    if (inputEnded_ && open() && !keepsInput())
        endSocket(connectionDone(), true);
}

void StreamTransport::inputOver() { watchErrorsOnly(); }

void StreamTransport::closeFinished() { endSocket(connectionDone(), true); }

// Both directions are gone, after the end of the input.
void StreamTransport::hungUp() {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    endSocket(ConnectionLost(error != 0 ? error : ECONNRESET), true);
}

void StreamTransport::updateReading() {
    const bool blocked = !readWhileBlocked_ && queue_ && queue_->size() > highWater;
    const bool on = open() && !inputEnded_ && !outputFailed() &&
                    (everDisconnecting() ? lingering() : !paused_ && !blocked);
    if (on != wantsReading())
        wantReading(on);
}

void StreamTransport::pauseProducing() {
    if constexpr (checksEachCall)
        assertThread("pauseProducing()");
    paused_ = true;
    updateReading();
}

void StreamTransport::resumeProducing() {
    if constexpr (checksEachCall)
        assertThread("resumeProducing()");
    paused_ = false;
    updateReading();
    if (keepsInput() && open())
        core()->soon([self = std::static_pointer_cast<StreamTransport>(Transport::shared_from_this())] {
            self->deliverKept();
        });
    if (outputFailed())
        readRestLater();
}

void StreamTransport::readWhileBlocked(bool on) {
    assertThread("readWhileBlocked()");
    readWhileBlocked_ = on;
    updateReading();
}

// --- Writing

void StreamTransport::write(std::string_view data) {
    if constexpr (checksEachCall)
        assertThread("write()");
    if (data.empty())
        return;
    if (!mayWrite())
        return writeDropped(data.size());
    if (!queue_)
        queue_ = WriteQueue::take();
    if (data.size() >= WriteQueue::large && open() && !wantsWriting())
        return sendNow(data);
    queue_->append(data);
    written();
}

void StreamTransport::writeOwned(std::string&& data) {
    if constexpr (checksEachCall)
        assertThread("write()");
    if (data.empty())
        return;
    if (!mayWrite())
        return writeDropped(data.size());
    if (!queue_)
        queue_ = WriteQueue::take();
    const bool large = data.size() >= WriteQueue::large;
    queue_->adopt(std::move(data));
    if (large && open() && !wantsWriting())
        return sendNow();
    written();
}

void StreamTransport::writeShared(const SharedBytes& data) {
    if (data.size() < WriteQueue::large)
        return write(data.view());
    if constexpr (checksEachCall)
        assertThread("write()");
    if (!mayWrite())
        return writeDropped(data.size());
    if (!queue_)
        queue_ = WriteQueue::take();
    queue_->share(data);
    if (open() && !wantsWriting())
        return sendNow();
    written();
}

void StreamTransport::written() {
    if (!open())
        return;
    if (wantsWriting())
        return outputWritten();
    if (core()->depth() == 0 || queue_->size() > highWater)
        return sendNow();
    markDirty();
    outputWritten();
}

void StreamTransport::sendNow(std::string_view more) {
    const auto self = Transport::shared_from_this();
    sendAndTellLater(more);
    outputWritten();
}

void StreamTransport::outputWritten() {
    if (!queue_ || !open())
        return;
    if (!readWhileBlocked_)
        updateReading();
    outputGrew();
}

// Sends what the socket takes of the queue and of what follows it, and keeps the rest. Runs no user code; true
// if there is something to tell(). The caller keeps this alive.
bool StreamTransport::sendQueued(std::string_view more) {
    if (!open())
        return false;
    if (queue_) {
        if (const int error = queue_->sendTo(fd(), more); error != 0) {
            writeFailed(error);
            return false;
        }
        if (queue_->empty())
            dropQueue();
    }
    if (const bool blocked = queue_ != nullptr; blocked != wantsWriting())
        wantWriting(blocked);
    if (!readWhileBlocked_)
        updateReading();
    if (queue_)
        return false;
    if (everDisconnecting() && !hasProducer()) {
        everythingSent();
        return false;
    }
    if (writeEnding_ && !writeEnded_ && !hasProducer()) {
        ::shutdown(fd(), SHUT_WR);
        writeEnded_ = true;
        return true;
    }
    return outputWatched();
}

void StreamTransport::sendAndTellLater(std::string_view more) {
    if (sendQueued(more))
        tellLater();
}

void StreamTransport::flush() { sendAndTellLater(); }

void StreamTransport::tellLater() {
    if (tellQueued_ || !open())
        return;
    tellQueued_ = true;
    core()->soon([self = std::static_pointer_cast<StreamTransport>(Transport::shared_from_this())] {
        self->tellQueued_ = false;
        self->tell();
    });
}

// What sending brought about. Runs user code.
void StreamTransport::tell() {
    if (!open())
        return;
    if (!queue_)
        outputDrained();
    if (!writeEnded_ || writeEndTold_ || inHandler() || !open())
        return;
    writeEndTold_ = true;
    auto* halfCloseable = protocol() ? protocol()->as<HalfCloseableProtocol>() : nullptr;
    if (halfCloseable)
        callHandler("writeConnectionLost()", [halfCloseable] { halfCloseable->writeConnectionLost(); });
    bothEnded();
}

// After loseConnection(). Runs no user code.
void StreamTransport::everythingSent() {
    if (!lingering() || inputEnded_ || outputFailed())
        return endSocket(connectionDone());
    if (!writeEnded_)
        ::shutdown(fd(), SHUT_WR);
    writeEnded_ = writeEndTold_ = true;
    updateReading();
}

// What the peer sent before is still delivered. The descriptor leaves the set: a socket that is broken is always
// ready. Runs no user code; the caller keeps this alive.
void StreamTransport::writeFailed(int error) {
    if (everDisconnecting() || inputEnded_)
        return endSocket(ConnectionLost(error));
    noteUnsent(buffered(), *this, ConnectionLost(error));
    dropQueue();
    failOutput(ConnectionLost(error));
    wantWriting(false);
    updateReading();
    readRestLater();
}

void StreamTransport::readRestLater() {
    if (restQueued_ || !open())
        return;
    restQueued_ = true;
    core()->soon([self = std::static_pointer_cast<StreamTransport>(Transport::shared_from_this())] {
        self->restQueued_ = false;
        self->readRest();
    });
}

// One piece of what came before a write failed, or the end if there is no more.
void StreamTransport::readRest() {
    if (!open())
        return;
    const auto end = [this] { endSocket(ConnectionLost("a write failed"), true); }; // failOutput() knows why
    if (everDisconnecting())
        return end();
    if (inHandler())
        return; // handlersReturned() goes on
    if (paused_)
        return restWaits() ? void() : end(); // resumeProducing() goes on
    const BufferLease lease(*core());
    const ssize_t n = ::recv(fd(), lease.data(), lease.size(), MSG_DONTWAIT);
    if (n <= 0 && !(n < 0 && errno == EINTR))
        return end();
    readRestLater();
    if (n > 0)
        deliverData({lease.data(), static_cast<std::size_t>(n)});
}

bool StreamTransport::restWaits() const {
    char byte;
    return keepsInput() || (protocol() && protocol()->holdsInput()) || ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void StreamTransport::dropQueue() noexcept { WriteQueue::giveBack(std::move(queue_)); }

// --- Ending

void StreamTransport::loseConnection() {
    assertThread("loseConnection()");
    if (!open())
        return closeUnattached();
    const bool again = everDisconnecting();
    markDisconnecting();
    updateReading();
    if (again)
        return;
    if (outputFailed())
        readRestLater();
    else
        closeWhenSent();
}

void StreamTransport::producerGone() { closeWhenSent(); }

void StreamTransport::closeWhenSent() {
    if (hasProducer() || wantsWriting())
        return; // later
    if (core()->depth() != 0)
        return markDirty();
    const auto self = Transport::shared_from_this();
    sendAndTellLater();
}

void StreamTransport::loseWriteConnection() {
    assertThread("loseWriteConnection()");
    if (!open() || everDisconnecting() || writeEnding_ || outputFailed())
        return;
    writeEnding_ = true;
    closeWhenSent();
}

void StreamTransport::abortConnection() {
    assertThread("abortConnection()");
    const linger reset{1, 0};
    if (const int socket = descriptor(); socket >= 0)
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (!open())
        return closeUnattached();
    endSocket(ConnectionAborted());
}

void StreamTransport::closeUnattached() noexcept {
    if (!cold_ || cold_->fd < 0)
        return;
    ::close(std::exchange(cold_->fd, -1));
    markEnded();
}

void StreamTransport::reactorStopped() {
    markDisconnecting(); // a close in good order, not a reset that overtakes the last words
    endSocket(ConnectionLost("the reactor has stopped"), true);
}

// Closes the socket. The protocol hears of it now, if the caller is a turn of the reactor, else in a later
// one; never while its handler is on the stack.
void StreamTransport::endSocket(const Failure& given, bool now) {
    if (!open())
        return;
    const Failure reason = TransportAccess::truthful(given, buffered());
    if (queue_)
        noteUnsent(buffered(), *this, reason);
    const auto self = std::static_pointer_cast<StreamTransport>(Transport::shared_from_this());
    ReactorCore& home = *core();
    if (everDisconnecting())
        discardInput();
    cold_ = std::make_unique<Cold>();
    cold_->host = CompactAddress(socketName(fd(), false));
    dropQueue();
    home.ref();
    closeDescriptor();
    markEnded();
    if (now || !home.reactor())
        deliverLoss(reason);
    else
        home.soon(Delivery(self, reason));
    home.unref();
}

// Unread input would make the close a reset, which may overtake what was just sent. MSG_TRUNC: TCP copies nothing.
void StreamTransport::discardInput() {
    constexpr int atMost = 16;
    const BufferLease lease(*core());
    for (int i = 0; i < atMost; ++i)
        if (::recv(fd(), lease.data(), lease.size(), MSG_TRUNC | MSG_DONTWAIT) <= 0)
            return;
}

// --- Who and what

Address StreamTransport::getPeer() const {
    if (peer_.known())
        return peer_.address();
    return socketAddress(descriptor(), true);
}

Address StreamTransport::getHost() const {
    if (const int socket = descriptor(); socket >= 0)
        return socketAddress(socket, false);
    return cold_ ? cold_->host.address() : Address();
}

std::string StreamTransport::logPrefix() const {
    const std::string name = Transport::logPrefix();
    return session_ == 0 ? name + ",client" : name + "," + std::to_string(session_) + "," + getPeer().host();
}

CallbackName StreamTransport::callbackName() const noexcept {
    const Protocol* const heard = protocol();
    return {CallbackName::Kind::connection, session_, heard ? typeid(*heard).name() : typeid(*this).name()};
}

std::string StreamTransport::describe() const {
    const std::string name = Transport::logPrefix();
    return session_ == 0
               ? "<" + name + " to " + getPeer().text() + ">"
               : "<" + name + " #" + std::to_string(session_) + " on " + std::to_string(port_) + ">";
}

void* StreamTransport::capability(std::type_index interface) {
    if (interface == typeid(HalfCloseableTransport))
        return static_cast<HalfCloseableTransport*>(this);
    if (interface == typeid(TCPTransport) && peer_.known())
        return static_cast<TCPTransport*>(this);
    return nullptr;
}

bool StreamTransport::option(int level, int name) const {
    int value = 0;
    socklen_t length = sizeof value;
    return ::getsockopt(descriptor(), level, name, &value, &length) == 0 && value != 0;
}

void StreamTransport::setOption(int level, int name, bool on) {
    const int value = on ? 1 : 0;
    ::setsockopt(descriptor(), level, name, &value, sizeof value);
}

bool StreamTransport::getTcpNoDelay() const { return option(IPPROTO_TCP, TCP_NODELAY); }
void StreamTransport::setTcpNoDelay(bool on) { setOption(IPPROTO_TCP, TCP_NODELAY, on); }
bool StreamTransport::getTcpKeepAlive() const { return option(SOL_SOCKET, SO_KEEPALIVE); }
void StreamTransport::setTcpKeepAlive(bool on) { setOption(SOL_SOCKET, SO_KEEPALIVE, on); }

} // namespace bine::inline v0::detail
