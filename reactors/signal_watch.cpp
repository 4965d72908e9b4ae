#include "bine/reactors/signal_watch.h"

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "bine/reactors/fork.h"
#include "bine/reactors/mailbox.h"
#include "bine/reactors/signals.h"

namespace bine::inline v0 {
namespace detail {
namespace {

// What the handler reads. A frame of it that is in flight, on any thread, is counted: what it may hold is released when there is none.
std::atomic<SignalWatch*> current{nullptr};
std::atomic<int> inFlight{0};
std::atomic<pid_t> process{0};
static_assert(std::atomic<SignalWatch*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// The few instructions of a handler: no thread is waited for that waits for us.
void untilNoneIsInFlight() {
    while (inFlight.load() > 0) std::this_thread::yield();
}

struct Taken {
    bool ours = false;                              // guarded by the table's mutex
    struct sigaction old{};                         // guarded by the table's mutex: what stands there at the end
    std::atomic<const struct sigaction*> chained{nullptr};  // somebody's handler that replaced ours meanwhile
    std::atomic<pid_t> chaining{0};                         // the thread that is in it: it may call whom it replaced
};

Taken& taken(int number) {
    static constinit Taken interrupt;
    static constinit Taken terminate;
    return number == SIGINT ? interrupt : terminate;
}

// Whatever the flags say: SA_RESETHAND leaves those of the handler that was there.
bool isDefault(const struct sigaction& action) { return action.sa_handler == SIG_DFL; }
bool isIgnored(const struct sigaction& action) { return action.sa_handler == SIG_IGN; }

// Async-signal-safe.
void dieOf(int number) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, number);
    signal(number, SIG_DFL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

}  // namespace

/// The watches, and what they have taken from the process.
struct SignalTable {
    static void handler(int number, siginfo_t* info, void* context);
    static bool isOurs(const struct sigaction& action) { return (action.sa_flags & SA_SIGINFO) && action.sa_sigaction == &handler; }

    void push(SignalWatch& watch);
    void remove(SignalWatch& watch);
    void lookAgain(SignalWatch& watch);

    std::mutex mutex;
    SignalWatch* youngest = nullptr;

private:
    // A child of fork() has none of the parent's watches; the handler, which it has too, then does what the default does.
    static void forked(void* table) {
        current.store(nullptr);
        inFlight.store(0);
        static_cast<SignalTable*>(table)->youngest = nullptr;
        unlock(table);
    }
    static void lock(void* table) { static_cast<SignalTable*>(table)->mutex.lock(); }
    static void unlock(void* table) { static_cast<SignalTable*>(table)->mutex.unlock(); }
    static constexpr AtFork::Functions kAtFork{&lock, &unlock, &forked};
    AtFork atFork_{this, kAtFork};

    static void callTheirs(const struct sigaction& theirs, int number, siginfo_t* info, void* context);
    static void install(int number);
    static void chain(Taken& taken, const struct sigaction* theirs);
    void takeDefaults();
    void giveBack();
};

namespace {

SignalTable& table() {
    static auto* table = new SignalTable;  // a reactor may die in anybody's destructor
    return *table;
}

}  // namespace

void SignalTable::callTheirs(const struct sigaction& theirs, int number, siginfo_t* info, void* context) {
    std::atomic<pid_t>& chaining = taken(number).chaining;
    if (isDefault(theirs) || chaining.load() == gettid()) return;
    chaining.store(gettid());
    if (theirs.sa_flags & SA_SIGINFO)
        theirs.sa_sigaction(number, info, context);
    else
        theirs.sa_handler(number);
    chaining.store(0);
}

void SignalTable::handler(int number, siginfo_t* info, void* context) {
    const int error = errno;
    if (getpid() != process.load()) {
        dieOf(number);  // a fork that has not come to its exec(), and shares our descriptors: the signal is not meant for the reactor
        errno = error;
        return;
    }
    struct sigaction theirs{};
    inFlight.fetch_add(1);
    if (const struct sigaction* chained = taken(number).chained.load()) theirs = *chained;
    if (SignalWatch* watch = current.load()) {
        int none = 0;
        watch->number_.compare_exchange_strong(none, number);
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(watch->mailbox_->fd(), &one, sizeof one);
    }
    inFlight.fetch_sub(1);
    callTheirs(theirs, number, info, context);
    errno = error;
}

void SignalTable::install(int number) {
    struct sigaction action{};
    action.sa_sigaction = &handler;
    sigemptyset(&action.sa_mask);
    // The first SIGINT asks, the second has its default effect: also when the loop hangs.
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | (number == SIGINT ? static_cast<int>(SA_RESETHAND) : 0);
    sigaction(number, &action, nullptr);
}

void SignalTable::chain(Taken& taken, const struct sigaction* theirs) {
    const struct sigaction* before = taken.chained.exchange(theirs);
    if (!before) return;
    untilNoneIsInFlight();
    delete before;
}

void SignalTable::takeDefaults() {
    process.store(getpid());
    for (const int number : {SIGINT, SIGTERM}) {
        Taken& it = taken(number);
        struct sigaction now{};
        sigaction(number, nullptr, &now);
        if (!isDefault(now)) continue;
        if (!std::exchange(it.ours, true)) it.old = now;
        install(number);
    }
}

void SignalTable::giveBack() {
    for (const int number : {SIGINT, SIGTERM}) {
        Taken& it = taken(number);
        if (!std::exchange(it.ours, false)) continue;
        struct sigaction now{};
        sigaction(number, nullptr, &now);
        // After the first SIGINT the default is there, in whose place there may have been a toolkit's handler; and what others have put there since, stays.
        if (isOurs(now) || (isDefault(now) && it.chained.load())) sigaction(number, &it.old, nullptr);
        chain(it, nullptr);
    }
}

void SignalTable::push(SignalWatch& watch) {
    const std::lock_guard lock(mutex);
    watch.below_ = std::exchange(youngest, &watch);
    current.store(&watch);
    takeDefaults();
}

void SignalTable::remove(SignalWatch& watch) {
    const std::lock_guard lock(mutex);
    SignalWatch** at = &youngest;
    while (*at != &watch) at = &(*at)->below_;
    *at = watch.below_;
    if (!youngest) giveBack();
    current.store(youngest);
    untilNoneIsInFlight();
    if (youngest && !youngest->came_) takeDefaults();  // a SIGINT for the younger one has put the default there
}

void SignalTable::lookAgain(SignalWatch& watch) {
    const std::lock_guard lock(mutex);
    if (youngest != &watch || watch.came_ || watch.waits()) return;
    for (const int number : {SIGINT, SIGTERM}) {
        Taken& it = taken(number);
        struct sigaction now{};
        if (!it.ours || sigaction(number, nullptr, &now) != 0 || isOurs(now)) continue;
        it.old = now;
        chain(it, isDefault(now) || isIgnored(now) ? nullptr : new struct sigaction(now));
        install(number);
    }
}

SignalWatch::SignalWatch(std::shared_ptr<Mailbox> mailbox) : mailbox_(std::move(mailbox)) { table().push(*this); }

SignalWatch::~SignalWatch() {
    if (forkGeneration() != process_) return;
    table().remove(*this);
    if (waits()) mailbox_->wake();
}

int SignalWatch::take() {
    const int number = number_.exchange(0);
    if (number == 0) return 0;
    {
        const std::lock_guard lock(table().mutex);
        came_ = true;
    }
    untilNoneIsInFlight();
    mailbox_->wake();  // the handler has written to it without a lock, and so without a note
    return number;
}

void SignalWatch::lookAgain() { table().lookAgain(*this); }

const char* signalName(int number) noexcept { return number == SIGINT ? "SIGINT" : "SIGTERM"; }

}  // namespace detail

void exitWithSignal(int number) {
    std::fflush(nullptr);
    detail::dieOf(number);
    _exit(128 + number);
}

}  // namespace bine::inline v0
