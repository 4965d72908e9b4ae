#include "dialogs/scene.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "bine/net/producer.h"

namespace dialogs {
namespace {

[[noreturn]] void failed(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

} // namespace

// --- Talker

template <class F>
void Talker::heard(const char* what, F&& f) {
    struct Depth {
        Talker& talker;
        explicit Depth(Talker& talker) : talker(talker) {
            talker.deepest = std::max(talker.deepest, ++talker.depth_);
        }
        ~Depth() { --talker.depth_; }
    } inside(*this);
    if (events.empty() || events.back() != what)
        events.push_back(what);
    f();
}

void Talker::connectionMade() {
    heard("made", [&] {
        if (onMade)
            onMade(*this);
    });
}

void Talker::dataReceived(std::string_view bytes) {
    heard("data", [&] {
        data += bytes;
        if (onData)
            onData(*this, bytes);
    });
}

void Talker::connectionLost(const Failure& why) {
    heard("lost", [&] {
        reason = why;
        if (onLost)
            onLost(*this);
    });
}

// --- Peers

RawPeer::RawPeer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0)
        failed("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(fd_);
        failed("connect");
    }
}

void RawPeer::send(std::string_view data) const {
    while (!data.empty()) {
        const ssize_t n = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
        if (n < 0)
            failed("send");
        data.remove_prefix(static_cast<std::size_t>(n));
    }
}

void RawPeer::takeLittle() const {
    const int size = 64 * 1024;
    if (::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) != 0)
        failed("setsockopt");
}

void RawPeer::endWriting() const { ::shutdown(fd_, SHUT_WR); }

void RawPeer::close() {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

void RawPeer::reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

Witness::Witness(bine::Reactor& reactor, RawPeer& peer, std::size_t bytes, std::function<void(Seen)> then)
    : thread_([mailbox = reactor.mailbox(), fd = peer.fd(), bytes, then = std::move(then)]() mutable {
          const auto limit = std::chrono::duration_cast<std::chrono::seconds>(bine::kit::safetyLimit());
          const timeval wait{limit.count(), 0};
          ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
          Seen seen;
          std::vector<char> buffer(65536);
          while (seen.data.size() < bytes) {
              const ssize_t n =
                  ::recv(fd, buffer.data(), std::min(buffer.size(), bytes - seen.data.size()), 0);
              if (n > 0) {
                  seen.data.append(buffer.data(), static_cast<std::size_t>(n));
                  continue;
              }
              seen.end = n == 0;
              seen.reset = n < 0 && errno == ECONNRESET;
              break;
          }
          mailbox->post([then = std::move(then), seen = std::move(seen)] { then(seen); });
      }) {}

// --- Scene

Scene::Scene(bine::kit::ReactorHost& host) : host(host), reactor_(host.reactor()) {
    port_ = bine::listenTCP(
        reactor(), 0, bine::Factory::make([this](const bine::Address&) -> std::shared_ptr<bine::Protocol> {
            if (expected_.empty())
                return std::make_shared<Talker>();
            auto next = expected_.front();
            expected_.erase(expected_.begin());
            return next;
        }),
        bine::TCPServerOptions().listenOn("127.0.0.1").backlog(1000));
}

Scene::~Scene() { host.destroyReactor(); }

Scene::Line Scene::dial() {
    Line line;
    line.talker = std::make_shared<Talker>();
    expect(line.talker);
    line.peer = std::make_unique<RawPeer>(port());
    return line;
}

Scene::Line Scene::line() {
    Line line = dial();
    if (!spinUntil([&] { return !line.talker->events.empty(); }))
        throw std::runtime_error("the connection was not made");
    return line;
}

// --- Callbacks

const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all = {Kind::connectionMade,   Kind::dataReceived, Kind::connectionLost,
                                          Kind::connectingFailed, Kind::producer,     Kind::timer,
                                          Kind::immediate,        Kind::threadCall,   Kind::deferred,
                                          Kind::coroutine,        Kind::hostTimer};
    return all;
}

const char* nameOf(Kind kind) {
    static constexpr const char* names[] = {"connectionMade",    "dataReceived",    "connectionLost",
                                            "connecting failed", "producer",        "timer",
                                            "zero-delay call",   "callFromThread",  "Deferred",
                                            "coroutine",         "the host's timer"};
    return names[static_cast<int>(kind)];
}

namespace {

/// A pull producer: writes once; is asked for more from the loop.
class Pulled final : public bine::Producer {
public:
    Pulled(Talker& talker, std::function<void()> f) : talker_(talker), f_(std::move(f)) {}
    void resumeProducing() override {
        if (std::exchange(asked_, true)) {
            talker_.transport().unregisterProducer();
            return f_();
        }
        talker_.transport().write("a piece");
    }
    void pauseProducing() override {}
    void stopProducing() override {}

private:
    Talker& talker_;
    std::function<void()> f_;
    bool asked_ = false;
};

class NeverConnected final : public bine::ClientFactory {
public:
    explicit NeverConnected(std::function<void()> f) : f_(std::move(f)) {}
    std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override { return nullptr; }
    void clientConnectionFailed(bine::Connector&, const Failure&) override { f_(); }

private:
    std::function<void()> f_;
};

/// A port that nobody listens on: it was one a moment ago.
std::uint16_t closedPort() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        failed("bind");
    ::close(fd);
    return ntohs(address.sin_port);
}

void inConnection(Scene& scene, Kind kind, std::function<void()> f) {
    auto line = std::make_shared<Scene::Line>(scene.dial());
    Talker& talker = *line->talker;
    // The closure keeps the line until the connection ends; f runs off a copy, for it may outlive the closure.
    auto once = [f = std::move(f)] {
        const auto mine = f;
        mine();
    };
    switch (kind) {
    case Kind::connectionMade:
        talker.onMade = [once, line](Talker&) { once(); };
        break;
    case Kind::dataReceived:
        talker.onData = [once, line](Talker&, std::string_view) { once(); };
        line->peer->send("x");
        break;
    case Kind::producer:
        talker.onMade = [once, line](Talker& t) {
            t.transport().registerProducer(std::make_shared<Pulled>(t, once), false);
        };
        break;
    default:
        talker.onLost = [once](Talker&) { once(); };
        line->peer->close();
        return;
    }
    // The peer stays until the scene ends; then the loss breaks the ring.
    talker.onLost = [](Talker& t) { t.onMade = nullptr, t.onData = nullptr; };
}

Deferred<> resume(Deferred<> when, std::function<void()> f) {
    co_await when;
    f();
}

} // namespace

void inCallback(Scene& scene, Kind kind, std::function<void()> f) {
    bine::Reactor& reactor = scene.reactor();
    auto resolver = std::make_shared<bine::Resolver<>>();
    switch (kind) {
    case Kind::connectingFailed:
        bine::connectTCP(reactor, "127.0.0.1", closedPort(), std::make_shared<NeverConnected>(std::move(f)));
        return;
    case Kind::timer:
        reactor.callLater(1ms, std::move(f));
        return;
    case Kind::immediate:
        reactor.callLater(0ms, std::move(f));
        return;
    case Kind::threadCall:
        std::thread([&] { reactor.callFromThread(std::move(f)); }).join();
        return;
    case Kind::deferred:
        resolver->deferred().addCallback(std::move(f));
        reactor.callLater(1ms, [resolver] { resolver->callback(); });
        return;
    case Kind::coroutine:
        resume(resolver->deferred(), std::move(f));
        reactor.callLater(1ms, [resolver] { resolver->callback(); });
        return;
    case Kind::hostTimer:
        scene.host.hostTimer(1ms, std::move(f));
        return;
    default:
        inConnection(scene, kind, std::move(f));
    }
}

// --- Others

Others::Others(Scene& scene) : scene_(scene) {
    for (const Work work : {connection0, connection1, connection2})
        playPingPong(work);
    tick();
    again();
    resolve();
    // The errbacks are for reactors that die before their programs do.
    pulse().ownedBy(scope_).addErrback([](const Failure&) {});
    thread_ = std::jthread([this](std::stop_token stop) { postFromThread(stop); });
    if (!scene.spinUntil([this] { return *std::min_element(counts_.begin(), counts_.end()) > 0; }))
        throw std::runtime_error("the others did not begin: " + text());
}

Others::~Others() {
    thread_.request_stop();
    ran_->release();
    thread_.join();
    for (const auto& player : players_) {
        player->onMade = nullptr, player->onData = nullptr;
        player->transport().abortConnection();
    }
}

void Others::did(Work work) {
    ++counts_[work];
    for (Wait* wait : waits_)
        if (wentOn(*wait))
            wait->loop.quit();
}

bool Others::wentOn(const Wait& wait) const {
    for (int work = 0; work < works; ++work)
        if (counts_[work] < wait.from[work] + wait.times)
            return false;
    return true;
}

bool Others::nestedWhileTheyGoOn(int times) {
    const auto loop = scene_.host.nestedLoop();
    return execWhileTheyGoOn(*loop, times);
}

bool Others::execWhileTheyGoOn(bine::kit::NestedLoop& loop, int times) {
    Wait wait{counts_, times, loop};
    waits_.push_back(&wait);
    loop.exec();
    std::erase(waits_, &wait);
    return wentOn(wait);
}

std::string Others::text() const {
    static constexpr const char* names[] = {"connection 0",     "connection 1", "connection 2", "timers",
                                            "zero-delay calls", "thread calls", "Deferreds",    "coroutine"};
    std::string text;
    for (int work = 0; work < works; ++work)
        text += std::string(text.empty() ? "" : ", ") + names[work] + " " + std::to_string(counts_[work]);
    return text;
}

void Others::playPingPong(Work work) {
    const auto server = std::make_shared<Talker>();
    server->onData = [](Talker& talker, std::string_view bytes) { talker.transport().write(bytes); };
    scene_.expect(server);
    const auto client = std::make_shared<Talker>();
    client->onMade = [](Talker& talker) { talker.transport().write("ping"); };
    client->onData = [this, work](Talker& talker, std::string_view) {
        did(work);
        talker.transport().write("ping");
    };
    bine::connectProtocol(scene_.reactor(), "127.0.0.1", scene_.port(), client)
        .addErrback([](const Failure&) { return std::shared_ptr<Talker>(); });
    players_.push_back(client);
    players_.push_back(server);
}

void Others::tick() {
    did(timers);
    scene_.reactor().callLater(1ms, [this] { tick(); }).ownedBy(scope_);
}

void Others::again() {
    did(immediates);
    scene_.reactor().callLater(0ms, [this] { again(); }).ownedBy(scope_);
}

// Fired by one timer, waited for by a Deferred of its own: the callback must have run when callback() returns.
void Others::resolve() {
    auto resolver = std::make_shared<bine::Resolver<>>();
    auto ran = std::make_shared<bool>(false);
    resolver->deferred().ownedBy(scope_).addCallback([ran] { *ran = true; }).addErrback([](const Failure&) {
    });
    scene_.reactor()
        .callLater(1ms,
                   [this, resolver, ran] {
                       resolver->callback();
                       if (*ran)
                           did(deferreds);
                       resolve();
                   })
        .ownedBy(scope_);
}

Deferred<> Others::later(std::chrono::milliseconds delay) {
    auto resolver = std::make_shared<bine::Resolver<>>();
    auto deferred = resolver->deferred();
    scene_.reactor().callLater(delay, [resolver] { resolver->callback(); });
    return deferred;
}

Deferred<> Others::pulse() {
    for (;;) {
        auto next = later(1ms);
        co_await next;
        did(coroutine);
    }
}

void Others::postFromThread(std::stop_token stop) {
    const auto mailbox = scene_.reactor().mailbox();
    auto ran = ran_;
    while (!stop.stop_requested()) {
        mailbox->post([this, ran, stop] {
            if (!stop.stop_requested())
                did(threadCalls);
            ran->release();
        });
        ran->acquire();
    }
}

// --- Accounts

std::chrono::nanoseconds threadTime() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

void burn(std::chrono::nanoseconds time) {
    for (const auto end = threadTime() + time; threadTime() < end;) {}
}

long sleeps() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

} // namespace dialogs
