// FilesystemLock and DeferredFilesystemLock: one process at a time.

#include "defer/defer_testing.h"

#include <QtCore/QTemporaryDir>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "bine/defer/deferred_filesystem_lock.h"
#include "bine/reactors/manual_clock.h"

using namespace std::chrono_literals;
using bine::AbandonedError;
using bine::AlreadyTryingToLockError;
using bine::CancelledError;
using bine::Deferred;
using bine::DeferredFilesystemLock;
using bine::Failure;
using bine::FilesystemLock;
using bine::LockGuard;
using bine::ManualClock;
using bine::NotAcquiredError;
using bine::Resolver;
using bine::Result;
using bine::Scope;
using bine::TimeoutError;

namespace {

/// Another process that lives until this dies.
class OtherProcess {
public:
    OtherProcess() {
        int ends[2];
        if (::pipe(ends) != 0) qFatal("pipe");
        number_ = ::fork();
        if (number_ == 0) {
            ::close(ends[1]);
            char byte;
            [[maybe_unused]] const auto n = ::read(ends[0], &byte, 1);
            ::_exit(0);
        }
        ::close(ends[0]);
        end_ = ends[1];
    }
    ~OtherProcess() {
        ::close(end_);
        ::waitpid(number_, nullptr, 0);
    }
    pid_t number() const { return number_; }

private:
    pid_t number_;
    int end_;
};

/// The number of a process that is no more.
pid_t deadProcess() { return OtherProcess().number(); }

}  // namespace

class FilesystemLockTest : public QObject {
    Q_OBJECT
    NothingLogged log_;
    std::optional<QTemporaryDir> folder_;

    std::string name() const { return folder_->filePath("test.lock").toStdString(); }
    void lockFor(const std::string& target) { QCOMPARE(::symlink(target.c_str(), name().c_str()), 0); }
    void lockFor(pid_t process) { lockFor(std::to_string(process)); }
    std::string target() const {
        std::error_code error;
        return std::filesystem::read_symlink(name(), error).string();
    }

private slots:
    void init() { folder_.emplace(); }
    void cleanup() {
        log_.check();
        folder_.reset();
    }

    // --- FilesystemLock.

    void theLinkSaysWhoHoldsIt() {
        FilesystemLock lock(name());
        QVERIFY(!lock.locked());
        QCOMPARE(target(), std::string());
        QVERIFY(lock.lock());
        QVERIFY(lock.locked());
        QVERIFY(lock.clean());
        QCOMPARE(target(), std::to_string(::getpid()));
        lock.unlock();
        QVERIFY(!lock.locked());
        QCOMPARE(target(), std::string());
    }
    void itIsNotLockedTwice() {
        FilesystemLock lock(name()), other(name());
        QVERIFY(lock.lock());
        QVERIFY(!lock.lock());
        QVERIFY(!other.lock());
        QVERIFY(lock.locked());
        lock.unlock();
        QVERIFY(other.lock());
        QVERIFY(!lock.lock());
    }
    void aProcessThatLivesKeepsIt() {
        const OtherProcess other;
        lockFor(other.number());
        FilesystemLock lock(name());
        QVERIFY(!lock.lock());
        QCOMPARE(target(), std::to_string(other.number()));
    }
    void alsoOneThatWeMayNotSignal() {
        lockFor(1);
        FilesystemLock lock(name());
        QVERIFY(!lock.lock());
    }
    void whatADeadProcessLeftBehindIsBroken() {
        lockFor(deadProcess());
        FilesystemLock lock(name());
        QVERIFY(lock.lock());
        QVERIFY(!lock.clean());
        QCOMPARE(target(), std::to_string(::getpid()));
        lock.unlock();
        QVERIFY(lock.lock());
        QVERIFY(lock.clean());
    }
    void soIsWhatADeadProcessWithOurNumberLeftBehind() {
        // As in a container, where the first process has the same number each time.
        lockFor(::getpid());
        FilesystemLock lock(name());
        QVERIFY(lock.lock());
        QVERIFY(!lock.clean());
        FilesystemLock other(name());
        QVERIFY(!other.lock());
    }
    void unlockingWhatIsNotHeldIsRefused() {
        FilesystemLock lock(name());
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, lock.unlock());
        QVERIFY(lock.lock());
        lock.unlock();
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, lock.unlock());
    }
    void unlockingLeavesAnothersLockAlone() {
        FilesystemLock lock(name());
        QVERIFY(lock.lock());
        QCOMPARE(::unlink(name().c_str()), 0);
        const OtherProcess other;
        lockFor(other.number());
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, lock.unlock());
        QVERIFY(!lock.locked());
        QCOMPARE(target(), std::to_string(other.number()));
    }
    void itsDestructorUnlocks() {
        {
            FilesystemLock lock(name());
            QVERIFY(lock.lock());
        }
        QCOMPARE(target(), std::string());
    }
    void itsDestructorLogsWhatItCannotUnlock() {
        {
            FilesystemLock lock(name());
            QVERIFY(lock.lock());
            QCOMPARE(::unlink(name().c_str()), 0);
        }
        QCOMPARE(log_.recorder().flushErrors<NotAcquiredError>().size(), std::size_t(1));
    }
    void aForkedChildDoesNotUnlockForItsParent() {
        std::optional<FilesystemLock> lock(std::in_place, name());
        QVERIFY(lock->lock());
        const pid_t child = ::fork();
        if (child == 0) {
            bool refused = false;
            try {
                lock->unlock();
            } catch (const NotAcquiredError&) {
                refused = true;
            }
            const bool taken = lock->lock();
            lock.reset();
            ::_exit(refused && !taken && log_.recorder().empty() ? 0 : 1);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        QCOMPARE(status, 0);
        QCOMPARE(target(), std::to_string(::getpid()));
        lock->unlock();
    }
    void whatIsNoLockIsAnError_data() {
        QTest::addColumn<std::string>("target");
        QTest::newRow("a word") << std::string("elsewhere");
        QTest::newRow("a number and more") << std::string("12x");
        QTest::newRow("zero") << std::string("0");
        QTest::newRow("negative") << std::string("-1");
        QTest::newRow("too large") << std::string("99999999999999999999");
    }
    void whatIsNoLockIsAnError() {
        QFETCH(std::string, target);
        lockFor(target);
        FilesystemLock lock(name());
        QVERIFY_THROWS_EXCEPTION(std::system_error, lock.lock());
        QVERIFY(!lock.locked());
    }
    void aFileOfThatNameIsAnErrorAndSoIsAFolderThatIsMissing() {
        QFile file(folder_->filePath("test.lock"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        FilesystemLock lock(name()), elsewhere(name() + "/missing/x.lock");
        QVERIFY_THROWS_EXCEPTION(std::system_error, lock.lock());
        QVERIFY_THROWS_EXCEPTION(std::system_error, elsewhere.lock());
    }
    void isLockedLeavesNothingBehind() {
        QVERIFY(!FilesystemLock::isLocked(name()));
        QCOMPARE(target(), std::string());
        FilesystemLock lock(name());
        QVERIFY(lock.lock());
        QVERIFY(FilesystemLock::isLocked(name()));
        QVERIFY(lock.locked());
        lock.unlock();
        QVERIFY(!FilesystemLock::isLocked(name()));
    }
    void aRelativeNameIsOneInTheCurrentFolder() {
        const auto before = std::filesystem::current_path();
        std::filesystem::current_path(folder_->path().toStdString());
        lockFor(deadProcess());
        FilesystemLock lock("test.lock");
        const bool locked = lock.lock();
        if (locked) lock.unlock();
        std::filesystem::current_path(before);
        QVERIFY(locked);
    }
    void ofManyProcessesThatFindALeftoverOneGetsIt() {
        // Each takes the lock many times, and each time leaves it behind as if it had died.
        const std::string dead = std::to_string(deadProcess());
        const std::string inside = name() + ".inside";
        lockFor(dead);
        std::vector<pid_t> children;
        for (int i = 0; i < 4; ++i) {
            const pid_t child = ::fork();
            if (child != 0) {
                children.push_back(child);
                continue;
            }
            const std::string mine = name() + "." + std::to_string(i);
            for (int times = 0; times < 100;) {
                auto* const lock = new FilesystemLock(name());  // never unlocked
                if (!lock->lock()) {
                    delete lock;
                    continue;
                }
                if (::symlink("x", inside.c_str()) != 0) ::_exit(1);  // somebody else is inside
                if (++times % 4 == 0) ::sched_yield();
                if (::unlink(inside.c_str()) != 0) ::_exit(2);
                if (::symlink(dead.c_str(), mine.c_str()) != 0 || ::rename(mine.c_str(), name().c_str()) != 0) ::_exit(3);
            }
            ::_exit(0);
        }
        for (const pid_t child : children) {
            int status = -1;
            ::waitpid(child, &status, 0);
            QCOMPARE(WEXITSTATUS(status), 0);
        }
    }

    // --- DeferredFilesystemLock.

    void d086_aFreeLockIsTakenAtOnce() {
        ManualClock clock;
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked(1s);
        QCOMPARE(outcome(d), std::string("fired"));
        QVERIFY(lock.locked());
        QVERIFY(lock.clean());
        QCOMPARE(target(), std::to_string(::getpid()));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d086_elseItTriesEverySecond() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked();
        clock.advance(10s);
        QVERIFY(!d.called());
        other.unlock();
        clock.advance(999ms);
        QVERIFY(!d.called());
        clock.advance(1ms);
        QCOMPARE(outcome(d), std::string("fired"));
        QVERIFY(lock.locked());
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d086_untilTheTimeLimit() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked(5500ms);
        clock.advance(5499ms);
        QVERIFY(!d.called());
        clock.advance(1ms);
        bine::Duration waited{};
        std::string text;
        d.addErrback([&](Failure failure) {
            waited = failure.trap<TimeoutError>().duration();
            text = failure.getErrorMessage();
        });
        QVERIFY(waited == 5500ms);
        QVERIFY2(text.find("test.lock") != std::string::npos, text.c_str());
        QVERIFY(clock.getDelayedCalls().empty());
        QVERIFY(!lock.locked());
    }
    void d086_whenTheTimeIsUpItTriesOnceMore() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked(5500ms);
        clock.advance(5200ms);
        other.unlock();
        clock.advance(300ms);
        QCOMPARE(outcome(d), std::string("fired"));
        QVERIFY(lock.locked());
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d086_itRefusesToBeTriedTwiceAtOnce() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        auto first = lock.deferUntilLocked();
        auto second = lock.deferUntilLocked();
        QCOMPARE(outcome(second), std::string("bine::AlreadyTryingToLockError"));
        other.unlock();
        clock.advance(1s);
        QCOMPARE(outcome(first), std::string("fired"));
    }
    void d086_itWorksAgainAfterRelease() {
        ManualClock clock;
        DeferredFilesystemLock lock(clock, name());
        for (int i = 0; i < 3; ++i) {
            auto d = lock.deferUntilLocked();
            QCOMPARE(outcome(d), std::string("fired"));
            lock.unlock();
            QVERIFY(!lock.locked());
            QCOMPARE(target(), std::string());
        }
        QVERIFY_THROWS_EXCEPTION(NotAcquiredError, lock.unlock());
    }
    void d086_heldByItselfItWaitsForItsOwnRelease() {
        ManualClock clock;
        DeferredFilesystemLock lock(clock, name());
        auto first = lock.deferUntilLocked();
        auto second = lock.deferUntilLocked();
        clock.advance(3s);
        QVERIFY(!second.called());
        lock.unlock();
        clock.advance(1s);
        QCOMPARE(outcome(second), std::string("fired"));
    }
    void d086_cancelEndsItsTimers() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked(10s);
        clock.advance(3s);
        d.cancel();
        QCOMPARE(outcome(d), std::string("bine::CancelledError"));
        QVERIFY(clock.getDelayedCalls().empty());
        auto again = lock.deferUntilLocked(10s);
        QVERIFY(!again.called());
        again.addErrback([](Failure) {});
    }
    void d086_whenItIsCancelledItTriesOnceMore() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked();
        other.unlock();
        d.cancel();
        QCOMPARE(outcome(d), std::string("fired"));
        QVERIFY(lock.locked());
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d086_theLastAttemptForOneWhoseOwnerDiedIsUndone() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        DeferredFilesystemLock lock(clock, name());
        bool told = false;
        {
            Scope scope;
            lock.deferUntilLocked().ownedBy(scope).addBoth([&](Result<>) { told = true; });
            other.unlock();
        }
        QVERIFY(!told);
        QVERIFY(!lock.locked());
        QCOMPARE(target(), std::string());
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d086_aLeftoverIsTakenAndSaidSo() {
        ManualClock clock;
        std::optional<OtherProcess> other(std::in_place);
        lockFor(other->number());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked();
        clock.advance(2s);
        QVERIFY(!d.called());
        other.reset();
        clock.advance(1s);
        QCOMPARE(outcome(d), std::string("fired"));
        QVERIFY(!lock.clean());
    }
    void d086_whatIsNoLockFails() {
        ManualClock clock;
        lockFor("elsewhere");
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked();
        QCOMPARE(outcome(d), std::string("std::system_error"));
    }
    void d086_alsoIfItBecomesSoLater() {
        ManualClock clock;
        const OtherProcess other;
        lockFor(other.number());
        DeferredFilesystemLock lock(clock, name());
        auto d = lock.deferUntilLocked(10s);
        QCOMPARE(::unlink(name().c_str()), 0);
        lockFor("elsewhere");
        clock.advance(1s);
        QCOMPARE(outcome(d), std::string("std::system_error"));
        QVERIFY(clock.getDelayedCalls().empty());
    }
    void d086_aNegativeTimeLimitIsRefused() {
        ManualClock clock;
        DeferredFilesystemLock lock(clock, name());
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, lock.deferUntilLocked(-1s));
        QVERIFY(!lock.locked());
    }
    void d083_theScopedFormUnlocks() {
        ManualClock clock;
        DeferredFilesystemLock lock(clock, name());
        bool lockedInside = false;
        const auto work = [&]() -> Deferred<> {
            auto guard = co_await lock.scoped(1s);
            lockedInside = lock.locked();
            throw oops();
        };
        auto d = work();
        QVERIFY(lockedInside);
        QVERIFY(!lock.locked());
        QCOMPARE(target(), std::string());
        QCOMPARE(outcome(d), std::string("std::runtime_error"));
    }
    void d083_aGuardMayOutliveItsLock() {
        ManualClock clock;
        LockGuard guard;
        {
            DeferredFilesystemLock lock(clock, name());
            lock.scoped().addCallback([&](LockGuard given) { guard = std::move(given); });
            QCOMPARE(target(), std::to_string(::getpid()));
        }
        QCOMPARE(target(), std::string());
        guard.release();
    }
    void itsEndUnlocksAndAbandonsWhoWaits() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        std::optional<DeferredFilesystemLock> lock(std::in_place, clock, name());
        auto d = lock->deferUntilLocked(10s);
        lock.reset();
        QCOMPARE(outcome(d), std::string("bine::AbandonedError"));
        QVERIFY(clock.getDelayedCalls().empty());
        QVERIFY(other.locked());
    }
    void itMayBeDestroyedByWhatItFires() {
        ManualClock clock;
        FilesystemLock other(name());
        QVERIFY(other.lock());
        auto lock = std::make_unique<DeferredFilesystemLock>(clock, name());
        lock->deferUntilLocked().addCallback([&] { lock.reset(); });
        other.unlock();
        clock.advance(1s);
        QVERIFY(!lock);
        QCOMPARE(target(), std::string());
    }
};

QTEST_GUILESS_MAIN(FilesystemLockTest)
#include "filesystem_lock_test.moc"
