#include "bine/defer/owner_home.h"

#include <iterator>
#include <utility>

#include "bine/defer/pool.h"

namespace bine::inline v0::detail {
namespace {

std::shared_ptr<OwnerHome>*& homeOfThread() noexcept {
    static thread_local constinit std::shared_ptr<OwnerHome>* home = nullptr;  // survives the thread's destructors
    return home;
}

}  // namespace

// --- One owner

OwnerEntry::OwnerEntry(std::shared_ptr<OwnerHome> home, const void* object) : home_(std::move(home)), object_(object) {}

bool OwnerEntry::isHere() const noexcept {
    const auto* const here = homeOfThread();
    return here && *here == home_;
}

bool OwnerEntry::homeEnded() const noexcept {
    const std::lock_guard lock(home_->mutex_);
    return !home_->memory_;
}

void OwnerEntry::objectDied() noexcept {
    const auto self = shared_from_this();
    if (!isHere()) {
        dead_.store(true, std::memory_order_release);
        return home_->diedElsewhere(self);
    }
    end();  // the entry stays known: things that the object is given meanwhile end with it
    dead_.store(true, std::memory_order_release);
    home_->forget(*this);
}

void OwnerEntry::end() noexcept {
    do hook_.die();
    while (!hook_.empty());
}

// --- All of a thread

OwnerHome::Waker::~Waker() = default;

OwnerHome::OwnerHome(ThreadMemory* memory) noexcept : memory_(memory) {}
OwnerHome::~OwnerHome() = default;

struct OwnerHome::Ender {
    ~Ender() {
        std::shared_ptr<OwnerHome>*& here = homeOfThread();
        (*here)->threadEnds();
        delete std::exchange(here, nullptr);
    }
};

// A thread whose destructors already run can have owners once more. Deaths elsewhere are of no consequence then, as the thread itself is about to end.
const std::shared_ptr<OwnerHome>& OwnerHome::ofThisThread() {
    std::shared_ptr<OwnerHome>*& here = homeOfThread();
    if (!here) {
        static thread_local constinit bool ends = false;
        here = new std::shared_ptr<OwnerHome>(new OwnerHome(ends ? nullptr : &threadMemory()));
        if (!std::exchange(ends, true)) {
            static thread_local Ender ender;
            static_cast<void>(ender);
        }
    }
    return *here;
}

OwnerEntry* OwnerHome::find(const void* object) noexcept {
    const auto found = entries_.find(object);
    if (found == entries_.end()) return nullptr;
    if (!found->second->dead_.load(std::memory_order_acquire)) return found->second.get();
    entries_.erase(found);  // of an object that died elsewhere, at the same address
    return nullptr;
}

std::shared_ptr<OwnerEntry> OwnerHome::add(const void* object) {
    auto entry = std::make_shared<OwnerEntry>(shared_from_this(), object);
    entries_[object] = entry;
    return entry;
}

void OwnerHome::forget(const OwnerEntry& entry) noexcept {
    const auto found = entries_.find(entry.object_);
    if (found != entries_.end() && found->second.get() == &entry) entries_.erase(found);
}

void OwnerHome::keepWaker(std::unique_ptr<Waker> waker) {
    addWaker(*waker);
    kept_.push_back(std::move(waker));
}

void OwnerHome::addWaker(Waker& waker) {
    const std::lock_guard lock(mutex_);
    wakers_.push_back(&waker);
}

void OwnerHome::removeWaker(Waker& waker) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(wakers_, &waker);
}

// --- Deaths elsewhere

void OwnerHome::diedElsewhere(std::shared_ptr<OwnerEntry> entry) {
    const std::lock_guard lock(mutex_);
    if (!memory_) return;
    died_.push_back(std::move(entry));
    memory_->ownersDied.store(true, std::memory_order_release);
    if (died_.size() == 1)
        for (Waker* const waker : wakers_) waker->ownersDied();
}

// From here on nothing that they own runs, so that the end of one cannot set another going.
void OwnerHome::collectDead() noexcept {
    std::vector<std::shared_ptr<OwnerEntry>> died;
    {
        const std::lock_guard lock(mutex_);
        died.swap(died_);
    }
    for (const auto& entry : died) {
        entry->hook_.dies();
        forget(*entry);
    }
    ending_.insert(ending_.begin(), std::make_move_iterator(died.rbegin()), std::make_move_iterator(died.rend()));
}

// Null, and the flag lowered, when there is none.
std::shared_ptr<OwnerEntry> OwnerHome::takeDead() noexcept {
    collectDead();
    std::shared_ptr<OwnerEntry> next;
    if (!ending_.empty()) {
        next = std::move(ending_.back());
        ending_.pop_back();
    }
    const std::lock_guard lock(mutex_);
    if (memory_ && ending_.empty() && died_.empty()) memory_->ownersDied.store(false, std::memory_order_relaxed);
    return next;
}

// Takes one, ends one: user code runs, and a nested loop in it carries out the rest.
void OwnerHome::carryOut() noexcept {
    const auto self = shared_from_this();
    while (const auto entry = takeDead()) entry->end();
}

void OwnerHome::threadEnds() noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (memory_) memory_->ownersDied.store(false, std::memory_order_relaxed);
        memory_ = nullptr;
        wakers_.clear();
    }
    carryOut();
    while (!entries_.empty()) {
        const auto entry = entries_.begin()->second;
        entry->end();
        forget(*entry);
    }
    kept_.clear();
}

void endDeadOwners() noexcept {
    if (!ownersDied()) [[likely]]
        return;
    (*homeOfThread())->carryOut();
}

}  // namespace bine::inline v0::detail
