#pragma once
// Everything about threads in one header (twisted.internet.threads): deferToThread, blockingCallFromThread, callMultipleInThread.

#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

#include "bine/defer/function.h"
#include "bine/log/export.h"
#include "bine/reactors/blocking_call.h"
#include "bine/reactors/defer_to_thread.h"
#include "bine/reactors/reactor.h"
#include "bine/reactors/thread_pool.h"

namespace bine::inline v0 {
namespace detail {

/// A reactor, and the place in the source that asks something of it.
class ReactorAt {
public:
    ReactorAt(Reactor& reactor, std::source_location where = std::source_location::current()) : reactor_(reactor), where_(where) {}
    Reactor& reactor() const { return reactor_; }
    std::source_location where() const { return where_; }

private:
    Reactor& reactor_;
    std::source_location where_;
};

}  // namespace detail

/// Runs the functions one after the other on one worker of the reactor's pool. Each dies before the next is called. The first that throws is logged and ends the
/// list. Reactor's thread.
BINE_EXPORT void callMultipleInThread(detail::ReactorAt reactor, std::vector<Function<void()>> functions);

template <class... F>
    requires(sizeof...(F) != 0 && (std::is_invocable_v<std::decay_t<F>&> && ...))
void callMultipleInThread(detail::ReactorAt reactor, F&&... functions) {
    static_assert(!(detail::IsDeferred<std::invoke_result_t<std::decay_t<F>&>>::value || ...),
                  "callMultipleInThread: the functions run on another thread, where no Deferred may be made; see blockingCallFromThread()");
    std::vector<Function<void()>> all;
    all.reserve(sizeof...(F));
    (all.emplace_back(std::forward<F>(functions)), ...);
    callMultipleInThread(reactor, std::move(all));
}

}  // namespace bine::inline v0
