#pragma once
// OwnerHome: the owners of one thread that can die on another thread, as a QObject and a GObject can. Internal.
//
// What such an owner owns belongs to the thread that said ownedBy(), its home, and can end only there. A death at home ends it at once. A death elsewhere
// is noted under a lock, raises a flag of the home thread, and wakes its loops. The home thread carries it out before the next callback of anything that
// has an owner (each such place calls endDeadOwners()), in its loop's next turn, or when the thread ends, whichever comes first. Cost: one look at a flag
// per callback; a look-up in a hash per ownedBy().

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "bine/defer/owner.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

class OwnerHome;
struct ThreadMemory;

/// One owner, as its home knows it. Kept by the home and by the object's notice of its death.
class BINE_EXPORT OwnerEntry final : public std::enable_shared_from_this<OwnerEntry> {
public:
    OwnerEntry(std::shared_ptr<OwnerHome> home, const void* object);

    /// Home thread.
    OwnerHook& hook() noexcept { return hook_; }
    /// Any thread, once: the object dies. At home, all that it owns has ended when this returns.
    void objectDied() noexcept;
    /// Any thread.
    bool isHere() const noexcept;
    /// Any thread: what it owned has ended with the home thread.
    bool homeEnded() const noexcept;

private:
    friend class OwnerHome;
    void end() noexcept;

    OwnerHook hook_;
    const std::shared_ptr<OwnerHome> home_;
    const void* const object_;
    std::atomic<bool> dead_{false};
};

class BINE_EXPORT OwnerHome final : public std::enable_shared_from_this<OwnerHome> {
public:
    /// How a loop of the home thread is told that there is something to carry out: a later turn is to call endDeadOwners().
    class BINE_EXPORT Waker {
    public:
        virtual ~Waker();
        /// Any thread; under a lock, so it does nothing but leave the message.
        virtual void ownersDied() noexcept = 0;
    };

    /// This thread's.
    static const std::shared_ptr<OwnerHome>& ofThisThread();

    OwnerHome(const OwnerHome&) = delete;
    OwnerHome& operator=(const OwnerHome&) = delete;
    ~OwnerHome();

    // --- Home thread.

    /// Null if the object, which lives, is no owner yet.
    OwnerEntry* find(const void* object) noexcept;
    /// REQUIRES: find(object) is null.
    std::shared_ptr<OwnerEntry> add(const void* object);
    /// Destroyed with the home.
    void keepWaker(std::unique_ptr<Waker> waker);
    void addWaker(Waker& waker);
    /// Any thread.
    void removeWaker(Waker& waker) noexcept;

private:
    friend class OwnerEntry;
    friend void endDeadOwners() noexcept;
    struct Ender;

    explicit OwnerHome(ThreadMemory* memory) noexcept;
    void diedElsewhere(std::shared_ptr<OwnerEntry> entry);
    void collectDead() noexcept;
    std::shared_ptr<OwnerEntry> takeDead() noexcept;
    void carryOut() noexcept;
    void forget(const OwnerEntry& entry) noexcept;
    void threadEnds() noexcept;

    mutable std::mutex mutex_;
    ThreadMemory* memory_;                            // guarded by mutex_; null once the thread ends
    std::vector<std::shared_ptr<OwnerEntry>> died_;   // guarded by mutex_; the home thread has not seen these
    std::vector<Waker*> wakers_;                      // guarded by mutex_
    std::vector<std::shared_ptr<OwnerEntry>> ending_; // home thread, as the rest; the next one last
    std::unordered_map<const void*, std::shared_ptr<OwnerEntry>> entries_;
    std::vector<std::unique_ptr<Waker>> kept_;
};

}  // namespace bine::inline v0::detail
