#pragma once
// WaitingLine: those who wait for something that is handed out in order. Internal.
//
// Who cancels, or whose owner dies, leaves the line. One thread. Cost: a Deferred and a node of a list for each; to join, to leave and to be served is O(1).

#include <cstddef>
#include <list>
#include <optional>
#include <source_location>
#include <utility>

#include "bine/defer/deferred.h"

namespace bine::inline v0::detail {

template <class T>
class WaitingLine {
public:
    WaitingLine() = default;
    WaitingLine(const WaitingLine&) = delete;
    WaitingLine& operator=(const WaitingLine&) = delete;
    ~WaitingLine() { close(); }

    bool empty() const noexcept { return line_.empty(); }
    std::size_t size() const noexcept { return line_.size(); }

    /// At the end of the line.
    Deferred<T> join(std::source_location where) {
        if (closed_) return abandoned(where);
        const auto place = line_.emplace(line_.end());
        place->emplace([this, place] { line_.erase(place); });
        return (*place)->deferred(where);
    }
    /// REQUIRES: not empty. Takes out who has waited longest.
    Resolver<T> pop() {
        Resolver<T> first = std::move(*line_.front());
        line_.pop_front();
        return first;
    }
    /// Serves one after the other, as long as left() says that there is something to hand out; make() makes it. REQUIRES: `this` outlives the call.
    ///
    /// Who is served may at once cause the next to be served, and so on: up to a depth this happens inside, beyond it after it. (Not always after it: who
    /// is served may open a dialog, and must not hold up the others.)
    template <class Left, class Make>
    void serve(Left left, Make make) {
        if (depth_ == mostDepth) return;
        ++depth_;
        while (!empty() && left()) pop().callback(make());
        --depth_;
    }
    /// Whoever waits gets AbandonedError, now; and who joins from now on.
    void close() noexcept {
        closed_ = true;
        while (!empty()) const Resolver<T> abandoned = pop();
    }

private:
    static constexpr int mostDepth = 16;

    static Deferred<T> abandoned(std::source_location where) {
        Resolver<T> nobody;
        return nobody.deferred(where);
    }

    std::list<std::optional<Resolver<T>>> line_;
    int depth_ = 0;
    bool closed_ = false;
};

}  // namespace bine::inline v0::detail
