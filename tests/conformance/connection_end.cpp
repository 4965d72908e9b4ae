// How a connection ends: after a write that failed, after a peer that ended its writing, and within a bound.

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "bine/defer/owner.h"
#include "bine/log/log.h"
#include "bine/net/half_close.h"
#include "bine/protocols/line_receiver.h"
#include "kit/reactor_test.h"
#include "net/net_testing.h"

using namespace std::chrono_literals;
using namespace bine;
using nettest::Heard;

namespace {

using Events = std::vector<std::string>;

class HalfHeard : public Heard, public HalfCloseableProtocol {
public:
    void readConnectionLost() override { events.push_back("readLost"); }
    void writeConnectionLost() override { events.push_back("writeLost"); }
};

/// The other end: a plain socket in the test's hand. Reads only when told to.
class Peer {
public:
    explicit Peer(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    ~Peer() { close(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    bool connected() const { return connected_; }
    bool send(std::string_view text) {
        return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(text.size());
    }
    std::size_t sendSome(std::string_view text) {
        const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return n < 0 ? 0 : static_cast<std::size_t>(n);
    }
    /// What a reset would destroy.
    std::size_t unacknowledged() const {
        int bytes = 0;
        ::ioctl(fd_, SIOCOUTQ, &bytes);
        return static_cast<std::size_t>(bytes);
    }
    void endWriting() { ::shutdown(fd_, SHUT_WR); }
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }
    void close() {
        if (fd_ >= 0)
            ::close(std::exchange(fd_, -1));
    }
    /// Reads what there is. True at the end of file.
    bool readToTheEnd() {
        char bytes[65536];
        for (;;) {
            const ssize_t n = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
            if (n > 0)
                got.append(bytes, static_cast<std::size_t>(n));
            else if (n == 0)
                return true;
            else
                return error = errno == EAGAIN ? 0 : errno, false;
        }
    }

    std::string got;
    int error = 0;

private:
    int fd_;
    bool connected_ = false;
};

struct Pump : Producer {
    std::function<void()> onResume;
    int stopped = 0;
    void pauseProducing() override {}
    void resumeProducing() override {
        if (onResume)
            onResume();
    }
    void stopProducing() override { ++stopped; }
};

/// Pauses after each line, and goes on a moment later.
class Lines : public LineReceiver {
public:
    explicit Lines(Reactor& reactor) : reactor_(reactor) {}
    Events lines;
    std::optional<Failure> reason;
    void lineReceived(std::string_view line) override {
        lines.emplace_back(line);
        pauseProducing();
        reactor_.callLater(5ms, [this] { resumeProducing(); }).ownedBy(*this);
    }
    void connectionLost(const Failure& why) override { reason = why; }

private:
    Reactor& reactor_;
};

const std::string large(8 << 20, 'x'); // more than the kernel takes

} // namespace

class ConnectionEndTest : public kit::ReactorTest {
    Q_OBJECT

    /// A peer, connected with the protocol, which has heard connectionMade(). Null if that fails.
    std::unique_ptr<Peer> connect(const std::shared_ptr<Protocol>& protocol) {
        auto port = listenTCP(reactor(), 0, Factory::make([next = protocol](const Address&) mutable {
                                  return std::exchange(next, nullptr);
                              }),
                              TCPServerOptions().listenOn("127.0.0.1"));
        auto peer = std::make_unique<Peer>(port.getHost().port());
        const bool made = peer->connected() && host().spinUntil([&] { return protocol->connected(); });
        bool closed = false;
        port.stopListening().addCallback([&] { closed = true; });
        return made && host().spinUntil([&] { return closed; }) ? std::move(peer) : nullptr;
    }
    /// A few turns, in which nothing is to happen.
    void turns(int count = 20) {
        for (int i = 0; i < count; ++i)
            host().turn();
    }
    bool lost(const Heard& heard) {
        return host().spinUntil([&] { return heard.lost(); });
    }
    static bool byFailedWrite(const Failure& reason) {
        try {
            reason.raiseException();
        } catch (const ConnectionLost& lost) {
            return lost.osError() == EPIPE || lost.osError() == ECONNRESET;
        }
    }
    static bool namesUnsentBytes(const Heard& heard) {
        return heard.lostBy<ConnectionLost>() && !heard.lostBy<ConnectionAborted>() &&
               heard.reason->getErrorMessage().find("bytes were not sent") != std::string::npos;
    }

private slots:
    // --- After a write that failed

    void r135_whatCameBeforeAFailedWriteIsDelivered() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        QVERIFY(peer->send("last words"));
        peer->reset();
        heard->transport().write("into the void");
        QCOMPARE(heard->data, "");
        QVERIFY(lost(*heard));
        QCOMPARE(heard->data, "last words");
        QCOMPARE(heard->events, (Events{"made", "data", "lost"}));
        QVERIFY(byFailedWrite(*heard->reason));
    }
    void r135_soIsAFullBuffer() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        std::size_t sent = 0;
        const auto fill = [&] {
            for (std::size_t n = 1; n != 0; sent += n)
                n = peer->sendSome(large);
        };
        // The kernel gives a fast connection a large buffer: then the rest takes several reads.
        QVERIFY(host().spinUntil([&] {
            fill();
            return heard->data.size() > large.size();
        }));
        heard->transport().pauseProducing();
        fill();
        const std::size_t arrived = sent - peer->unacknowledged();
        QVERIFY(arrived > heard->data.size());
        heard->transport().resumeProducing();
        peer->reset();
        heard->transport().write("into the void");
        QVERIFY(lost(*heard));
        QVERIFY(heard->data.size() >= arrived);
        QVERIFY(byFailedWrite(*heard->reason));
    }
    void r135_whilePausedItWaitsForTheResumption() {
        auto heard = std::make_shared<Heard>();
        heard->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        QVERIFY(peer->send("last words"));
        peer->reset();
        heard->transport().write("into the void");
        turns();
        QCOMPARE(heard->events, (Events{"made"}));
        QVERIFY(heard->connected());
        heard->transport().resumeProducing();
        QVERIFY(lost(*heard));
        QCOMPARE(heard->data, "last words");
        QVERIFY(byFailedWrite(*heard->reason));
    }
    void r136_aPausedConnectionWithoutInputEndsAtOnce() {
        auto heard = std::make_shared<Heard>();
        heard->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->reset();
        heard->transport().write("into the void");
        QVERIFY(lost(*heard));
        QVERIFY(byFailedWrite(*heard->reason));
    }
    void r135_aHandlerWithADialogHearsTheRestWhenItReturns() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        std::size_t inside = 0;
        heard->onData = [&](Heard& p, std::string_view data) {
            if (data != "go")
                return;
            peer->send("last words");
            peer->reset();
            p.transport().write("into the void");
            int turns = 0;
            host().nestedLoop([&] { return ++turns == 10; });
            inside = p.data.size();
        };
        QVERIFY(peer->send("go"));
        QVERIFY(lost(*heard));
        QCOMPARE(inside, std::size_t{2});
        QCOMPARE(heard->data, "golast words");
        QCOMPARE(heard->deepest, 1);
        QVERIFY(byFailedWrite(*heard->reason));
    }
    void r135_aLineReceiverThatPausesGetsAllLines() {
        auto lines = std::make_shared<Lines>(reactor());
        const auto peer = connect(lines);
        QVERIFY(peer);
        QVERIFY(peer->send("one\r\ntwo\r\nthree\r\n"));
        QVERIFY(host().spinUntil([&] { return lines->lines.size() == 1; }));
        QVERIFY(peer->send("four\r\nfive\r\n"));
        peer->reset();
        lines->transport().write("into the void");
        QVERIFY(host().spinUntil([&] { return lines->reason.has_value(); }));
        QCOMPARE(lines->lines, (Events{"one", "two", "three", "four", "five"}));
        QVERIFY(byFailedWrite(*lines->reason));
    }
    void r145_producerAndDrainedHearOfAFailedWriteWhilePaused() {
        auto heard = std::make_shared<Heard>();
        heard->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        auto pump = std::make_shared<Pump>();
        heard->transport().registerProducer(pump, true);
        heard->transport().write(large);
        std::optional<Failure> failed;
        heard->transport().drained().addErrback([&](const Failure& reason) { failed = reason; });
        QVERIFY(peer->send("last words"));
        peer->reset();
        QVERIFY(host().spinUntil([&] { return pump->stopped == 1 && failed; }));
        QVERIFY(!heard->lost() && byFailedWrite(*failed));
        heard->transport().write("dropped");
        QCOMPARE(heard->transport().buffered(), std::size_t{0});
        heard->transport().loseConnection();
        QVERIFY(lost(*heard));
        QVERIFY(byFailedWrite(*heard->reason)); // never ConnectionDone
        QCOMPARE(pump->stopped, 1);
    }

    // --- After a peer that ended its writing

    void r166_thePeersEndAloneEndsTheConnection() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        QVERIFY(lost(*heard));
        QVERIFY(heard->lostBy<ConnectionDone>());
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
    }
    void r166_whatIsQueuedIsStillSent() {
        auto heard = std::make_shared<Heard>();
        heard->onData = [](Heard& p, std::string_view) { p.transport().write(large); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        QVERIFY(peer->send("question"));
        peer->endWriting();
        QVERIFY(host().spinUntil([&] { return !heard->data.empty(); }));
        turns();
        QVERIFY(heard->connected() && !heard->transport().disconnecting());
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
        QVERIFY(peer->got == large);
        QVERIFY(lost(*heard));
        QVERIFY(heard->lostBy<ConnectionDone>());
        QCOMPARE(heard->events, (Events{"made", "data", "lost"}));
    }
    void r166_aProducerFinishes() {
        auto heard = std::make_shared<Heard>();
        auto pump = std::make_shared<Pump>();
        int left = 10;
        pump->onResume = [&] {
            if (left-- > 0)
                heard->transport().write("piece");
            else
                heard->transport().unregisterProducer();
        };
        const auto peer = connect(heard);
        QVERIFY(peer);
        auto idle = std::make_shared<Pump>();
        heard->transport().registerProducer(idle, true);
        peer->endWriting();
        turns();
        QVERIFY(heard->connected());
        heard->transport().unregisterProducer();
        QVERIFY(!heard->lost());
        heard->transport().registerProducer(pump, false);
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
        QCOMPARE(peer->got.size(), std::size_t{50});
        QVERIFY(lost(*heard) && heard->lostBy<ConnectionDone>());
    }
    void r166_anOwedAnswerIsFinished() {
        auto heard = std::make_shared<Heard>();
        HoldOpen owed;
        heard->onData = [&](Heard& p, std::string_view) {
            owed = p.transport().holdOpen();
            p.transport().clock().callLater(30ms, [&] {
                heard->transport().write("answer");
                owed.release();
            });
        };
        const auto peer = connect(heard);
        QVERIFY(peer);
        QVERIFY(peer->send("question"));
        peer->endWriting();
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
        QCOMPARE(peer->got, "answer");
        QVERIFY(lost(*heard) && heard->lostBy<ConnectionDone>());
        QVERIFY(!owed);
    }
    void r166_anAnswerThatComesToNothingEndsInALaterTurn() {
        auto heard = std::make_shared<Heard>();
        std::optional<HoldOpen> first, second;
        heard->onMade = [&](Heard& p) {
            first = p.transport().holdOpen();
            second = p.transport().holdOpen();
        };
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        turns();
        first.reset();
        turns();
        QVERIFY(heard->connected());
        second.reset();
        QVERIFY(!heard->lost());
        QVERIFY(lost(*heard) && heard->lostBy<ConnectionDone>());
        HoldOpen late = heard->transport().holdOpen();
        QVERIFY(!late);
    }
    void r166_theWaitIsBoundedAndUnsentBytesAreNamed() {
        auto heard = std::make_shared<Heard>();
        heard->onMade = [](Heard& p) {
            p.transport().halfClosedTimeout(50ms);
            p.transport().write(large);
        };
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        QVERIFY(lost(*heard));
        QVERIFY2(namesUnsentBytes(*heard), heard->reason->getErrorMessage().c_str());
    }
    void r166_aResetOfThePeerThatWaitsIsHeard() {
        auto heard = std::make_shared<Heard>();
        HoldOpen owed;
        heard->onMade = [&](Heard& p) { owed = p.transport().holdOpen(); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        turns();
        QVERIFY(heard->connected());
        peer->reset();
        QVERIFY(lost(*heard));
        QVERIFY(heard->lostBy<ConnectionLost>());
    }
    void r166_closingMeanwhileWorksAsEver() {
        auto heard = std::make_shared<Heard>();
        HoldOpen owed;
        heard->onMade = [&](Heard& p) { owed = p.transport().holdOpen(); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        turns();
        heard->transport().write("bye");
        heard->transport().loseConnection();
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
        QCOMPARE(peer->got, "bye");
        QVERIFY(lost(*heard) && heard->lostBy<ConnectionDone>());
    }

    // --- A half-closed connection

    void r166_aHalfClosedConnectionHearsOfAReset() {
        auto heard = std::make_shared<HalfHeard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        QVERIFY(host().spinUntil([&] { return heard->count("readLost") == 1; }));
        turns();
        QVERIFY(!heard->lost());
        peer->reset();
        QVERIFY(lost(*heard));
        QVERIFY(heard->lostBy<ConnectionLost>());
        QCOMPARE(heard->events, (Events{"made", "readLost", "lost"}));
    }
    void r271_aResetOfAHalfClosedConnectionWithADialogWaits() {
        auto heard = std::make_shared<HalfHeard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        peer->endWriting();
        QVERIFY(host().spinUntil([&] { return heard->count("readLost") == 1; }));
        std::size_t lostInside = 0;
        auto pump = std::make_shared<Pump>();
        pump->onResume = [&] {
            peer->reset();
            int turns = 0;
            host().nestedLoop([&] { return ++turns == 10; });
            lostInside = heard->count("lost");
        };
        heard->transport().registerProducer(pump, false);
        QVERIFY(lost(*heard));
        QCOMPARE(lostInside, std::size_t{0});
    }

    // --- An end with a bound

    void r154_aLingeringCloseSurvivesUnreadInput() {
        auto heard = std::make_shared<Heard>();
        heard->onMade = [](Heard& p) { p.transport().pauseProducing(); };
        const auto peer = connect(heard);
        QVERIFY(peer);
        QVERIFY(peer->send(std::string(50000, 'i')));
        turns();
        heard->transport().write(large);
        heard->transport().loseConnection(Linger(30s));
        bool end = false;
        QVERIFY(host().spinUntil([&] {
            peer->send("and more");
            end = end || peer->readToTheEnd();
            return end || peer->error != 0;
        }));
        QCOMPARE(peer->error, 0);
        QVERIFY(peer->got == large);
        QVERIFY(peer->send("after the end"));
        turns();
        QVERIFY(!heard->lost());
        peer->close();
        QVERIFY(lost(*heard));
        QVERIFY2(heard->lostBy<ConnectionDone>(), heard->reason->getErrorMessage().c_str());
        QCOMPARE(heard->data, "");
    }
    void r154_aLingerThatPassesNamesTheUnsentBytes() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        heard->transport().write(large);
        heard->transport().loseConnection();
        turns();
        heard->transport().loseConnection(Linger(50ms)); // adds the bound
        QVERIFY(lost(*heard));
        QVERIFY2(namesUnsentBytes(*heard), heard->reason->getErrorMessage().c_str());
    }
    void r154_aPeerThatOnlyNeverClosesIsDone() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        heard->transport().write("bye");
        heard->transport().loseConnection(Linger(50ms));
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
        QCOMPARE(peer->got, "bye");
        QVERIFY(lost(*heard));
        QVERIFY2(heard->lostBy<ConnectionDone>(), heard->reason->getErrorMessage().c_str());
    }
    void r143_aLingerWaitsForTheProducerWithinTheBound() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        auto pump = std::make_shared<Pump>();
        heard->transport().registerProducer(pump, true);
        heard->transport().loseConnection(Linger(50ms));
        heard->transport().write("unfinished");
        QVERIFY(lost(*heard));
        QVERIFY2(namesUnsentBytes(*heard), heard->reason->getErrorMessage().c_str());
        QCOMPARE(pump->stopped, 1);
    }
    void r154_aResetDuringALingerIsHeard() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        heard->transport().write("bye");
        heard->transport().loseConnection(Linger(30s));
        turns();
        QVERIFY(!heard->lost());
        peer->reset();
        QVERIFY(lost(*heard));
        QVERIFY(heard->lostBy<ConnectionLost>());
    }
    void r268_whatWasWrittenBeforeAnOwnerDiesIsSentAfterLoseConnection() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        {
            Scope owner;
            heard->transport().ownedBy(owner);
            heard->transport().write(large);
            heard->transport().loseConnection();
            turns();
        }
        QVERIFY(host().spinUntil([&] { return peer->readToTheEnd(); }));
        QVERIFY(peer->got == large);
        turns();
        QCOMPARE(heard->events, (Events{"made"}));
        QVERIFY(!heard->connected());
    }
    void r162_unsentBytesAtTheReactorsEndAreLogged() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        heard->transport().write(large);
        heard->transport().loseConnection();
        turns();
        Events messages;
        const auto listening = addLogObserver([&](const LogEvent& event) { messages.push_back(event.message); });
        host().destroyReactor();
        QVERIFY(heard->lostBy<ConnectionLost>());
        const auto told = [](const std::string& message) {
            return message.find(" bytes written to <Heard #1 on ") != std::string::npos &&
                   message.find("were not sent: ") != std::string::npos;
        };
        QVERIFY(std::any_of(messages.begin(), messages.end(), told));
    }
    void r268_withoutLoseConnectionAnOwnersDeathAborts() {
        auto heard = std::make_shared<Heard>();
        const auto peer = connect(heard);
        QVERIFY(peer);
        {
            Scope owner;
            heard->transport().ownedBy(owner);
            heard->transport().write(large);
        }
        QVERIFY(host().spinUntil([&] { return !peer->readToTheEnd() && peer->error != 0; }));
        QCOMPARE(peer->error, ECONNRESET);
    }
};

int main(int argc, char** argv) { return kit::runTests<ConnectionEndTest>(argc, argv); }
#include "connection_end.moc"
