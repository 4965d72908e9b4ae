#pragma once
// HomeThread: the thread an object belongs to, and what happens when another thread uses the object. Internal.
//
// A call from a wrong thread would corrupt memory sooner or later, so it ends the program at once: one message on stderr, then abort(). Nothing is
// logged: log observers are user code, and may wait for the thread that was interrupted. Cost of check(): a call of pthread_self() and a comparison.

#include <pthread.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// The kernel's id of this thread, as debuggers and `top -H` show it. Asks the kernel once per thread; after a fork() the child keeps the parent's.
BINE_EXPORT std::uint32_t threadId() noexcept;

/// Whether the calls are checked for which that would be noticeable (write(), DelayedCall::cancel() and the like): in debug builds of the library. For its
/// sources, not for headers, whose users may be built otherwise.
#ifdef NDEBUG
constexpr bool checksEachCall = false;
#else
constexpr bool checksEachCall = true;
#endif

/// Ends the program because of `what` ("write() of <Echo #3 on 8000> was called"), which happened on this thread and should on the one with the id `home`.
[[noreturn]] BINE_EXPORT void wrongThread(std::string_view what, std::uint32_t home) noexcept;

class BINE_EXPORT HomeThread {
public:
    /// The calling thread.
    HomeThread() noexcept : handle_(::pthread_self()), id_(threadId()) {}

    bool isHere() const noexcept { return ::pthread_equal(handle_, ::pthread_self()) != 0; }
    std::uint32_t id() const noexcept { return id_; }

    /// Ends the program unless this is the thread. `call` names the call, "callLater()", or is a callable that returns such a text.
    template <class Call>
    void check(Call&& call) const noexcept {
        if (isHere()) [[likely]]
            return;
        if constexpr (requires { std::string(call()); })
            refuse([](void* f) { return std::string((*static_cast<std::remove_reference_t<Call>*>(f))()); },
                   const_cast<void*>(static_cast<const void*>(&call)));
        else
            refuse(call);
    }

private:
    [[noreturn]] void refuse(std::string_view call) const noexcept;
    [[noreturn]] void refuse(std::string (*text)(void*), void* call) const noexcept;

    pthread_t handle_;
    std::uint32_t id_;
};

}  // namespace bine::inline v0::detail
