#pragma once
// WriteQueue: what is still to be sent on a descriptor. Internal; reactor's thread.
//
// Small writes are joined into chunks; large strings are kept as they came, and large shared bytes are referred to. Cost is linear in the bytes,
// whatever the sizes of writes and sends. A connection has one only while something waits; queues come from
// and go back to a few that are kept per thread.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bine/log/export.h"
#include "bine/net/shared_bytes.h"

namespace bine::inline v0::detail {

class BINE_EXPORT WriteQueue {
public:
    /// From this size on copying costs more than a system call: strings are taken over, views sent at once.
    static constexpr std::size_t large = 16 * 1024;
    /// Small writes are joined up to this size.
    static constexpr std::size_t chunkSize = 64 * 1024;
    /// One send() hands the kernel at most this much, so that one connection does not take a whole turn.
    static constexpr std::size_t sendAtMost = 1024 * 1024;

    static std::unique_ptr<WriteQueue> take();
    static void giveBack(std::unique_ptr<WriteQueue> queue) noexcept;

    WriteQueue() = default;
    WriteQueue(const WriteQueue&) = delete;
    WriteQueue& operator=(const WriteQueue&) = delete;

    void append(std::string_view data);
    void adopt(std::string&& data);
    /// Refers to the bytes. REQUIRES: at least `large` of them, for else each costs more than a copy.
    void share(const SharedBytes& data);
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    void clear() noexcept;
    /// Sends with as few system calls as possible what the socket takes now, of what is queued and then of `more`,
    /// and queues the rest. 0, or the errno that ends the connection; "would block" and a kernel out of buffers are
    /// no errors: then something is left.
    int sendTo(int fd, std::string_view more = {});
    /// Sets `n` sent bytes aside.
    void consume(std::size_t n) noexcept;
    /// The first bytes, in one piece; for sinks that are no sockets.
    std::string_view front() const noexcept;

private:
    /// Its own bytes, or else shared ones.
    struct Chunk {
        std::string own;
        SharedBytes shared;
        std::string_view view() const noexcept { return own.empty() ? shared.view() : own; }
    };
    struct Sent {
        std::ptrdiff_t sent; // bytes; negative: see errno
        std::size_t wanted;
    };

    int sendSome(int fd, std::string_view& more);
    Sent sendOnce(int fd, std::string_view more, std::size_t allowance) const noexcept;
    void endTail();
    void release() noexcept;
    void reuse(Chunk& sent) noexcept;

    std::vector<Chunk> chunks_; // that take no more
    std::string tail_;                // behind them: small writes, joined
    std::size_t first_ = 0;           // chunks before it have been sent
    std::size_t offset_ = 0;          // bytes of the first piece that have been sent
    std::size_t size_ = 0;
    std::string spare_; // an empty one with room
};

} // namespace bine::inline v0::detail
