#pragma once
// ReadyEvents: what the kernel has said and the handlers have not been told yet. Internal; reactor's thread only.
//
// A turn whose time is up leaves the rest here, and the next turn begins with it; so does a nested turn. The kernel is asked again when all of them have been told:
// nobody is told twice while another waits, however short the turns are, and nothing is fetched in vain. What is here may be out of date: whoever takes an event asks
// whether it still concerns somebody.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "bine/reactors/poller.h"

namespace bine::inline v0::detail {

class ReadyEvents {
public:
    bool empty() const noexcept { return next_ == end_; }
    /// REQUIRES !empty(). The oldest.
    PollEvent take() noexcept { return events_[next_++]; }
    /// The turn they were fetched for. In a later one other code has run since.
    std::uint64_t fetchedFor() const noexcept { return fetchedFor_; }

    /// REQUIRES empty(). Where the poller writes them; then filled() says how many there are.
    std::span<PollEvent> room() noexcept { return events_; }
    void filled(std::size_t count, std::uint64_t turn) noexcept {
        next_ = 0;
        end_ = count;
        fetchedFor_ = turn;
    }
    /// Leaves out those of which `what` is true.
    template <class F>
    void remove(F&& what) {
        const auto begin = events_.begin();
        end_ = static_cast<std::size_t>(std::remove_if(begin, begin + static_cast<std::ptrdiff_t>(end_), what) - begin);
    }
    /// In another order, which `state` decides and which changes it. Debugging aid.
    void shuffle(std::uint64_t& state) noexcept {
        for (std::size_t i = end_; i > 1; --i) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            std::swap(events_[i - 1], events_[(state >> 33) % i]);
        }
    }

private:
    std::array<PollEvent, 256> events_;
    std::size_t next_ = 0;
    std::size_t end_ = 0;
    std::uint64_t fetchedFor_ = 0;
};

}  // namespace bine::inline v0::detail
