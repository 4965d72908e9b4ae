#include <fcntl.h>
#include <poll.h>
#include <sys/select.h>

#include <cerrno>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "bine/reactors/io_handler.h"
#include "bine/reactors/poller.h"

namespace bine::inline v0::detail {
namespace {

class SelectPoller final : public Poller {
public:
    void watch(int fd, std::uint64_t token, unsigned, unsigned now) override {
        if (fd >= FD_SETSIZE)
            throw std::out_of_range("descriptor " + std::to_string(fd) + " is too large for select(), whose limit is " + std::to_string(FD_SETSIZE));
        if (now == 0) return forget(fd, token);
        errorsOnly_ += now == kErrorsOnly;
        const auto [at, added] = watched_.try_emplace(fd);
        errorsOnly_ -= !added && at->second.interest == kErrorsOnly;
        at->second = {token, now};
    }

    void forget(int fd, std::uint64_t token) override {
        const auto found = watched_.find(fd);
        if (found == watched_.end() || found->second.token != token) return;
        errorsOnly_ -= found->second.interest == kErrorsOnly;
        watched_.erase(found);
    }

    std::size_t wait(std::span<PollEvent> events, Duration timeout) override {
        // select() has no set for hang-ups: while a descriptor waits for nothing else, it is asked once a second.
        if (errorsOnly_ == 0) return waitOnce(events, timeout);
        const auto begin = std::chrono::steady_clock::now();
        for (;;) {
            const Duration left = timeout == kForever ? kForever : timeout - (std::chrono::steady_clock::now() - begin);
            const bool last = left <= kErrorsEvery;
            if (const std::size_t n = waitOnce(events, last ? left : kErrorsEvery); n != 0 || last || interrupted_) return n;
        }
    }

private:
    static constexpr Duration kErrorsEvery = std::chrono::seconds(1);

    struct Watched {
        std::uint64_t token;
        unsigned interest;
    };

    std::size_t waitOnce(std::span<PollEvent> events, Duration timeout) {
        interrupted_ = false;
        fd_set reading, writing;
        FD_ZERO(&reading);
        FD_ZERO(&writing);
        for (const auto& [fd, watched] : watched_) {
            if (watched.interest & kReadable) FD_SET(fd, &reading);
            if (watched.interest & kWritable) FD_SET(fd, &writing);
        }
        const int highest = watched_.empty() ? 0 : watched_.rbegin()->first + 1;
        const Duration span = timeout < Duration::zero() ? Duration::zero() : timeout;
        const timespec limit{static_cast<time_t>(span.count() / 1'000'000'000), static_cast<long>(span.count() % 1'000'000'000)};
        if (pselect(highest, &reading, &writing, nullptr, timeout == kForever ? nullptr : &limit, nullptr) < 0) {
            interrupted_ = errno == EINTR;
            if (interrupted_) return 0;
            if (errno == EBADF) return closedOnes(events);
            throw std::system_error(errno, std::generic_category(), "pselect");
        }
        std::size_t n = 0;
        ready_.clear();
        auto at = watched_.lower_bound(first_);
        for (std::size_t i = 0; i < watched_.size() && n < events.size(); ++i, ++at) {
            if (at == watched_.end()) at = watched_.begin();
            unsigned what = 0;
            if (FD_ISSET(at->first, &reading)) what |= kReadable;
            if (FD_ISSET(at->first, &writing)) what |= kWritable;
            if (what == 0) continue;
            const unsigned interest = at->second.interest;
            ready_.push_back({at->first, static_cast<short>(((interest & kReadable) ? POLLIN : 0) | ((interest & kWritable) ? POLLOUT : 0)), 0});
            events[n++] = {at->second.token, what};
            if (n == events.size()) first_ = at->first + 1;
        }
        tellHangUps(events);
        return errorsOnly_ == 0 ? n : tellErrorsOnly(events, n);
    }

    // select() calls a hang-up readable and an error writable. poll() knows better, if there is one.
    void tellHangUps(std::span<PollEvent> events) {
        if (ready_.empty() || poll(ready_.data(), ready_.size(), 0) <= 0) return;
        for (std::size_t i = 0; i < ready_.size(); ++i) {
            const short bits = ready_[i].revents;
            if (!(bits & (POLLHUP | POLLERR))) continue;
            unsigned what = 0;
            if (bits & POLLIN) what |= kReadable;
            if (bits & POLLOUT) what |= kWritable;
            if (bits & POLLHUP) what |= kHangUp;
            if (bits & POLLERR) what |= kIoError;
            events[i].events = what;
        }
    }

    // Those that select() was not asked about.
    std::size_t tellErrorsOnly(std::span<PollEvent> events, std::size_t n) {
        for (const auto& [fd, watched] : watched_) {
            if (watched.interest != kErrorsOnly || n == events.size()) continue;
            pollfd one{fd, 0, 0};
            if (poll(&one, 1, 0) <= 0) continue;
            unsigned what = 0;
            if (one.revents & POLLHUP) what |= kHangUp;
            if (one.revents & (POLLERR | POLLNVAL)) what |= kIoError;
            events[n++] = {watched.token, what};
        }
        return n;
    }

    // select() does not say which descriptor is bad: ask each.
    std::size_t closedOnes(std::span<PollEvent> events) {
        std::size_t n = 0;
        for (const auto& [fd, watched] : watched_)
            if (n < events.size() && fcntl(fd, F_GETFD) < 0) events[n++] = {watched.token, kIoError};
        return n;
    }

    std::map<int, Watched> watched_;
    std::vector<pollfd> ready_;
    int first_ = 0;
    std::size_t errorsOnly_ = 0;  // of those watched
    bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<Poller> makeSelectPoller() { return std::make_unique<SelectPoller>(); }

}  // namespace bine::inline v0::detail
