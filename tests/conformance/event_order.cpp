// What each connection hears, and in which order, is the same on every reactor: a scripted hour of TCP, written down. What is compared stands here, for all of them.

#include <map>

#include "bine/net/errors.h"
#include "bine/net/factory.h"
#include "bine/net/half_close.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::Failure;
using bine::kit::Steps;

namespace {

/// Writes down what it hears. Bytes are written down when there are as many as the script expects: how they are cut on their way is nobody's promise.
class Heard : public bine::Protocol {
public:
    std::function<void(Heard&)> onMade, onData, onEnd;
    std::size_t expected = 1;
    Steps steps;
    std::string data;
    bool lost = false;

    /// `then` runs when so many bytes are there.
    void expect(std::size_t bytes, std::function<void(Heard&)> then) {
        expected = bytes;
        onData = std::move(then);
    }
    void connectionMade() override { note("made", onMade); }
    void dataReceived(std::string_view bytes) override {
        data += bytes;
        if (data.size() < expected)
            return;
        const std::string text = data.size() > 20 ? std::to_string(data.size()) + "B" : data;
        data.clear();
        note("data:" + text, onData);
    }
    void connectionLost(const Failure& reason) override {
        lost = true;
        const std::string type = reason.typeName();
        note("lost:" + type.substr(type.rfind(':') + 1), {});
    }

protected:
    void note(const std::string& step, std::function<void(Heard&)> then) {
        steps.add(step);
        if (then)
            then(*this);
    }
};

class HalfHeard : public Heard, public bine::HalfCloseableProtocol {
public:
    void readConnectionLost() override { note("end", onEnd); }
    void writeConnectionLost() override { note("sent-all", {}); }
};

/// A producer that writes as long as it may.
class Pump : public bine::Producer {
public:
    Pump(Heard& heard, std::size_t bytes) : heard_(heard), left_(bytes) {}
    std::function<void()> onPause;

    void begin() {
        while (!paused_ && left_ > 0) {
            const std::size_t n = (std::min)(left_, std::size_t(100'000));
            left_ -= n;
            heard_.transport().write(std::string(n, 'p'));
        }
        if (left_ > 0 || over_)
            return;
        over_ = true;
        heard_.steps.add("pumped");
        heard_.transport().unregisterProducer();
        heard_.transport().loseConnection();
    }
    void pauseProducing() override {
        paused_ = true;
        if (!std::exchange(noted_, true)) {
            heard_.steps.add("pause");
            onPause();
        }
    }
    void resumeProducing() override {
        paused_ = false;
        begin();
    }
    void stopProducing() override { heard_.steps.add("stop"); }

private:
    Heard& heard_;
    std::size_t left_;
    bool paused_ = false;
    bool noted_ = false; // how often it pauses depends on the kernel's buffers
    bool over_ = false;
};

} // namespace

class EventOrderTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r264_eachConnectionHearsTheSameEverywhere() {
        std::map<std::string, std::shared_ptr<Heard>> all;
        std::vector<bine::ListeningPort> ports;
        // A port for each, so that who is who does not depend on who is accepted first. The factory does not keep the protocol, which keeps it.
        const auto connect = [&](const std::string& name, bool half = false) {
            const auto server = all[name + " server"] = half ? std::make_shared<HalfHeard>() : std::make_shared<Heard>();
            const auto client = all[name + " client"] = half ? std::make_shared<HalfHeard>() : std::make_shared<Heard>();
            ports.push_back(bine::listenTCP(reactor(), 0, bine::Factory::make([kept = std::weak_ptr(server)](const bine::Address&) { return kept.lock(); }),
                                            bine::TCPServerOptions().listenOn("127.0.0.1")));
            bine::connectProtocol(reactor(), "127.0.0.1", ports.back().getHost().port(), client);
            return std::pair(server, client);
        };
        const auto later = [&](std::chrono::milliseconds delay, std::function<void()> f) { reactor().callLater(delay, std::move(f)); };
        const auto lose = [](Heard& heard) { heard.transport().loseConnection(); };

        { // Question and answer, twice; the client ends it.
            const auto [server, client] = connect("polite");
            server->expect(3, [](Heard& heard) { heard.transport().write("four"); });
            client->onMade = [](Heard& heard) { heard.transport().write("one"); };
            client->expect(4, [lose](Heard& heard) {
                heard.transport().write("two");
                heard.expect(4, lose);
            });
        }
        { // The client ends its direction, and hears the answer all the same.
            const auto [server, client] = connect("half", true);
            client->onMade = [](Heard& heard) {
                heard.transport().write("question");
                heard.transport().as<bine::HalfCloseableTransport>()->loseWriteConnection();
            };
            server->expect(8, {});
            server->onEnd = [later](Heard& heard) {
                heard.transport().write("answer");
                later(2ms, [&heard] { heard.transport().loseConnection(); });
            };
            client->expect(6, {});
            client->onEnd = lose;
        }
        { // One aborts; what it had written does not arrive.
            const auto [server, client] = connect("rude");
            client->onMade = [](Heard& heard) { heard.transport().write("hello"); };
            server->expect(5, [](Heard& heard) {
                heard.transport().abortConnection();
                heard.transport().write("never");
            });
        }
        { // A callback that throws.
            const auto [server, client] = connect("broken");
            client->onMade = [](Heard& heard) { heard.transport().write("hello"); };
            server->expect(5, [](Heard&) { throw std::runtime_error("no luck"); });
        }
        { // More than fits, to a peer that reads only later.
            const auto [server, client] = connect("slow");
            const std::size_t bytes = 32 << 20;
            auto pump = std::make_shared<Pump>(*client, bytes);
            pump->onPause = [later, server = server] {
                later(5ms, [server] { server->transport().resumeProducing(); });
            };
            server->onMade = [](Heard& heard) { heard.transport().pauseProducing(); };
            server->expect(bytes, {});
            client->onMade = [pump](Heard& heard) {
                heard.transport().registerProducer(pump, true);
                pump->begin();
            };
        }
        { // Paused inside its own callback, while more is coming.
            const auto [server, client] = connect("paused");
            client->onMade = [](Heard& heard) { heard.transport().write("a"); };
            server->expect(1, [later](Heard& heard) {
                heard.transport().pauseProducing();
                heard.transport().write("b");
                later(5ms, [&heard] {
                    heard.steps.add("resume");
                    heard.transport().resumeProducing();
                });
                heard.expect(1, [](Heard& heard) { heard.transport().loseConnection(); });
            });
            client->expect(1, [](Heard& heard) { heard.transport().write("c"); });
        }
        { // Nobody ends it but the reactor.
            const auto [server, client] = connect("idle");
            client->onMade = [](Heard& heard) { heard.transport().write("x"); };
        }

        const auto text = [&] {
            QString told;
            for (const auto& [name, heard] : all)
                told += QString::fromStdString(name) + ": " + heard->steps.text() + "\n";
            return told;
        };
        QVERIFY(host().spinUntil([&] {
            return std::all_of(all.begin(), all.end(), [](const auto& each) {
                const bool idle = each.first.starts_with("idle");
                return idle ? each.second->steps.text().startsWith(each.first == "idle server" ? "made data" : "made") : each.second->lost;
            });
        }));
        reactor().stop();
        QVERIFY(host().spinUntil([&] { return !reactor().running() && all["idle client"]->lost; }));

        const QString told = text();
        QCOMPARE(told, QString("broken client: made lost:ConnectionLost\n"
                               "broken server: made data:hello lost:runtime_error\n"
                               "half client: made sent-all data:answer end lost:ConnectionDone\n"
                               "half server: made data:question end lost:ConnectionDone\n"
                               "idle client: made lost:ConnectionLost\n"
                               "idle server: made data:x lost:ConnectionLost\n"
                               "paused client: made data:b lost:ConnectionDone\n"
                               "paused server: made data:a resume data:c lost:ConnectionDone\n"
                               "polite client: made data:four data:four lost:ConnectionDone\n"
                               "polite server: made data:one data:two lost:ConnectionDone\n"
                               "rude client: made lost:ConnectionLost\n"
                               "rude server: made data:hello lost:ConnectionAborted\n"
                               "slow client: made pause pumped lost:ConnectionDone\n"
                               "slow server: made data:33554432B lost:ConnectionDone\n"));
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<EventOrderTest>(argc, argv); }
#include "event_order.moc"
