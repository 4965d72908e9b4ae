#include "bine/net/write_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "bine/log/sanitizer.h"

namespace bine::inline v0::detail {

#ifdef BINE_SANITIZED
static constexpr std::size_t kKept = 0;
#else
static constexpr std::size_t kKept = 32;
#endif

static std::vector<std::unique_ptr<WriteQueue>>& kept() {
    static thread_local std::vector<std::unique_ptr<WriteQueue>> queues;
    return queues;
}

std::unique_ptr<WriteQueue> WriteQueue::take() {
    if constexpr (kKept != 0) {
        auto& queues = kept();
        if (!queues.empty()) {
            auto queue = std::move(queues.back());
            queues.pop_back();
            return queue;
        }
    }
    return std::make_unique<WriteQueue>();
}

void WriteQueue::giveBack(std::unique_ptr<WriteQueue> queue) noexcept {
    if constexpr (kKept != 0) {
        if (!queue)
            return;
        queue->clear();
        auto& queues = kept();
        if (queues.capacity() == 0)
            queues.reserve(kKept);
        if (queues.size() < kKept)
            queues.push_back(std::move(queue));
    }
}

std::string& WriteQueue::tail(std::size_t more) {
    if (joins_ && first_ < chunks_.size() && chunks_.back().size() + more <= chunkSize)
        return chunks_.back();
    joins_ = true;
    chunks_.push_back(std::exchange(spare_, {}));
    return chunks_.back();
}

void WriteQueue::append(std::string_view data) {
    if (data.empty())
        return;
    tail(data.size()).append(data);
    size_ += data.size();
}

void WriteQueue::adopt(std::string&& data) {
    if (data.size() < large)
        return append(data);
    size_ += data.size();
    chunks_.push_back(std::move(data));
    joins_ = false;
}

void WriteQueue::clear() noexcept {
    while (first_ < chunks_.size()) {
        offset_ = 0;
        std::string& chunk = chunks_[first_++];
        if (chunk.capacity() > spare_.capacity() && chunk.capacity() <= 2 * chunkSize)
            spare_ = std::move(chunk);
    }
    spare_.clear();
    chunks_.clear();
    if (chunks_.capacity() > 64)
        std::vector<std::string>().swap(chunks_);
    first_ = offset_ = size_ = 0;
    joins_ = false;
}

void WriteQueue::consume(std::size_t n) noexcept {
    if (n >= size_)
        return clear();
    size_ -= n;
    while (n > 0) {
        std::string& chunk = chunks_[first_];
        const std::size_t left = chunk.size() - offset_;
        if (n < left) {
            offset_ += n;
            break;
        }
        n -= left;
        offset_ = 0;
        if (spare_.capacity() < chunk.capacity() && chunk.capacity() <= 2 * chunkSize) {
            spare_ = std::move(chunk);
            spare_.clear();
        } else {
            std::string().swap(chunk);
        }
        ++first_;
    }
    // The places of sent chunks are given up when they are the majority: linear in the end.
    if (first_ >= 32 && first_ * 2 >= chunks_.size()) {
        chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

std::string_view WriteQueue::front() const noexcept {
    if (size_ == 0)
        return {};
    return std::string_view(chunks_[first_]).substr(offset_);
}

int WriteQueue::sendTo(int fd, std::string_view more) {
    const int error = sendSome(fd, more);
    append(more);
    return error;
}

// `more` becomes what is left of it.
int WriteQueue::sendSome(int fd, std::string_view& more) {
    std::size_t allowance = sendAtMost;
    while (size_ + more.size() != 0 && allowance != 0) {
        std::array<iovec, 64> pieces;
        std::size_t count = 0;
        std::size_t wanted = 0;
        const auto add = [&](const char* data, std::size_t size) {
            size = (std::min)(size, allowance - wanted);
            pieces[count++] = {const_cast<char*>(data), size};
            wanted += size;
        };
        std::size_t i = first_;
        for (; i < chunks_.size() && count < pieces.size() && wanted < allowance; ++i) {
            const std::size_t skip = i == first_ ? offset_ : 0;
            add(chunks_[i].data() + skip, chunks_[i].size() - skip);
        }
        if (i >= chunks_.size() && !more.empty() && count < pieces.size() && wanted < allowance)
            add(more.data(), more.size());
        ssize_t sent = 0;
        if (count == 1) {
            sent = ::send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            msghdr message{};
            message.msg_iov = pieces.data();
            message.msg_iovlen = count;
            sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
                return 0;
            return errno;
        }
        const auto gone = static_cast<std::size_t>(sent);
        const std::size_t queued = (std::min)(gone, size_);
        consume(queued);
        more.remove_prefix(gone - queued);
        allowance -= gone;
        if (gone < wanted)
            return 0; // the socket is full: asking again would only say so
    }
    return 0;
}

} // namespace bine::inline v0::detail
