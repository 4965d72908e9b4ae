#include "bine/defer/home_thread.h"

#include <cstdio>
#include <cstdlib>

#include "bine/defer/pool.h"

namespace bine::inline v0::detail {
namespace {

/// "thread 4711 'worker'"; without a name if the thread has ended. From /proc, because the pthread_t of a thread that has ended must not be used.
std::string threadText(std::uint32_t id) {
    std::string text = "thread " + std::to_string(id);
    std::FILE* const file = std::fopen(("/proc/self/task/" + std::to_string(id) + "/comm").c_str(), "re");
    if (!file) return text;
    char name[32] = "";
    if (std::fgets(name, sizeof name, file)) {
        const std::string_view line(name);
        text.append(" '").append(line.substr(0, line.find('\n'))).append("'");
    }
    std::fclose(file);
    return text;
}

}  // namespace

std::uint32_t threadId() noexcept { return threadMemory().threadId; }

void wrongThread(std::string_view what, std::uint32_t home) noexcept {
    const std::string text = "bine: " + std::string(what) + " on " + threadText(threadId()) + " instead of " + threadText(home) +
                             ". Use reactor.callFromThread(...) to do this there.\n";
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
    std::abort();
}

void HomeThread::refuse(std::string_view call) const noexcept { wrongThread(std::string(call) + " was called", id_); }

void HomeThread::refuse(std::string (*text)(void*), void* call) const noexcept { refuse(text(call)); }

}  // namespace bine::inline v0::detail
