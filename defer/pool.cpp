#include "bine/defer/pool.h"

#include <unistd.h>

namespace bine::inline v0::detail {

ThreadMemory& findThreadMemory() noexcept {
    static thread_local constinit ThreadMemory memory;
    threadMemoryFound = &memory;
    memory.threadId = static_cast<std::uint32_t>(::gettid());
    return memory;
}

[[gnu::tls_model("initial-exec")]] constinit thread_local ThreadMemory* threadMemoryFound = nullptr;

// The free lists are emptied when their thread ends.
bool ThreadMemory::open() noexcept {
    struct Closer {
        ~Closer() {
            ThreadMemory& memory = threadMemory();
            memory.life = Life::closed;
            for (FreeBlock*& list : memory.free)
                while (FreeBlock* const block = list) {
                    list = block->next;
                    ::operator delete(static_cast<void*>(block));
                }
        }
    };
    static thread_local Closer closer;
    static_cast<void>(closer);
    life = Life::open;
    return true;
}

}  // namespace bine::inline v0::detail
