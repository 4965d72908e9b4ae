#include "bine/net/hostname_lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "bine/net/errors.h"

namespace bine::inline v0::detail {
namespace {

constexpr int kThreads = 8;

struct Job {
    std::string name;
    std::shared_ptr<std::atomic<bool>> cancelled;
    Function<void(LookupAnswer)> done;
};

struct Lookups {
    std::mutex mutex;
    std::deque<Job> waiting; // guarded by mutex
    int threads = 0;         // guarded by mutex
};

// Never destroyed: detached threads may outlive main().
Lookups& lookups() {
    static Lookups* const all = new Lookups;
    return *all;
}

LookupAnswer ask(const std::string& name) {
    LookupAnswer answer;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int status = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
    if (status != 0) {
        answer.error = status == EAI_SYSTEM ? systemErrorText(errno) : ::gai_strerror(status);
        answer.transient = status == EAI_AGAIN || status == EAI_SYSTEM || status == EAI_MEMORY;
        return answer;
    }
    for (const addrinfo* entry = found; entry; entry = entry->ai_next) {
        if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6)
            continue;
        SocketAddress address;
        std::memcpy(address.data(), entry->ai_addr, entry->ai_addrlen);
        address.length = entry->ai_addrlen;
        answer.addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    if (answer.addresses.empty())
        answer.error = "it has no IPv4 or IPv6 address";
    return answer;
}

void work() {
    Lookups& all = lookups();
    for (;;) {
        Job job;
        {
            const std::lock_guard lock(all.mutex);
            if (all.waiting.empty()) {
                --all.threads;
                return;
            }
            job = std::move(all.waiting.front());
            all.waiting.pop_front();
        }
        if (!job.cancelled->load())
            job.done(ask(job.name));
    }
}

// Signals are for the application's threads.
void startThread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread(work).detach();
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

} // namespace

void lookUpHostname(std::string name, std::shared_ptr<std::atomic<bool>> cancelled,
                    Function<void(LookupAnswer)> done) {
    Lookups& all = lookups();
    Job refused;
    {
        const std::lock_guard lock(all.mutex);
        all.waiting.push_back({std::move(name), std::move(cancelled), std::move(done)});
        if (all.threads == kThreads)
            return;
        ++all.threads;
        try {
            startThread();
        } catch (const std::system_error&) {
            if (--all.threads != 0)
                return; // somebody will come to it
            refused = std::move(all.waiting.back());
            all.waiting.pop_back();
        }
    }
    if (refused.done) {
        LookupAnswer answer;
        answer.error = "no thread could be started for the lookup";
        answer.transient = true;
        refused.done(std::move(answer));
    }
}

} // namespace bine::inline v0::detail
