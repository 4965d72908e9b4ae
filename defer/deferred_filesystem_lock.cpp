#include "bine/defer/deferred_filesystem_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <system_error>

#include "bine/log/log.h"

namespace bine::inline v0 {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void throwErrno(int error, const std::string& what) { throw std::system_error(error, std::generic_category(), what); }

/// Where the link points; empty if there is none.
std::string targetOf(const std::string& name) {
    char target[64];
    const ssize_t size = ::readlink(name.c_str(), target, sizeof target);
    if (size >= 0) return std::string(target, static_cast<std::size_t>(size));
    if (errno == ENOENT) return {};
    throwErrno(errno, "the lock " + name);
}

/// The process that a lock points at. Nothing else is a lock.
pid_t processAt(const std::string& name, const std::string& target) {
    pid_t process = 0;
    const auto [end, error] = std::from_chars(target.data(), target.data() + target.size(), process);
    if (error != std::errc() || end != target.data() + target.size() || process <= 0) throwErrno(EINVAL, name + " is no lock: it points at '" + target + "'");
    return process;
}

/// The links that this process has made. One with our number that is not among them is older than we are: the numbers of processes come again, in a container
/// at each start. Never destroyed: locks may be static.
class OwnLinks {
public:
    static OwnLinks& instance() {
        static OwnLinks& links = *new OwnLinks;
        return links;
    }
    /// symlink(), and if that succeeds remembers the link. Under the lock, lest another thread see one without the other.
    int make(const std::string& target, const std::string& name) {
        const std::lock_guard lock(mutex_);
        if (::symlink(target.c_str(), name.c_str()) != 0) return errno;
        if (const auto key = keyOf(name)) links_.insert(*key);
        return 0;
    }
    int remove(const std::string& name) {
        const std::lock_guard lock(mutex_);
        const auto key = keyOf(name);
        if (::unlink(name.c_str()) != 0) return errno;
        if (key) links_.erase(*key);
        return 0;
    }
    bool contains(const std::string& name) {
        const std::lock_guard lock(mutex_);
        const auto key = keyOf(name);
        return key && links_.contains(*key);
    }

private:
    using Key = std::pair<dev_t, ino_t>;
    static std::optional<Key> keyOf(const std::string& name) {
        struct stat status;
        if (::lstat(name.c_str(), &status) != 0) return {};
        return Key(status.st_dev, status.st_ino);
    }

    std::mutex mutex_;
    std::set<Key> links_;
};

/// The folder of the lock, for the time in which one looks at a leftover and removes it.
class FolderLock {
public:
    explicit FolderLock(const std::string& name) {
        const auto slash = name.rfind('/');
        const std::string folder = slash == std::string::npos ? "." : name.substr(0, slash + 1);
        descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        // Where folders cannot be locked, at least nothing gets worse.
        busy_ = descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    }
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;
    ~FolderLock() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    bool busy() const { return busy_; }

private:
    int descriptor_;
    bool busy_;
};

void logNotUnlocked(const std::string& name) noexcept {
    static const Logger& log = *new Logger("bine.lock");
    log.failure(std::current_exception(), "The lock " + name + " could not be removed", LogLevel::error);
}

}  // namespace

FilesystemLock::~FilesystemLock() {
    if (!locked_ || process_ != ::getpid()) return;  // a forked child leaves its parent's lock alone
    try {
        unlock();
    } catch (...) {
        logNotUnlocked(name_);
    }
}

bool FilesystemLock::lock() {
    bool clean = true;
    // Each further round begins with somebody else's change to the link.
    for (int round = 0; round < 100; ++round) {
        const int error = OwnLinks::instance().make(std::to_string(::getpid()), name_);
        if (error == 0) {
            locked_ = true;
            clean_ = clean;
            process_ = ::getpid();
            return true;
        }
        if (error != EEXIST) throwErrno(error, "the lock " + name_);
        const Finding finding = look();
        if (finding == Finding::held) return false;
        if (finding == Finding::leftBehind) {
            if (!removeLeftover()) return false;
            clean = false;
        }
    }
    return false;
}

FilesystemLock::Finding FilesystemLock::look() const {
    const std::string target = targetOf(name_);
    if (target.empty()) return Finding::free;
    const pid_t process = processAt(name_, target);
    if (process == ::getpid()) return OwnLinks::instance().contains(name_) ? Finding::held : Finding::leftBehind;
    return ::kill(process, 0) != 0 && errno == ESRCH ? Finding::leftBehind : Finding::held;
}

// Two processes may find the same leftover. The second would remove what the first has made in its place; so only who holds the folder removes anything, and
// looks once more before. False if somebody else is at it.
bool FilesystemLock::removeLeftover() const {
    const FolderLock folder(name_);
    if (folder.busy()) return false;
    if (look() != Finding::leftBehind) return true;  // the next attempt will tell
    if (::unlink(name_.c_str()) != 0 && errno != ENOENT) throwErrno(errno, "the lock " + name_ + ", left behind by a dead process");
    return true;
}

void FilesystemLock::unlock() {
    if (!locked_ || process_ != ::getpid()) throw NotAcquiredError("the lock " + name_ + " is not held");
    locked_ = false;
    if (targetOf(name_) != std::to_string(process_)) throw NotAcquiredError("the lock " + name_ + " is not held any more: somebody has replaced it");
    if (const int error = OwnLinks::instance().remove(name_)) throwErrno(error, "the lock " + name_);
}

bool FilesystemLock::isLocked(std::string name) {
    FilesystemLock probe(std::move(name));
    return !probe.lock();
}

/// Kept by its lock, and by guards.
class DeferredFilesystemLock::State final : public detail::Holdable, public std::enable_shared_from_this<State> {
public:
    State(Clock& clock, std::string name) : clock_(clock), file_(std::move(name)) {}

    Deferred<LockGuard> acquire(std::optional<Delay> timeout, std::source_location where);
    void close() noexcept;
    FilesystemLock& file() noexcept { return file_; }

private:
    static constexpr Duration interval = 1s;

    void giveBack() noexcept override;
    std::optional<Result<LockGuard>> attempt();
    void waitForNextAttempt();
    void attemptAgain();
    void timeOut(Duration timeout);
    void cancelled();
    Resolver<LockGuard> endWaiting();

    Clock& clock_;
    FilesystemLock file_;
    std::optional<Resolver<LockGuard>> answer_;  // while somebody waits
    std::source_location where_;
    DelayedCall again_;
    DelayedCall deadline_;
};

Deferred<LockGuard> DeferredFilesystemLock::State::acquire(std::optional<Delay> timeout, std::source_location where) {
    if (timeout && timeout->value() < Duration::zero()) throw std::invalid_argument("DeferredFilesystemLock: the timeout is negative");
    if (answer_) return fail<LockGuard>(AlreadyTryingToLockError("the lock " + file_.name() + " is being waited for already"), where);
    if (auto result = attempt()) {
        if (result->isFailure()) return fail<LockGuard>(result->failure(), where);
        return succeed(*std::move(*result));
    }
    where_ = where;
    answer_.emplace([this] { cancelled(); });
    Deferred<LockGuard> deferred = answer_->deferred(where);
    if (timeout) deadline_ = clock_.callLater(*timeout, [this, timeout = timeout->value()] { timeOut(timeout); });
    waitForNextAttempt();
    return deferred;
}

/// Empty if somebody else has it.
std::optional<Result<LockGuard>> DeferredFilesystemLock::State::attempt() {
    try {
        if (!file_.lock()) return std::nullopt;
    } catch (...) {
        return Result<LockGuard>(detail::caughtFailure());
    }
    return Result<LockGuard>(LockGuard(shared_from_this()));
}

void DeferredFilesystemLock::State::waitForNextAttempt() {
    again_ = clock_.callLater(Delay(interval, where_), [this] { attemptAgain(); });
}

void DeferredFilesystemLock::State::attemptAgain() {
    if (auto result = attempt())
        endWaiting().callback(*std::move(result));
    else
        waitForNextAttempt();
}

void DeferredFilesystemLock::State::timeOut(Duration timeout) {
    if (auto result = attempt())
        endWaiting().callback(*std::move(result));
    else
        endWaiting().errback(TimeoutError("somebody else holds the lock " + file_.name(), timeout));
}

// If its owner died, the guard comes back from a chain that does not run any more.
void DeferredFilesystemLock::State::cancelled() {
    auto result = attempt();
    auto answer = endWaiting();
    if (result) answer.callback(*std::move(result));
}

Resolver<LockGuard> DeferredFilesystemLock::State::endWaiting() {
    again_.cancel();
    deadline_.cancel();
    return *std::exchange(answer_, std::nullopt);
}

void DeferredFilesystemLock::State::giveBack() noexcept {
    if (!file_.locked()) return;
    try {
        file_.unlock();
    } catch (...) {
        logNotUnlocked(file_.name());
    }
}

void DeferredFilesystemLock::State::close() noexcept {
    giveBack();
    if (answer_) const auto abandoned = endWaiting();
}

DeferredFilesystemLock::DeferredFilesystemLock(Clock& clock, std::string name) : state_(std::make_shared<State>(clock, std::move(name))) {}
DeferredFilesystemLock::~DeferredFilesystemLock() { state_->close(); }

Deferred<LockGuard> DeferredFilesystemLock::scoped(std::source_location where) { return state_->acquire(std::nullopt, where); }
Deferred<LockGuard> DeferredFilesystemLock::scoped(Delay timeout) { return state_->acquire(timeout, timeout.where()); }

Deferred<> DeferredFilesystemLock::deferUntilLocked(std::source_location where) {
    return scoped(where).addCallback([](LockGuard guard) { guard.leave(); });
}
Deferred<> DeferredFilesystemLock::deferUntilLocked(Delay timeout) {
    return scoped(timeout).addCallback([](LockGuard guard) { guard.leave(); });
}

void DeferredFilesystemLock::unlock() { state_->file().unlock(); }
const std::string& DeferredFilesystemLock::name() const noexcept { return state_->file().name(); }
bool DeferredFilesystemLock::locked() const noexcept { return state_->file().locked(); }
bool DeferredFilesystemLock::clean() const noexcept { return state_->file().clean(); }

}  // namespace bine::inline v0
