// The snippets of docs/threads.md.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "bine/defer/owner.h"
#include "bine/reactors/native_reactors.h"
#include "bine/reactors/threads.h"

using namespace std::chrono_literals;
using bine::Deferred;
using bine::Reactor;
using bine::Result;

static Deferred<std::string> fetch(const std::string& url) { return bine::succeed("page of " + url); }

class Window {
public:
    explicit Window(Reactor& reactor) : reactor_(reactor) {}
    void open(std::string path);

private:
    void show(std::size_t lines) { std::printf("%zu lines\n", lines); }

    Reactor& reactor_;
    bine::Scope scope_;
};

static std::size_t countLines(const std::string& path, std::stop_token stop) {
    std::ifstream file(path);
    std::size_t lines = 0;
    for (std::string line; !stop.stop_requested() && std::getline(file, line);) ++lines;
    return lines;
}

void Window::open(std::string path) {
    bine::deferToThread(reactor_, [path = std::move(path)](std::stop_token stop) { return countLines(path, stop); })
        .ownedBy(scope_)
        .addCallback([this](std::size_t lines) { show(lines); });
}

static void jobs(Reactor& reactor) {
    reactor.callInThread([] { std::filesystem::remove_all("/tmp/bine-cache"); });
    bine::callMultipleInThread(
        reactor, [] { std::puts("first"); }, [] { std::puts("then this, on the same worker"); });
    reactor.threadPool().callInThreadWithCallback(
        [](Result<int> result) { std::puts(result.isValue() ? "done" : "failed"); },  // on the worker
        [] { return 42; });
}

static void otherWay(Reactor& reactor, std::stop_token stop) {
    // On a thread of its own.
    while (!stop.stop_requested()) {
        reactor.callFromThread([] { std::puts("on the reactor's thread, a little later"); });
        try {
            const std::string page = bine::blockingCallFromThread(reactor, [] { return fetch("http://example.org/"); });
            std::printf("%zu bytes\n", page.size());
        } catch (const bine::ReactorNotRunning&) {
            return;  // the program ends
        }
    }
}

class Hasher {
public:
    explicit Hasher(Reactor& reactor) : reactor_(reactor) {}
    Deferred<std::size_t> hashOf(std::string data) {
        return bine::deferToThread(reactor_, pool_, [data = std::move(data)] { return std::hash<std::string>()(data); });
    }
    void whySoSlow() {
        if (pool_.stats().longestWait > 1s) pool_.dumpStats();    // into the log: who is at what, and since when
    }

private:
    Reactor& reactor_;
    bine::ThreadPool pool_{0, 4, "hash"};                         // least, most, and the name that top shows
};

int main() {
    bine::EpollReactor reactor;
    reactor.suggestThreadPoolSize(20);    // ten unless said otherwise
    Window window(reactor);
    Hasher hasher(reactor);
    std::jthread other;
    reactor.callWhenRunning([&] {
        window.open("/etc/passwd");
        jobs(reactor);
        hasher.hashOf("data").addCallback([](std::size_t hash) { std::printf("%zx\n", hash); });
        hasher.whySoSlow();
        other = std::jthread([&](std::stop_token stop) { otherWay(reactor, stop); });
    });
    reactor.callLater(20ms, [&] { reactor.stop(); });
    reactor.run();
}
