#include "bine/defer/owner.h"

#include <stdexcept>

namespace bine::inline v0::detail {

Owned::~Owned() { unlink(); }

void Owned::bindTo(OwnerHook& owner) noexcept { owner.add(*this); }

void Owned::unlink() noexcept {
    if (!next_) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
}

OwnerHook::OwnerHook() noexcept { list_.next_ = list_.previous_ = &list_; }

OwnerHook::~OwnerHook() {
    destroyed_ = true;
    die();
    if (gone_) *gone_ = true;
}

void OwnerHook::add(Owned& owned) noexcept {
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

void throwNoOwner() { throw std::invalid_argument("ownedBy: there is no owner, but a null pointer"); }

}  // namespace bine::inline v0::detail
