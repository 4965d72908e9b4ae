// Two reactors on two threads, one in Qt's loop and one in its own, talk TCP to each other: what they share is
// the kernel's. (The rest of R-020 is in tests/conformance/leftovers.cpp.)

#include <QtTest/QtTest>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "bine/net/factory.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"
#include "bine/qtreactor/qt_reactor.h"
#include "bine/reactors/native_reactors.h"
#include "bine/reactors/threads.h"

using namespace std::chrono_literals;
using bine::Failure;

namespace {

struct Echo : bine::Protocol {
    void dataReceived(std::string_view data) override { transport().write(data); }
};

/// Sends numbers, one when the last one has come back; its answer is whether all have.
class Counter : public bine::Protocol {
public:
    static constexpr int kNumbers = 200;

    explicit Counter(bine::Resolver<bool> complete) : complete_(std::move(complete)) {}
    void connectionMade() override { send(); }
    void dataReceived(std::string_view data) override {
        received_ += data;
        if (received_ != std::to_string(number_) + "\n")
            return;
        received_.clear();
        if (++number_ < kNumbers)
            send();
        else
            transport().loseConnection();
    }
    void connectionLost(const Failure&) override { complete_.callback(number_ == kNumbers); }

private:
    void send() { transport().write(std::to_string(number_) + "\n"); }

    bine::Resolver<bool> complete_;
    std::string received_;
    int number_ = 0;
};

std::shared_ptr<bine::Factory> quiet(std::shared_ptr<bine::Factory> factory) {
    factory->noisy = false;
    return factory;
}

int listenHere(bine::Reactor& reactor) {
    return bine::listenTCP(reactor, 0, quiet(bine::Factory::forProtocol<Echo>()),
                           bine::TCPServerOptions().listenOn("127.0.0.1"))
        .getHost()
        .port();
}

/// Counts with the server at that port.
bine::Deferred<bool> count(bine::Reactor& reactor, int port) {
    bine::Resolver<bool> answer;
    bine::Deferred<bool> complete = answer.deferred();
    bine::connectProtocol(reactor, "127.0.0.1", static_cast<bine::Port>(port),
                          std::make_shared<Counter>(std::move(answer)))
        .addErrback([](const Failure&) { return std::shared_ptr<Counter>(); }); // the answer is abandoned
    return complete;
}

} // namespace

class TwoReactorsTest : public QObject {
    Q_OBJECT

private slots:
    void r020_qtAndAnOwnLoopTalkOverTcp() {
        int argc = 1;
        char name[] = "test";
        char* argv[] = {name, nullptr};
        const QCoreApplication application(argc, argv);
        bine::QtReactor here;
        const int herePort = listenHere(here);
        std::promise<std::pair<bine::Reactor*, int>> made;
        std::jthread other([&] {
            bine::EpollReactor reactor;
            made.set_value({&reactor, listenHere(reactor)});
            reactor.run();
        });
        const auto [there, therePort] = made.get_future().get();
        int complete = 0, ended = 0;
        const auto note = [&, there = there](bine::Result<bool> all) {
            complete += all.isValue() && *all;
            if (++ended < 2)
                return;
            there->callFromThread([there] { there->stop(); });
            here.stop();
        };
        here.callWhenRunning([&, there = there, therePort = therePort] {
            // The other one's client is set going, and waited for, by a worker of this one's.
            bine::deferToThread(here, [there, herePort] {
                return bine::blockingCallFromThread(*there, [&] { return count(*there, herePort); });
            }).addBoth(note);
            count(here, therePort).addBoth(note);
        });
        here.run();
        other.join();
        QCOMPARE(complete, 2);
    }
};

QTEST_APPLESS_MAIN(TwoReactorsTest)
#include "two_reactors_test.moc"
