#pragma once
// OwnerLinks: the owners of a thing that itself waits for Deferreds. Internal.
//
// The thing has two functions, ownerDies() and ownerDied(), of which detail::Owned (owner.h) tells. One thread. Cost: an allocation per owner.

#include <forward_list>

#include "bine/defer/deferred.h"
#include "bine/defer/owner.h"

namespace bine::inline v0 {
namespace detail {

template <class Thing>
class OwnerLink final : public Owned {
public:
    OwnerLink(Thing& thing, OwnerHook& hook) : thing_(thing), hook_(hook) {}
    OwnerHook& hook() const noexcept { return hook_; }

private:
    void ownerDies() noexcept override { thing_.ownerDies(); }
    void ownerDied() override { thing_.ownerDied(); }

    Thing& thing_;
    OwnerHook& hook_;  // lives as long as this is linked
};

template <class Thing>
class OwnerLinks {
public:
    /// At once thing.ownerDies() and thing.ownerDied(), if the owner is dying.
    void add(Thing& thing, OwnerHook& hook) { links_.emplace_front(thing, hook).bindTo(hook); }
    void clear() noexcept { links_.clear(); }
    /// What the thing waits for dies with the same owners, and not a moment later: what is between dies and died must not set it going.
    template <class T>
    void alsoOwn(Deferred<T>& deferred) {
        for (auto& link : links_) deferred.ownedBy(link);
    }

private:
    std::forward_list<OwnerLink<Thing>> links_;
};

}  // namespace detail

template <class Thing>
struct OwnerTraits<detail::OwnerLink<Thing>> {
    static detail::OwnerHook& hook(detail::OwnerLink<Thing>& link) noexcept { return link.hook(); }
};

}  // namespace bine::inline v0
