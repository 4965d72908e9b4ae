#include <poll.h>

#include <cerrno>
#include <ctime>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "bine/reactors/io_handler.h"
#include "bine/reactors/poller.h"

namespace bine::inline v0::detail {
namespace {

class PollPoller final : public Poller {
public:
    void watch(int fd, std::uint64_t token, unsigned, unsigned now) override {
        const auto found = position_.find(fd);
        if (now == 0) {
            forget(fd, token);
            return;
        }
        const short bits = static_cast<short>(((now & kReadable) ? POLLIN : 0) | ((now & kWritable) ? POLLOUT : 0));
        if (found != position_.end()) {
            set_[found->second].events = bits;
            tokens_[found->second] = token;
        } else {
            position_.emplace(fd, set_.size());
            set_.push_back({fd, bits, 0});
            tokens_.push_back(token);
        }
    }

    void forget(int fd, std::uint64_t token) override {
        const auto found = position_.find(fd);
        if (found == position_.end() || tokens_[found->second] != token) return;
        const std::size_t at = found->second;
        position_.erase(found);
        if (at + 1 != set_.size()) {
            set_[at] = set_.back();
            tokens_[at] = tokens_.back();
            position_[set_[at].fd] = at;
        }
        set_.pop_back();
        tokens_.pop_back();
    }

    std::size_t wait(std::span<PollEvent> events, Duration timeout) override {
        const Duration span = timeout < Duration::zero() ? Duration::zero() : timeout;
        const timespec limit{static_cast<time_t>(span.count() / 1'000'000'000), static_cast<long>(span.count() % 1'000'000'000)};
        if (ppoll(set_.data(), set_.size(), timeout == kForever ? nullptr : &limit, nullptr) < 0) {
            if (errno == EINTR) return 0;
            throw std::system_error(errno, std::generic_category(), "ppoll");
        }
        std::size_t n = 0;
        // Where the last call stopped the next one starts: with more ready than `events` holds, each gets its turn.
        for (std::size_t i = 0; i < set_.size() && n < events.size(); ++i) {
            const std::size_t at = (first_ + i) % set_.size();
            const short bits = set_[at].revents;
            if (bits == 0) continue;
            unsigned what = 0;
            if (bits & POLLIN) what |= kReadable;
            if (bits & POLLOUT) what |= kWritable;
            if (bits & POLLHUP) what |= kHangUp;
            if (bits & (POLLERR | POLLNVAL)) what |= kIoError;
            events[n++] = {tokens_[at], what};
            if (n == events.size()) first_ = at + 1;
        }
        return n;
    }

private:
    std::vector<pollfd> set_;
    std::vector<std::uint64_t> tokens_;
    std::unordered_map<int, std::size_t> position_;
    std::size_t first_ = 0;
};

}  // namespace

std::unique_ptr<Poller> makePollPoller() { return std::make_unique<PollPoller>(); }

}  // namespace bine::inline v0::detail
