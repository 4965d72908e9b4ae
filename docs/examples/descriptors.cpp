// The example of docs/descriptors.md: copies its input into a file, and says every four seconds that it is still here.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

#include "bine/defer/looping_call.h"
#include "bine/defer/owner.h"
#include "bine/log/log.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/native_reactors.h"

using namespace std::chrono_literals;

class Journal : public bine::WriteDescriptor {
public:
    Journal(bine::Reactor& reactor, const char* name)
        : reactor_(reactor), fd_(::open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), name);
    }
    ~Journal() override {
        reactor_.removeWriter(*this);  // before it is closed
        ::close(fd_);
    }
    void add(std::string_view text) {
        pending_ += text;
        reactor_.addWriter(*this);
    }
    /// Nothing follows: the reactor stops when all is written.
    void finish() {
        last_ = true;
        add("\n");
    }

    int fileno() const override { return fd_; }
    bine::IoResult doWrite() override {
        const ssize_t n = ::write(fd_, pending_.data(), pending_.size());
        if (n < 0) return std::system_error(errno, std::generic_category(), "writing the journal");
        pending_.erase(0, static_cast<std::size_t>(n));
        if (pending_.empty()) reactor_.removeWriter(*this);
        if (pending_.empty() && last_) reactor_.stop();
        return {};
    }
    void connectionLost(const bine::Failure& reason) override { bine::Logger("journal").error(reason.getErrorMessage()); }
    std::string logPrefix() const override { return "journal"; }

private:
    bine::Reactor& reactor_;
    int fd_;
    std::string pending_;
    bool last_ = false;
};

class Input : public bine::ReadDescriptor {
public:
    explicit Input(Journal& journal) : journal_(journal) {}

    int fileno() const override { return STDIN_FILENO; }
    bine::IoResult doRead() override {
        char buffer[4096];
        const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (n < 0) return std::system_error(errno, std::generic_category(), "reading the input");
        if (n == 0) return bine::ConnectionDone();
        journal_.add({buffer, static_cast<std::size_t>(n)});
        return {};
    }
    void connectionLost(const bine::Failure& reason) override {
        if (reason.check<bine::ConnectionDone>()) journal_.finish();
    }

private:
    Journal& journal_;
};

class Pane {
public:
    Pane(bine::Reactor& reactor, bine::ReadDescriptor& input) {
        reactor.addReader(input);
        input.ownedBy(scope_);  // nothing is read for a pane that is closed
    }

private:
    bine::Scope scope_;
};

int main() {
    bine::EpollReactor reactor;
    Journal journal(reactor, "journal.txt");
    Input input(journal);
    reactor.addReader(input);
    bine::LoopingCall tick(reactor, [] { bine::Logger("tick").info("still here"); });
    tick.start(4s);
    reactor.run();
}
