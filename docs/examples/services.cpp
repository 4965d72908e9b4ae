// The example of docs/services.md: a server that greets, counts its visitors, and writes the count down before it ends.

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "bine/application/internet.h"
#include "bine/application/start_application.h"
#include "bine/net/errors.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

class Visitors : public bine::Service {
public:
    explicit Visitors(bine::Reactor& reactor) : reactor_(reactor) { setName("visitors"); }

    int next() { return ++count_; }
    int count() const { return count_; }

    void startService() override { std::ifstream("visitors") >> count_; }
    bine::Deferred<> stopService() override {
        auto written = bine::deferToThread(reactor_, [count = count_] { std::ofstream("visitors") << count << '\n'; });
        co_await written;                                 // connections are still served
    }

private:
    bine::Reactor& reactor_;
    int count_ = 0;
};

class Greeting : public bine::Protocol {
public:
    explicit Greeting(std::shared_ptr<Visitors> visitors) : visitors_(std::move(visitors)) {}
    void connectionMade() override {
        transport().write("You are visitor " + std::to_string(visitors_->next()) + ".\n");
        transport().loseConnection();
    }

private:
    std::shared_ptr<Visitors> visitors_;
};

/// A part of a program that can be switched on and off while it runs.
class Panel {
public:
    Panel(bine::Reactor& reactor, bine::MultiService& application, std::shared_ptr<bine::Factory> factory)
        : status_(reactor, 8001, std::move(factory)) {
        status_.setServiceParent(application);            // listens from now on
    }

private:
    bine::TCPServer status_;                              // closes its port, and leaves, when the panel is closed
};

[[maybe_unused]] static void switchOff(bine::MultiService& application) {
    application.getServiceNamed("greeting").disownServiceParent().addCallback([] { std::puts("no more greetings"); });
}

int main() {
    bine::EpollReactor reactor;
    auto application = std::make_shared<bine::MultiService>();

    auto visitors = std::make_shared<Visitors>(reactor);
    visitors->setServiceParent(application);

    auto greeting = std::make_shared<bine::TCPServer>(reactor, 8000, bine::Factory::forProtocol<Greeting>(visitors));
    greeting->setName("greeting");
    greeting->setServiceParent(application);

    auto report = std::make_shared<bine::TimerService>(reactor, 60s, [visitors] { std::printf("%d visitors\n", visitors->count()); });
    report->setServiceParent(application);

    try {
        bine::startApplication(reactor, application).addErrback([&](const bine::Failure& failure) {
            std::fprintf(stderr, "%s\n", failure.userMessage().c_str());
            reactor.stop();
        });
    } catch (const bine::CannotListenError& error) {
        std::fprintf(stderr, "%s\n", error.userMessage().c_str());
        return 1;
    }
    reactor.run();
}
