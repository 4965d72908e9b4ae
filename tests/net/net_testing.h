#pragma once
// What the tests of this folder share: a protocol that writes down what it hears, and loops that are bounded
// in turns, not in time.

#include <dirent.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/reactors/native_reactors.h"

namespace nettest {

using namespace std::chrono_literals;

/// Hears everything, does what the test says.
class Heard : public bine::Protocol {
public:
    std::vector<std::string> events;
    std::string data;
    std::optional<bine::Failure> reason;
    std::function<void(Heard&)> onMade;
    std::function<void(Heard&, std::string_view)> onData;
    std::function<void(Heard&)> onLost;
    int depth = 0;
    int deepest = 0;
    std::shared_ptr<int> alive = std::make_shared<int>(0); // expires with the protocol

    void connectionMade() override {
        Depth inside(*this);
        events.push_back("made");
        if (onMade)
            onMade(*this);
    }
    void dataReceived(std::string_view bytes) override {
        Depth inside(*this);
        if (events.empty() || events.back() != "data")
            events.push_back("data");
        data += bytes;
        if (onData)
            onData(*this, bytes);
    }
    void connectionLost(const bine::Failure& why) override {
        Depth inside(*this);
        events.push_back("lost");
        reason = why;
        if (onLost)
            onLost(*this);
    }
    bool lost() const { return reason.has_value(); }
    template <class E>
    bool lostBy() const {
        return reason && reason->check<E>();
    }
    std::size_t count(const std::string& event) const {
        std::size_t n = 0;
        for (const auto& each : events)
            n += each == event;
        return n;
    }

private:
    struct Depth {
        explicit Depth(Heard& heard) : heard(heard) {
            heard.deepest = std::max(heard.deepest, ++heard.depth);
        }
        ~Depth() { --heard.depth; }
        Heard& heard;
    };
};

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

/// Hears of connecting.
class Client : public bine::ClientFactory {
public:
    std::vector<std::string> events;
    std::optional<bine::Failure> failed;
    std::optional<bine::Failure> lost;
    std::function<std::shared_ptr<bine::Protocol>(const bine::Address&)> build;
    std::function<void(bine::Connector&)> onStarted, onFailed, onLost;
    bine::Connector connector;

    std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address& peer) override {
        events.push_back("build " + peer.text());
        return build ? build(peer) : nullptr;
    }
    void startFactory() override { events.push_back("start"); }
    void stopFactory() override {
        events.push_back("stop");
        connector = {}; // it keeps its factory
    }
    void startedConnecting(bine::Connector& c) override {
        connector = c;
        events.push_back("started");
        if (onStarted)
            onStarted(c);
    }
    void clientConnectionFailed(bine::Connector& c, const bine::Failure& reason) override {
        events.push_back("failed");
        failed = reason;
        if (onFailed)
            onFailed(c);
    }
    void clientConnectionLost(bine::Connector& c, const bine::Failure& reason) override {
        events.push_back("lost");
        lost = reason;
        if (onLost)
            onLost(c);
    }
};

/// The messages of one level that are logged while it lives, "one|two".
class Logged {
public:
    explicit Logged(bine::LogLevel level)
        : subscription_(bine::addLogObserver(
              [this, level](const bine::LogEvent& event) {
                  if (event.level == level)
                      text += (text.empty() ? "" : "|") + event.message;
              },
              level)) {}
    std::string text;

private:
    bine::LogSubscription subscription_;
};

/// Turns until `done`, at most 2000 of them.
template <class Done>
bool turnUntil(bine::Reactor& reactor, Done done) {
    for (int i = 0; i < 2000; ++i) {
        if (done())
            return true;
        reactor.iterate(10ms);
    }
    return done();
}

inline void turn(bine::Reactor& reactor, int times = 20) {
    for (int i = 0; i < times; ++i)
        reactor.iterate(0ms);
}

inline int openDescriptors() {
    int n = 0;
    DIR* dir = opendir("/proc/self/fd");
    while (readdir(dir))
        ++n;
    closedir(dir);
    return n - 3; // ".", ".." and the directory itself
}

/// A server and a client, connected over loopback.
struct Pair {
    explicit Pair(bine::Reactor& reactor) : reactor(reactor) {
        port =
            bine::listenTCP(reactor, 0, bine::Factory::make([this](const bine::Address&) { return server; }),
                            bine::TCPServerOptions().listenOn("127.0.0.1"));
    }
    bool connect() {
        bine::connectProtocol(reactor, "127.0.0.1", port.getHost().port(), client)
            .addErrback([](const bine::Failure&) { return std::shared_ptr<Heard>(); });
        return turnUntil(reactor, [&] { return server->count("made") == 1 && client->count("made") == 1; });
    }
    bool bothLost() {
        return turnUntil(reactor, [&] { return server->lost() && client->lost(); });
    }
    bine::Reactor& reactor;
    std::shared_ptr<Heard> server = std::make_shared<Heard>();
    std::shared_ptr<Heard> client = std::make_shared<Heard>();
    bine::ListeningPort port;
};

} // namespace nettest
