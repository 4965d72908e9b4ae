#include "bine/net/hostname_lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/reactors/fork.h"

namespace bine::inline v0::detail {

class HostnameLookup {
public:
    enum class State { waiting, running, ended };
    using Queue = std::list<std::shared_ptr<HostnameLookup>>;

    HostnameLookup(std::string askedName, Function<void(LookupAnswer)> whenDone)
        : name(std::move(askedName)), done(std::move(whenDone)) {}

    const std::string name;
    Function<void(LookupAnswer)> done; // waiting: guarded by the mutex; running: the worker's
    // Guarded by the mutex:
    State state = State::waiting;
    bool abandoned = false;
    Queue::iterator place; // while waiting
};

namespace {

using Queue = HostnameLookup::Queue;

constexpr std::size_t usualThreads = 8;
constexpr std::size_t mostThreads = 64;
constexpr std::chrono::milliseconds patience{200};

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

/// A detached thread. Signals are for the application's threads.
bool startThread(void (*run)()) noexcept {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
        std::thread(run).detach();
    } catch (const std::system_error&) {
        started = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

/// The lookups of the process. A worker that is alive has a lookup, or is about to look for one.
class Lookups {
public:
    // Never destroyed: detached threads may outlive main().
    static Lookups& all() {
        static Lookups* const all = new Lookups;
        return *all;
    }

    void add(const std::shared_ptr<HostnameLookup>& lookup) {
        Queue refused;
        {
            const std::lock_guard lock(mutex_);
            lookup->place = waiting_.insert(waiting_.end(), lookup);
            const bool started = (workers_ < usualThreads + abandoned_ || stuck()) && startWorkers(1);
            if (workers_ == 0 || (workers_ >= mostThreads && stuck()))
                refused = takeWaiting();
            else if (!started && !watched_)
                watched_ = startThread([] { all().watch(); });
        }
        refuse(refused);
    }

    void abandon(const std::shared_ptr<HostnameLookup>& lookup) noexcept {
        Function<void(LookupAnswer)> unused; // destroyed without the lock
        const std::lock_guard lock(mutex_);
        if (lookup->state == HostnameLookup::State::waiting) {
            waiting_.erase(lookup->place);
            lookup->state = HostnameLookup::State::ended;
            unused = std::move(lookup->done);
            if (waiting_.empty())
                changed_->notify_all();
        } else if (lookup->state == HostnameLookup::State::running && !std::exchange(lookup->abandoned, true)) {
            ++abandoned_;
            if (!waiting_.empty())
                startWorkers(1);
        }
    }

private:
    /// For a while no worker was started and none has taken up a lookup. REQUIRES: the lock, as all below
    /// unless they say so.
    bool stuck() const { return std::chrono::steady_clock::now() - lastProgress_ >= patience; }

    /// Says whether it could start any.
    bool startWorkers(std::size_t count) noexcept {
        const std::size_t before = workers_;
        while (count-- > 0 && workers_ < mostThreads && startThread([] { all().work(); }))
            ++workers_;
        if (workers_ == before)
            return false;
        lastProgress_ = std::chrono::steady_clock::now();
        return true;
    }

    Queue takeWaiting() {
        for (const auto& each : waiting_)
            each->state = HostnameLookup::State::ended;
        return std::exchange(waiting_, {});
    }

    /// Without the lock.
    void refuse(const Queue& refused) {
        if (refused.empty())
            return;
        std::size_t workers = 0;
        bool report = false;
        {
            const std::lock_guard lock(mutex_);
            workers = workers_;
            report = !std::exchange(reported_, true);
        }
        const std::string why = workers == 0
                                    ? "no thread could be started for the lookup"
                                    : "all " + std::to_string(workers) +
                                          " threads for lookups wait for names that are not answered";
        if (report) {
            static const Logger* const logger = new Logger("bine.net"); // never destroyed, as the threads live on
            logger->error("Lookups of names fail: " + why + ". Check the name servers of this computer.");
        }
        for (const auto& each : refused) {
            LookupAnswer answer;
            answer.error = why;
            answer.transient = true;
            std::exchange(each->done, nullptr)(std::move(answer));
        }
    }

    /// A worker's life. Without the lock, as watch().
    void work() {
        std::unique_lock lock(mutex_);
        while (!waiting_.empty()) {
            const auto lookup = std::move(waiting_.front());
            waiting_.pop_front();
            if (waiting_.empty())
                changed_->notify_all();
            lookup->state = HostnameLookup::State::running;
            lastProgress_ = std::chrono::steady_clock::now();
            lock.unlock();
            LookupAnswer answer = ask(lookup->name);
            lock.lock();
            lookup->state = HostnameLookup::State::ended;
            abandoned_ -= lookup->abandoned ? 1 : 0;
            reported_ = false;
            auto done = std::move(lookup->done);
            const bool wanted = !lookup->abandoned;
            lock.unlock();
            if (wanted)
                done(std::move(answer));
            done = nullptr;
            lock.lock();
        }
        --workers_;
    }

    /// Starts workers, or refuses, for as long as lookups wait and none is taken up.
    void watch() {
        std::unique_lock lock(mutex_);
        while (!changed_->wait_for(lock, patience, [this] { return waiting_.empty(); })) {
            if (!stuck())
                continue;
            if (startWorkers(waiting_.size()))
                continue;
            const Queue refused = takeWaiting();
            lock.unlock();
            refuse(refused);
            lock.lock();
        }
        watched_ = false;
    }

    // A child of fork() has none of the threads, and its parent looks up what waited. The condition variable has
    // waiters that are not there: the child takes a new one.
    static void lock(void* all) { static_cast<Lookups*>(all)->mutex_.lock(); }
    static void unlock(void* all) { static_cast<Lookups*>(all)->mutex_.unlock(); }
    static void forked(void* object) {
        auto& all = *static_cast<Lookups*>(object);
        all.workers_ = all.abandoned_ = 0;
        all.watched_ = all.reported_ = false;
        all.changed_ = new std::condition_variable;
        keepForever(std::make_shared<Queue>(all.takeWaiting()));
        unlock(object);
    }
    static constexpr AtFork::Functions kAtFork{&lock, &unlock, &forked};

    std::mutex mutex_;
    std::condition_variable* changed_ = new std::condition_variable; // waiting_ is empty
    Queue waiting_;
    std::size_t workers_ = 0;
    std::size_t abandoned_ = 0; // running lookups without a caller
    std::chrono::steady_clock::time_point lastProgress_{};
    bool watched_ = false;  // there is a watcher
    bool reported_ = false; // that lookups are refused; no worker has come back since
    AtFork atFork_{this, kAtFork};
};

} // namespace

std::shared_ptr<HostnameLookup> lookUpHostname(std::string name, Function<void(LookupAnswer)> done) {
    auto lookup = std::make_shared<HostnameLookup>(std::move(name), std::move(done));
    Lookups::all().add(lookup);
    return lookup;
}

void abandonLookup(const std::shared_ptr<HostnameLookup>& lookup) noexcept {
    Lookups::all().abandon(lookup);
}

} // namespace bine::inline v0::detail
