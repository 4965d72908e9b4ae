#include "bine/defer/owner.h"

#include <stdexcept>
#include <string>

#include "bine/defer/home_thread.h"
#include "bine/defer/pool.h"

namespace bine::inline v0::detail {

Owned::~Owned() { unlink(); }

void Owned::bindTo(OwnerHook& owner) noexcept { owner.add(*this); }

void Owned::unlink() noexcept {
    if (!next_) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
}

// On the younger side: while the owner dies, it stands on the same side of the mark as `other`.
void Owned::bindBeside(Owned& other) noexcept {
    unlink();
    next_ = &other;
    previous_ = other.previous_;
    previous_->next_ = this;
    next_->previous_ = this;
}

OwnerHook::OwnerHook(Kind kind) noexcept : kind_(kind) { list_.next_ = list_.previous_ = &list_; }

OwnerHook::~OwnerHook() {
    destroyed_ = true;
    die();
    if (gone_) *gone_ = true;
}

void OwnerHook::add(Owned& owned) noexcept {
    const std::uint32_t here = threadMemory().threadId;
    if (empty())
        thread_ = here;
    else if (thread_ != here) [[unlikely]]
        wrongThread("was given something more to own");
    owned.unlink();
    if (destroyed_) {
        owned.ownerDies();
        owned.ownerDied();
        return;
    }
    owned.next_ = list_.next_;
    owned.previous_ = &list_;
    owned.next_->previous_ = &owned;
    list_.next_ = &owned;
}

void OwnerHook::dies() noexcept {
    for (Owned* each = list_.next_; each != &list_; each = each->next_) each->ownerDies();
}

void OwnerHook::letGo() noexcept {
    while (!empty()) list_.next_->unlink();
}

// Anything may happen inside ownerDied(), so links are taken one by one from the list as it then is. A mark separates what is owned now from what
// is added meanwhile (the youngest come first). A nested die() may take the mark away, and then it has done the work.
void OwnerHook::die() noexcept {
    if (empty()) return;
    if (thread_ != threadMemory().threadId) [[unlikely]]
        wrongThread("ended or was cancelled");
    End mark;
    mark.next_ = list_.next_;
    mark.previous_ = &list_;
    mark.next_->previous_ = &mark;
    list_.next_ = &mark;
    dies();

    bool gone = false;
    bool* const outer = gone_;
    gone_ = &gone;
    while (mark.linked() && mark.next_ != &list_) {
        Owned& youngest = *mark.next_;
        youngest.unlink();
        youngest.ownerDied();
        if (gone) {  // the destructor's own pass has emptied the list
            if (outer) *outer = true;
            return;
        }
    }
    gone_ = outer;
}

void OwnerHook::wrongThread(const char* did) const noexcept {
    static constexpr const char* names[] = {"An owner", "A Scope", "A Protocol", "A Factory"};
    detail::wrongThread(std::string(names[static_cast<int>(kind_)]) + " that owns something " + did, thread_);
}

void throwNoOwner() { throw std::invalid_argument("ownedBy: there is no owner, but a null pointer"); }

}  // namespace bine::inline v0::detail
