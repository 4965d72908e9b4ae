#pragma once
// fork() without exec(): what a child has in common with its parent, and what it must leave alone. Internal.
//
// The child has a copy of all memory and of the forking thread only, and shares the kernel's side with its parent: the epoll set, the timer, the eventfd, the sockets. What
// owns such things registers an AtFork. It costs nothing but at fork(). vfork(), posix_spawn() and clone() run no handlers; their children only exec().

#include <memory>

#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// How many fork()s lie between this process and the first one that loaded this library. An object that was made under another number belongs to the parent.
BINE_EXPORT unsigned forkGeneration() noexcept;

/// Keeps an object that a child inherited, and cannot destroy: other threads may have been at work on it. Nothing of it runs; the process's end frees it.
BINE_EXPORT void keepForever(std::shared_ptr<void> inherited);

/// Registers functions for each fork() while it lives. To be the last member of its class, so that they meet a whole object.
class BINE_EXPORT AtFork {
public:
    /// They do not throw. Null is none.
    struct Functions {
        void (*before)(void*) = nullptr;    ///< on the thread that forks
        void (*inParent)(void*) = nullptr;
        void (*inChild)(void*) = nullptr;
    };
    /// `functions` outlives this.
    AtFork(void* object, const Functions& functions);
    ~AtFork();
    AtFork(const AtFork&) = delete;
    AtFork& operator=(const AtFork&) = delete;

private:
    friend struct ForkHandlers;
    void* const object_;
    const Functions& functions_;
    AtFork* previous_ = nullptr;
    AtFork* next_ = nullptr;
};

}  // namespace bine::inline v0::detail
