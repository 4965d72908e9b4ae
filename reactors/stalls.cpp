#include "bine/reactors/stalls.h"

#include <cxxabi.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "bine/log/log.h"
#include "bine/log/place.h"
#include "bine/reactors/fork.h"

namespace bine::inline v0::detail {
namespace {

std::string typeText(const char* mangled) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
    return status == 0 && text ? text.get() : mangled;
}

std::string place(const CallbackName& what) { return std::string(what.name) + ":" + std::to_string(what.number); }

long long milliseconds(Duration duration) { return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(); }

}  // namespace

std::string CallbackName::text() const {
    switch (kind) {
        case Kind::none: return {};
        case Kind::delayedCall: return isInternalFile(name) ? "a timer of the library" : "callLater() at " + place(*this);
        case Kind::threadCall: return "callFromThread()";
        case Kind::connection: return typeText(name) + "," + (number == 0 ? "client" : std::to_string(number));
        case Kind::connecting: return isInternalFile(name) ? "connecting" : "connecting, asked for at " + place(*this);
        case Kind::port: return "port " + std::to_string(number);
        case Kind::descriptor: return typeText(name) + ", descriptor " + std::to_string(number);
        case Kind::next: return "what a connection left for the next turn";
        case Kind::startup: return "startup";
        case Kind::shutdown: return "shutdown";
    }
    return {};
}

// --- The meter, where a callback runs a nested loop.

void CallbackMeter::nestedTurn(TimePoint now) {
    if (!waiting_) note(now);
    waiting_ = false;
    if (watchdog_) watchdog_->publish(current_, now);
}

void CallbackMeter::nestedWait() {
    const TimePoint now = std::chrono::steady_clock::now();
    note(now);
    waiting_ = true;
    if (watchdog_) watchdog_->publish({}, now);
}

void CallbackMeter::nestedWake() {
    since_ = std::chrono::steady_clock::now();
    waiting_ = false;
    if (watchdog_) watchdog_->publish(current_, since_);
}

void CallbackMeter::watch(Duration limit) {
    watchdog_.reset();
    watchdog_ = std::make_unique<StallWatchdog>(limit);
    if (current_ && !waiting_) watchdog_->publish(current_, std::chrono::steady_clock::now());
}

// --- The watchdog

// What both threads see. The reactor's thread writes the state as a sequence lock does: an odd number while it writes. The release of each field orders the
// odd number before it, and the acquire of each field orders the second look after it.
class StallWatchdog::Shared {
public:
    explicit Shared(Duration limit) : limit_(limit) {}

    void publish(const CallbackName& what, TimePoint since);
    static void run(const std::shared_ptr<Shared>& shared);
    /// In a child of fork(): there is no such thread, and its lock may be taken.
    bool inherited() const noexcept { return forkGeneration() != process_; }
    /// False if the thread is somewhere in a log observer.
    bool stop();

private:
    struct State {
        std::uint64_t sequence;
        CallbackName what;
        TimePoint since;
    };
    State state() const;
    void look(std::unique_lock<std::mutex>& lock);
    void waitForChange(std::unique_lock<std::mutex>& lock, std::uint64_t sequence);
    void tell(std::unique_lock<std::mutex>& lock, const std::string& what, const CallbackName& name, Duration lasted);

    const Duration limit_;
    const unsigned process_ = forkGeneration();

    std::atomic<std::uint64_t> sequence_{0};
    std::atomic<CallbackName::Kind> kind_{CallbackName::Kind::none};
    std::atomic<std::uint32_t> number_{0};
    std::atomic<const char*> name_{nullptr};
    std::atomic<Duration::rep> since_{0};
    std::atomic<Duration::rep> lastStall_{0};  // how long it was
    std::atomic<bool> asleep_{false};          // until the state changes

    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t seen_ = 0;
    bool stopping_ = false;
    bool over_ = false;
};

void StallWatchdog::Shared::publish(const CallbackName& what, TimePoint since) {
    const Duration::rep now = since.time_since_epoch().count();
    const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    const Duration::rep lasted = now - since_.load(std::memory_order_relaxed);
    if (kind_.load(std::memory_order_relaxed) != CallbackName::Kind::none && lasted >= limit_.count()) [[unlikely]]
        lastStall_.store(lasted, std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    kind_.store(what.kind, std::memory_order_release);
    number_.store(what.number, std::memory_order_release);
    name_.store(what.name, std::memory_order_release);
    since_.store(now, std::memory_order_release);
    // With asleep_ in one order: either this thread sees that the other sleeps, or that one sees the change before it does.
    sequence_.store(sequence + 2);
    if (!asleep_.load()) [[likely]]
        return;
    if (inherited()) return;
    const std::lock_guard lock(mutex_);
    asleep_.store(false);
    changed_.notify_all();
}

StallWatchdog::Shared::State StallWatchdog::Shared::state() const {
    for (;; std::this_thread::yield()) {
        State state{};
        state.sequence = sequence_.load();
        if (state.sequence % 2 != 0) continue;
        state.what.kind = kind_.load(std::memory_order_acquire);
        state.what.number = number_.load(std::memory_order_acquire);
        state.what.name = name_.load(std::memory_order_acquire);
        state.since = TimePoint(Duration(since_.load(std::memory_order_acquire)));
        if (sequence_.load() == state.sequence) return state;
    }
}

void StallWatchdog::Shared::waitForChange(std::unique_lock<std::mutex>& lock, std::uint64_t sequence) {
    asleep_.store(true);
    changed_.wait(lock, [&] { return stopping_ || sequence_.load() != sequence; });
    asleep_.store(false);
}

void StallWatchdog::Shared::tell(std::unique_lock<std::mutex>& lock, const std::string& what, const CallbackName& name, Duration lasted) {
    lock.unlock();
    Logger("bine.reactor").warn(what, {{"callback", name.text()}, {"milliseconds", milliseconds(lasted)}});
    lock.lock();
}

void StallWatchdog::Shared::look(std::unique_lock<std::mutex>& lock) {
    const State now = state();
    if (!now.what) {
        // Busy loops have a callback again and again: the thread sleeps for good only when there was none for a while.
        if (now.sequence == seen_) return waitForChange(lock, seen_);
        seen_ = now.sequence;
        changed_.wait_for(lock, limit_, [&] { return stopping_; });
        return;
    }
    const Duration lasted = std::chrono::steady_clock::now() - now.since;
    if (lasted < limit_) {
        changed_.wait_until(lock, now.since + limit_, [&] { return stopping_; });
        return;
    }
    const std::string name = now.what.text();
    tell(lock, name + " has been holding the event loop for " + std::to_string(milliseconds(lasted)) + " ms", now.what, lasted);
    waitForChange(lock, now.sequence);
    if (sequence_.load() == now.sequence) return;
    const Duration whole(lastStall_.load());
    tell(lock, name + " has let go of the event loop after " + std::to_string(milliseconds(whole)) + " ms", now.what, whole);
}

void StallWatchdog::Shared::run(const std::shared_ptr<Shared>& shared) {
    pthread_setname_np(pthread_self(), "bine stalls");
    std::unique_lock lock(shared->mutex_);
    while (!shared->stopping_) shared->look(lock);
    shared->over_ = true;
    shared->changed_.notify_all();
}

bool StallWatchdog::Shared::stop() {
    constexpr std::chrono::milliseconds kPatience{100};
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    return changed_.wait_for(lock, kPatience, [this] { return over_; });
}

StallWatchdog::StallWatchdog(Duration limit) : shared_(std::make_shared<Shared>(limit)) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        thread_ = std::thread([shared = shared_] { Shared::run(shared); });
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StallWatchdog::~StallWatchdog() {
    if (shared_->inherited()) {
        keepForever(shared_);
        keepForever(std::make_shared<std::thread>(std::move(thread_)));
    } else if (shared_->stop()) {
        thread_.join();
    } else {
        thread_.detach();
    }
}

void StallWatchdog::publish(const CallbackName& what, TimePoint since) { shared_->publish(what, since); }

}  // namespace bine::inline v0::detail
