#include "bine/net/kernel_network.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "bine/net/errors.h"
#include "bine/net/hostname_lookup.h"
#include "bine/net/stream_transport.h"
#include "bine/net/tcp_port.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/mailbox.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0 {

StreamListener::~StreamListener() = default;
void StreamListener::setAccepting(bool) {}
Network::~Network() = default;

std::shared_ptr<Network> networkOf(Reactor& reactor) {
    reactor.assertThread("networkOf()");
    if (auto network = reactor.service<Network>())
        return network;
    detail::ReactorCore* core = reactor.core();
    if (!core)
        throw Error("this reactor has no network: it watches no descriptors, and nobody provided a Network");
    std::shared_ptr<Network> network = std::make_shared<detail::KernelNetwork>(*core);
    reactor.provideService<Network>(network);
    return network;
}

namespace detail {

namespace {

void setNoDelay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// An attempt that the kernel works on.
class ConnectingSocket final : public IoHandler {
public:
    using Answer = Resolver<std::shared_ptr<Transport>>;

    ConnectingSocket(const SocketAddress& target, std::source_location askedAt)
        : target_(target), destination_(target.address().text()), askedAt_(askedAt) {}

    Deferred<std::shared_ptr<Transport>> start(ReactorCore& core, int fd) {
        openIn(core, fd);
        try {
            wantWriting(true);
        } catch (...) {
            closeDescriptor();
            return bine::fail<std::shared_ptr<Transport>>(failureOfCurrentException());
        }
        answer_ = std::make_unique<Answer>([weak = weak_from_this()](Answer& answer) {
            const auto self = std::static_pointer_cast<ConnectingSocket>(weak.lock());
            if (!self)
                return;
            self->closeDescriptor();
            answer.errback(ConnectingCancelledError(self->destination_));
        });
        return answer_->deferred();
    }
    void ioReady(unsigned) override {
        const auto keep = shared_from_this();
        int error = 0;
        socklen_t length = sizeof error;
        if (::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0)
            error = errno;
        if (error == 0 && connectedToItself(fd(), target_))
            error = ECONNREFUSED;
        if (error != 0) {
            closeDescriptor();
            if (!answer_->called())
                answer_->errback(connectFailure(destination_, error));
            return;
        }
        ReactorCore& home = *core(); // this turn holds it
        std::shared_ptr<Transport> transport =
            std::make_shared<StreamTransport>(home, releaseDescriptor(), target_);
        if (!answer_->called())
            answer_->callback(std::move(transport));
    }
    void reactorStopped() override {
        const auto keep = shared_from_this();
        closeDescriptor();
        if (!answer_->called())
            answer_->errback(ConnectError(destination_, 0, "the reactor has stopped"));
    }
    LogContext logContext() override { return LogContext("connecting to " + destination_); }
    CallbackName callbackName() const noexcept override {
        return {CallbackName::Kind::connecting, askedAt_.line(), askedAt_.file_name()};
    }

    // A socket that connects to a free port of this computer may get that very port as its own, and then
    // meets itself (RFC 9293, 3.5: simultaneous open).
    static bool connectedToItself(int fd, const SocketAddress& target) {
        SocketAddress own;
        socklen_t length = SocketAddress::capacity;
        if (::getsockname(fd, own.data(), &length) != 0)
            return false;
        const auto portOf = [](const SocketAddress& address) {
            return address.family() == AF_INET6
                       ? reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_port
                       : reinterpret_cast<const sockaddr_in*>(address.data())->sin_port;
        };
        if (portOf(own) != portOf(target))
            return false;
        own.length = static_cast<std::uint32_t>(length);
        return own.address() == target.address();
    }

private:
    SocketAddress target_;
    std::string destination_;
    const std::source_location askedAt_;
    std::unique_ptr<Answer> answer_;
};

class KernelListener final : public StreamListener {
public:
    KernelListener(std::shared_ptr<AcceptingSocket> socket, Address address)
        : socket_(std::move(socket)), address_(std::move(address)) {}
    ~KernelListener() override { socket_->close(); }
    Address address() const override { return address_; }
    void setAccepting(bool on) override { socket_->setAccepting(on); }

private:
    std::shared_ptr<AcceptingSocket> socket_;
    Address address_;
};

/// A descriptor that closes unless it is handed on.
class Holder {
public:
    explicit Holder(int fd) : fd_(fd) {}
    ~Holder() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

bool isIp(const Address& address) {
    return address.kind() == AddressKind::ipv4 || address.kind() == AddressKind::ipv6;
}

} // namespace

/// The lookups that are under way; touched on the reactor's thread only, reached from others through the
/// mailbox.
struct KernelNetwork::Lookups {
    using Answer = Resolver<std::vector<Address>>;
    struct Entry {
        std::string name;
        std::shared_ptr<HostnameLookup> lookup; // null before it has begun
        std::unique_ptr<Answer> answer;
    };
    std::map<std::uint64_t, Entry> entries;
    std::uint64_t next = 0;

    /// Called by the Resolver, which has to outlive the call: it is kept until the next one is cancelled.
    void cancel(std::uint64_t id) {
        const auto found = entries.find(id);
        if (found == entries.end())
            return;
        if (found->second.lookup)
            abandonLookup(found->second.lookup);
        cancelled = std::move(found->second.answer);
        entries.erase(found);
    }
    void answered(std::uint64_t id, const LookupAnswer& found) {
        cancelled.reset();
        const auto place = entries.find(id);
        if (place == entries.end())
            return;
        const Entry entry = std::move(place->second);
        entries.erase(place);
        if (found.addresses.empty()) {
            entry.answer->errback(DNSLookupError(entry.name, found.error, found.transient));
            return;
        }
        std::vector<Address> addresses;
        for (const SocketAddress& address : found.addresses) {
            Address next = address.address();
            if (std::find(addresses.begin(), addresses.end(), next) == addresses.end())
                addresses.push_back(std::move(next));
        }
        entry.answer->callback(std::move(addresses));
    }
    std::unique_ptr<Answer> cancelled;
};

KernelNetwork::KernelNetwork(ReactorCore& core) : core_(&core), lookups_(std::make_shared<Lookups>()) {
    core.ref();
}

KernelNetwork::~KernelNetwork() {
    if (core_->inherited())
        keepForever(std::exchange(lookups_, std::make_shared<Lookups>()));
    for (auto& [id, entry] : lookups_->entries)
        if (entry.lookup)
            abandonLookup(entry.lookup);
    core_->unref();
}

Deferred<std::shared_ptr<Transport>> KernelNetwork::connectStream(const Address& address,
                                                                  const StreamOptions& options) {
    using Made = std::shared_ptr<Transport>;
    if (!core_->reactor())
        return bine::fail<Made>(ConnectError(address.text(), 0, "the reactor is gone"));
    if (!isIp(address))
        return bine::fail<Made>(InvalidAddressError(address.text(), "a numeric address such as 127.0.0.1 or ::1 is needed here"));
    const SocketAddress target(address);
    Holder fd(::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.get() < 0)
        return bine::fail<Made>(ConnectBindError(address.text(), errno));
    if (options.bindAddress()) {
        if (!isIp(*options.bindAddress()))
            return bine::fail<Made>(
                InvalidAddressError(options.bindAddress()->text(), "a numeric address such as 127.0.0.1 or ::1 is needed here"));
        const SocketAddress own(*options.bindAddress());
        if (::bind(fd.get(), own.data(), own.length) != 0)
            return bine::fail<Made>(ConnectBindError(address.text(), errno));
    }
    setNoDelay(fd.get());
    if (::connect(fd.get(), target.data(), target.length) == 0) {
        if (ConnectingSocket::connectedToItself(fd.get(), target))
            return bine::fail<Made>(connectFailure(address.text(), ECONNREFUSED));
        return bine::succeed(Made(std::make_shared<StreamTransport>(*core_, fd.release(), target)));
    }
    if (errno != EINPROGRESS && errno != EINTR)
        return bine::fail<Made>(connectFailure(address.text(), errno));
    return std::make_shared<ConnectingSocket>(target, options.askedAt())->start(*core_, fd.release());
}

std::unique_ptr<StreamListener>
KernelNetwork::listenStream(const Address& address, int backlog,
                            Function<void(std::shared_ptr<Transport>)> accepted) {
    if (!core_->reactor())
        throw Error("listening on " + address.text() + ": the reactor is gone");
    if (!isIp(address))
        throw InvalidAddressError(address.text(), "a numeric address such as 127.0.0.1 or ::1 is needed to listen on");
    const SocketAddress own(address);
    const auto refuse = [&](int error) { return CannotListenError(address.host(), address.port(), error); };
    Holder fd(::socket(own.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.get() < 0)
        throw refuse(errno);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setNoDelay(fd.get());
    if (::bind(fd.get(), own.data(), own.length) != 0 || ::listen(fd.get(), backlog) != 0)
        throw refuse(errno);
    keepReserveDescriptor();
    const Address actual = socketAddress(fd.get(), false);
    auto socket = std::make_shared<AcceptingSocket>(actual, std::move(accepted));
    socket->start(*core_, fd.release());
    return std::make_unique<KernelListener>(std::move(socket), actual);
}

Deferred<std::vector<Address>> KernelNetwork::resolve(const std::string& name) {
    using Found = std::vector<Address>;
    if (isAddressLiteral(name))
        return bine::succeed(Found{Address::of(name, 0)});
    if (!core_->reactor())
        return bine::fail<Found>(DNSLookupError(name, "the reactor is gone", false));
    const std::uint64_t id = lookups_->next++;
    std::weak_ptr<Lookups> weak = lookups_;
    Lookups::Entry& entry = lookups_->entries[id];
    entry.name = name;
    entry.answer = std::make_unique<Resolver<Found>>([weak, id](Resolver<Found>&) {
        if (const auto lookups = weak.lock())
            lookups->cancel(id);
    });
    auto result = entry.answer->deferred();
    // The worker holds the mailbox and a weak pointer, nothing of the loop's thread: a late answer finds no
    // entry. A refusal comes through the mailbox too, in a later turn.
    entry.lookup = lookUpHostname(name, [weak, id, mailbox = core_->mailbox()](LookupAnswer answer) {
        mailbox->post([weak, id, answer = std::move(answer)] {
            if (const auto lookups = weak.lock())
                lookups->answered(id, answer);
        });
    });
    return result;
}

} // namespace detail
} // namespace bine::inline v0
