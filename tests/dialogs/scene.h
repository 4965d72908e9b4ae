#pragma once
// Scene: what the tests of this folder have in common: a reactor in its host, a port, peers outside the reactor, and a program around the
// connection under test (Others) that has to go on while a handler of that connection runs a nested loop.
//
// Loop's thread, but for Witness. Nothing here sleeps: waiting is done in the loop under test, and a limit of time only ends a test that failed.

#include <sys/resource.h>

#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/owner.h"
#include "bine/net/errors.h"
#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/reactors/mailbox.h"
#include "kit/reactor_host.h"

namespace dialogs {

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Failure;

/// A protocol that does what the test says, and notices callbacks inside callbacks.
class Talker : public bine::Protocol {
public:
    std::function<void(Talker&)> onMade, onLost;
    std::function<void(Talker&, std::string_view)> onData;
    std::string data;
    std::vector<std::string> events; ///< "made", "data", "lost"; runs of data are one
    std::optional<Failure> reason;
    int deepest = 0; ///< 1 unless a callback came inside another

    bool lost() const { return reason.has_value(); }
    void connectionMade() override;
    void dataReceived(std::string_view bytes) override;
    void connectionLost(const Failure& why) override;

private:
    template <class F>
    void heard(const char* what, F&& f);
    int depth_ = 0;
};

/// A peer that no reactor knows: a blocking socket. What it sends over loopback is in the receiver's kernel buffer when send() returns.
class RawPeer {
public:
    explicit RawPeer(std::uint16_t port);
    ~RawPeer() { close(); }
    RawPeer(const RawPeer&) = delete;
    RawPeer& operator=(const RawPeer&) = delete;

    int fd() const { return fd_; }
    void send(std::string_view data) const;
    void endWriting() const;
    /// From now on the kernel takes in little for it that it has not read.
    void takeLittle() const;
    void close();
    /// Closes so that the other side sees a reset.
    void reset();

private:
    int fd_ = -1;
};

/// Reads a peer's socket on a thread of its own: wakes no loop before there is something to tell.
class Witness {
public:
    struct Seen {
        std::string data;
        bool end = false;
        bool reset = false;
    };
    /// `then` runs on the reactor's thread when so many bytes are there, or when the connection ended.
    Witness(bine::Reactor& reactor, RawPeer& peer, std::size_t bytes, std::function<void(Seen)> then);

private:
    std::jthread thread_;
};

/// Made at the beginning of a test, on the reactor of its host.
class Scene {
public:
    explicit Scene(bine::kit::ReactorHost& host);
    /// Ends the reactor: nothing of it refers to the locals of a test that is over.
    ~Scene();
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    bine::kit::ReactorHost& host;
    /// The one there was at the beginning, also while it dies; host.reactor() would make another.
    bine::ReactorBase& reactor() { return reactor_; }
    bool spinUntil(const std::function<bool()>& done) { return host.spinUntil(done); }
    std::uint16_t port() const { return port_.getHost().port(); }
    bine::ListeningPort& listeningPort() { return port_; }

    /// The port's next connection is this one's.
    void expect(std::shared_ptr<Talker> talker) { expected_.push_back(std::move(talker)); }
    struct Line {
        std::unique_ptr<RawPeer> peer;
        std::shared_ptr<Talker> talker;
    };
    /// A peer and its connection; the latter is made when the loop comes to it.
    Line dial();
    /// The same, made.
    Line line();

private:
    bine::ReactorBase& reactor_;
    std::vector<std::shared_ptr<Talker>> expected_;
    bine::ListeningPort port_;
};

/// Each kind of callback that may open a dialog.
enum class Kind {
    connectionMade,
    dataReceived,
    connectionLost,
    connectingFailed,
    producer,
    timer,
    immediate,
    threadCall,
    deferred,
    coroutine,
    hostTimer
};
const std::vector<Kind>& kinds();
const char* nameOf(Kind kind);
/// Runs f once, inside a callback of that kind, when the loop comes to it. Returns at once.
void inCallback(Scene& scene, Kind kind, std::function<void()> f);

/// The rest of the program, always at work: connections that play ping-pong, timers, zero-delay calls, calls from a thread, Deferreds and a coroutine.
class Others {
public:
    explicit Others(Scene& scene);
    ~Others();
    Others(const Others&) = delete;
    Others& operator=(const Others&) = delete;

    /// Opens a nested loop which ends when each of them did `times` things more. False if the limit of time ended it: somebody is frozen.
    bool nestedWhileTheyGoOn(int times = 5);
    /// The same with a loop of the caller's.
    bool execWhileTheyGoOn(bine::kit::NestedLoop& loop, int times = 5);
    /// What each did so far.
    std::string text() const;

private:
    enum Work {
        connection0,
        connection1,
        connection2,
        timers,
        immediates,
        threadCalls,
        deferreds,
        coroutine,
        works
    };
    struct Wait {
        std::vector<int> from;
        int times;
        bine::kit::NestedLoop& loop;
    };
    void did(Work work);
    bool wentOn(const Wait& wait) const;
    void playPingPong(Work work);
    void tick();
    void again();
    void postFromThread(std::stop_token stop);
    void resolve();
    Deferred<> pulse();
    Deferred<> later(std::chrono::milliseconds delay);

    Scene& scene_;
    std::vector<int> counts_ = std::vector<int>(works, 0);
    std::vector<Wait*> waits_;
    std::vector<std::shared_ptr<Talker>> players_;
    std::vector<std::unique_ptr<bine::Resolver<>>> resolvers_;
    std::shared_ptr<std::counting_semaphore<>> ran_ = std::make_shared<std::counting_semaphore<>>(0);
    std::jthread thread_;
    bine::Scope scope_;
};

/// Burns that much CPU time of this thread.
void burn(std::chrono::nanoseconds time);
std::chrono::nanoseconds threadTime();
/// How often this thread went to sleep of its own accord.
long sleeps();
} // namespace dialogs
