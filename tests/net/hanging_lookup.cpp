// A getaddrinfo() that does not return, put before the C library's by LD_PRELOAD: names that contain "hang" wait until
// the test lets go of them, and fail then.
#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <cstring>
#include <mutex>

namespace {

std::mutex mutex;
std::condition_variable changed;
int waiting = 0;
int released = 0; // how often

} // namespace

extern "C" {

int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) noexcept(false) {
    if (name && std::strstr(name, "hang")) {
        std::unique_lock lock(mutex);
        ++waiting;
        const int before = released;
        changed.wait(lock, [&] { return released != before; });
        --waiting;
        return EAI_AGAIN;
    }
    using Lookup = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto next = reinterpret_cast<Lookup>(dlsym(RTLD_NEXT, "getaddrinfo"));
    return next(name, service, hints, found);
}

/// How many lookups hang now.
int hangingLookups() {
    const std::lock_guard lock(mutex);
    return waiting;
}

void releaseHangingLookups() {
    const std::lock_guard lock(mutex);
    ++released;
    changed.notify_all();
}
}
