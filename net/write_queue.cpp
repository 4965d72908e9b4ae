#include "bine/net/write_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "bine/log/sanitizer.h"

namespace bine::inline v0::detail {

// Many connections write in one turn, most of them little. Those that had much to keep back keep their room in a few only.
#ifdef BINE_SANITIZED
static constexpr std::size_t kKept = 0, kKeptRoomy = 0;
#else
static constexpr std::size_t kKept = 256, kKeptRoomy = 32;
#endif
static constexpr std::size_t kRoomy = 4 * 1024;

namespace {

using Queues = std::vector<std::unique_ptr<WriteQueue>>;

// Null before there are any, and again when the thread ends: what dies later keeps nothing. Reached without a call.
[[gnu::tls_model("initial-exec")]] constinit thread_local Queues* kept = nullptr;
[[gnu::tls_model("initial-exec")]] constinit thread_local bool threadEnds = false;

void beginToKeep() {
    struct Keeper {
        Keeper() { queues.reserve(kKept); }
        ~Keeper() {
            kept = nullptr;
            threadEnds = true;
        }
        Queues queues;
    };
    static thread_local Keeper keeper;
    kept = &keeper.queues;
}

} // namespace

std::unique_ptr<WriteQueue> WriteQueue::take() {
    if (!kept || kept->empty())
        return std::make_unique<WriteQueue>();
    auto queue = std::move(kept->back());
    kept->pop_back();
    return queue;
}

void WriteQueue::giveBack(std::unique_ptr<WriteQueue> queue) noexcept {
    if (kKept == 0 || !queue || threadEnds)
        return;
    if (!kept)
        beginToKeep();
    if (!queue->empty())
        queue->clear();
    if (kept->size() < (queue->tail_.capacity() + queue->spare_.capacity() > kRoomy ? kKeptRoomy : kKept))
        kept->push_back(std::move(queue));
}

void WriteQueue::endTail() {
    chunks_.push_back({std::move(tail_), {}});
    tail_ = std::exchange(spare_, {});
}

void WriteQueue::append(std::string_view data) {
    if (!tail_.empty() && tail_.size() + data.size() > chunkSize)
        endTail();
    tail_.append(data);
    size_ += data.size();
}

void WriteQueue::adopt(std::string&& data) {
    if (data.size() < large)
        return append(data);
    if (!tail_.empty())
        endTail();
    size_ += data.size();
    chunks_.push_back({std::move(data), {}});
}

void WriteQueue::share(const SharedBytes& data) {
    if (!tail_.empty())
        endTail();
    size_ += data.size();
    chunks_.push_back({{}, data});
}

void WriteQueue::clear() noexcept {
    if (!chunks_.empty() || tail_.capacity() > 2 * chunkSize)
        release();
    tail_.clear();
    first_ = offset_ = size_ = 0;
}

void WriteQueue::release() noexcept {
    for (std::size_t i = first_; i < chunks_.size(); ++i)
        reuse(chunks_[i]);
    chunks_.clear();
    if (chunks_.capacity() > 64)
        std::vector<Chunk>().swap(chunks_);
    if (tail_.capacity() > 2 * chunkSize)
        std::string().swap(tail_);
}

void WriteQueue::reuse(Chunk& sent) noexcept {
    sent.shared = {};
    std::string room = std::move(sent.own);
    if (room.capacity() <= spare_.capacity() || room.capacity() > 2 * chunkSize)
        return;
    spare_ = std::move(room);
    spare_.clear();
}

void WriteQueue::consume(std::size_t n) noexcept {
    if (n >= size_)
        return clear();
    size_ -= n;
    offset_ += n;
    for (; first_ < chunks_.size() && offset_ >= chunks_[first_].view().size(); ++first_) {
        offset_ -= chunks_[first_].view().size();
        reuse(chunks_[first_]);
    }
    // The places of sent chunks are given up when they are the majority: linear in the end.
    if (first_ >= 32 && first_ * 2 >= chunks_.size()) {
        chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

std::string_view WriteQueue::front() const noexcept {
    return (first_ < chunks_.size() ? chunks_[first_].view() : std::string_view(tail_)).substr(offset_);
}

int WriteQueue::sendTo(int fd, std::string_view more) {
    const int error = sendSome(fd, more);
    if (!more.empty())
        append(more);
    return error;
}

// `more` becomes what is left of it.
int WriteQueue::sendSome(int fd, std::string_view& more) {
    std::size_t allowance = sendAtMost;
    while (size_ + more.size() != 0 && allowance != 0) {
        const auto [sent, wanted] = sendOnce(fd, more, allowance);
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

// One system call for what is queued and `more`, up to `allowance` bytes.
WriteQueue::Sent WriteQueue::sendOnce(int fd, std::string_view more, std::size_t allowance) const noexcept {
    if (first_ == chunks_.size() && (size_ == 0 || more.empty())) {
        const std::string_view only = (size_ == 0 ? more : front()).substr(0, allowance);
        return {::send(fd, only.data(), only.size(), MSG_NOSIGNAL | MSG_DONTWAIT), only.size()};
    }
    std::array<iovec, 64> pieces;
    std::size_t count = 0;
    std::size_t wanted = 0;
    std::size_t skip = offset_;
    const auto add = [&](std::string_view data) {
        const std::size_t size = (std::min)(data.size() - skip, allowance - wanted);
        if (size == 0 || count == pieces.size())
            return false;
        pieces[count++] = {const_cast<char*>(data.data() + skip), size};
        skip = 0;
        wanted += size;
        return true;
    };
    bool all = true;
    for (std::size_t i = first_; all && i < chunks_.size(); ++i)
        all = add(chunks_[i].view());
    if (all && !tail_.empty())
        all = add(tail_);
    if (all)
        add(more);
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    return {::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT), wanted};
}

} // namespace bine::inline v0::detail
