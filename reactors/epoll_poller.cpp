#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "bine/reactors/io_handler.h"
#include "bine/reactors/poller.h"

namespace bine::inline v0::detail {
namespace {

class EpollPoller final : public Poller {
public:
    EpollPoller() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    }
    ~EpollPoller() override { close(fd_); }

    void watch(int fd, std::uint64_t token, unsigned was, unsigned now) override {
        epoll_event event{};
        event.events = ((now & kReadable) ? EPOLLIN : 0u) | ((now & kWritable) ? EPOLLOUT : 0u);
        event.data.u64 = token;
        // Out of the set when nothing is wanted: EPOLLHUP and EPOLLERR cannot be masked and would spin.
        const int operation = now == 0 ? EPOLL_CTL_DEL : was == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
        if (epoll_ctl(fd_, operation, fd, &event) == 0) return;
        // The descriptor was closed behind our back, and what it meant came back under its number.
        if (operation == EPOLL_CTL_MOD && errno == ENOENT && epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) == 0) return;
        // The descriptor was closed behind our back: it has left the set by itself.
        if (operation == EPOLL_CTL_DEL && (errno == EBADF || errno == ENOENT)) return;
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }

    void forget(int, std::uint64_t) override {}  // closing it took it out

    std::size_t wait(std::span<PollEvent> events, Duration timeout) override {
        std::array<epoll_event, 256> ready;
        const int capacity = static_cast<int>((std::min)(ready.size(), events.size()));
        const int n = waitFor(ready.data(), capacity, timeout);
        for (int i = 0; i < n; ++i) {
            const auto bits = ready[static_cast<std::size_t>(i)].events;
            unsigned what = 0;
            if (bits & (EPOLLIN | EPOLLPRI)) what |= kReadable;
            if (bits & EPOLLOUT) what |= kWritable;
            if (bits & EPOLLHUP) what |= kHangUp;
            if (bits & EPOLLERR) what |= kIoError;
            events[static_cast<std::size_t>(i)] = {ready[static_cast<std::size_t>(i)].data.u64, what};
        }
        return static_cast<std::size_t>(n);
    }

    int fileno() const override { return fd_; }

private:
    int waitFor(epoll_event* ready, int capacity, Duration timeout) {
        int n = 0;
        if (timeout == kForever) {
            n = epoll_wait(fd_, ready, capacity, -1);
        } else if (timeout <= Duration::zero()) {
            n = epoll_wait(fd_, ready, capacity, 0);
        } else if (nanoseconds_) {
            const timespec limit{static_cast<time_t>(timeout.count() / 1'000'000'000), static_cast<long>(timeout.count() % 1'000'000'000)};
            n = epoll_pwait2(fd_, ready, capacity, &limit, nullptr);
            if (n < 0 && errno == ENOSYS) {  // Linux before 5.11
                nanoseconds_ = false;
                return waitFor(ready, capacity, timeout);
            }
        } else {
            const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
            n = epoll_wait(fd_, ready, capacity, static_cast<int>((std::min<long>)(milliseconds, 0x7fffffff)));
        }
        if (n >= 0) return n;
        if (errno == EINTR) return 0;
        throw std::system_error(errno, std::generic_category(), "epoll_wait");
    }

    int fd_;
    bool nanoseconds_ = true;
};

}  // namespace

std::unique_ptr<Poller> makeEpollPoller() { return std::make_unique<EpollPoller>(); }

}  // namespace bine::inline v0::detail
