#include "bine/reactors/child_watch.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "bine/reactors/io_handler.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {
namespace {

constexpr auto kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, which glibc has from 2.36 on

/// False if the child still runs.
bool reap(int pidfd, ChildExit& exit) {
    siginfo_t info{};
    int result = 0;
    do {
        result = waitid(kPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
    } while (result < 0 && errno == EINTR);
    if (result < 0) return errno != EAGAIN;
    if (info.si_pid == 0) return false;
    exit.kind = info.si_code == CLD_EXITED ? ChildExit::Kind::exited : ChildExit::Kind::killed;
    exit.number = info.si_status;
    exit.dumpedCore = info.si_code == CLD_DUMPED;
    return true;
}

/// Children whose reactor is gone.
class Orphans {
public:
    static Orphans& all() {
        static auto* orphans = new Orphans;  // a reactor may die in anybody's destructor
        return *orphans;
    }
    void add(int pidfd) {
        const std::lock_guard lock(mutex_);
        pidfds_.push_back(pidfd);
        reapThoseThatEnded();
    }
    void look() {
        const std::lock_guard lock(mutex_);
        reapThoseThatEnded();
    }

private:
    void reapThoseThatEnded() {
        std::erase_if(pidfds_, [](int pidfd) {
            ChildExit exit;
            if (!reap(pidfd, exit)) return false;
            ::close(pidfd);
            return true;
        });
    }
    std::mutex mutex_;
    std::vector<int> pidfds_;
};

}  // namespace

class ChildWatch::Child final : public IoHandler {
public:
    explicit Child(Function<void(ChildExit)> told) : told_(std::move(told)) {}

    void start(ReactorCore& core, int pidfd) {
        madeIn_ = core.turnNumber();
        openIn(core, pidfd);
        try {
            wantReading(true);
        } catch (...) {
            Orphans::all().add(releaseDescriptor());
            throw;
        }
        Orphans::all().look();
    }
    void forget() noexcept { auto told = std::move(told_); }

    void ioReady(unsigned) override {
        if (core()->turnNumber() == madeIn_) return;
        ChildExit exit;
        if (!reap(fd(), exit)) return;
        closeDescriptor();
        Orphans::all().look();
        if (Function<void(ChildExit)> told = std::move(told_)) told(exit);
    }
    void reactorStopped() override {
        if (core()->reactor()) return;  // it may run again
        Orphans::all().add(releaseDescriptor());
        forget();
    }

private:
    Function<void(ChildExit)> told_;
    std::uint64_t madeIn_ = 0;
};

int openPidfd(pid_t child) {
    const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0u));
    if (pidfd < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
    return pidfd;
}

ChildWatch::ChildWatch(Reactor& reactor, int pidfd, Function<void(ChildExit)> told) {
    ReactorCore* core = reactor.core();
    if (!core) {
        Orphans::all().add(pidfd);
        throw std::logic_error("ChildWatch: this reactor has no descriptors");
    }
    core->assertThread("ChildWatch");
    child_ = std::make_shared<Child>(std::move(told));
    child_->start(*core, pidfd);
}

ChildWatch::~ChildWatch() {
    if (child_) child_->forget();
}

ChildWatch& ChildWatch::operator=(ChildWatch&& other) noexcept {
    const auto before = std::exchange(child_, std::move(other.child_));
    if (before && before != child_) before->forget();
    return *this;
}

int ChildWatch::pidfd() const noexcept { return child_ ? child_->fd() : -1; }

}  // namespace bine::inline v0::detail
