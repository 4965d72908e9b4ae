#pragma once
// DeferredRef: a weak reference to a Deferred.

#include <string>
#include <utility>

#include "bine/defer/core.h"

namespace bine::inline v0 {

namespace detail {
struct DeferredOwners;
}

/// A weak reference to a Deferred of any type: for Cancel buttons, bridges, inspectors. Copies may outlive the Deferred; then they do nothing.
class DeferredRef {
public:
    DeferredRef() noexcept = default;
    explicit DeferredRef(detail::Core& core) noexcept : core_(&core) { core.retainWeakly(); }
    DeferredRef(const DeferredRef& other) noexcept : core_(other.core_) {
        if (core_) core_->retainWeakly();
    }
    DeferredRef(DeferredRef&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    DeferredRef& operator=(DeferredRef other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~DeferredRef() {
        if (core_) core_->releaseWeakly();
    }

    void cancel() {
        if (alive()) core_->cancel();
    }
    void pause() {
        if (alive()) core_->pause();
    }
    void unpause() {
        if (alive()) core_->unpause();
    }
    bool called() const noexcept { return !alive() || core_->called(); }
    std::string describe() const { return alive() ? core_->describe() : "nothing"; }
    /// False once the Deferred is gone.
    explicit operator bool() const noexcept { return alive(); }

private:
    friend struct detail::DeferredOwners;
    bool alive() const noexcept { return core_ && core_->alive(); }
    detail::Core* core_ = nullptr;
};

namespace detail {

/// For what hands the owners of a Deferred on to its result, before it fires. Internal.
struct DeferredOwners {
    /// An owner died: the Deferred will not run any more.
    static bool died(const DeferredRef& deferred) noexcept { return deferred.alive() && deferred.core_->isKilled(); }
    /// Core::eachOwner().
    static void each(const DeferredRef& deferred, void (*call)(void*, Owned&), void* object) {
        if (deferred.alive()) deferred.core_->eachOwner(call, object);
    }
};

}  // namespace detail

/// Keeps a Deferred paused while it lives: its callbacks wait. Movable; it may outlive the Deferred.
class Hold {
public:
    /// Pauses it.
    explicit Hold(DeferredRef deferred) : deferred_(std::move(deferred)) { deferred_.pause(); }
    Hold(Hold&& other) noexcept : deferred_(std::exchange(other.deferred_, {})) {}
    Hold& operator=(Hold&& other) noexcept {
        if (this != &other) {
            Hold old(std::move(*this));  // unpauses last: that runs callbacks
            deferred_ = std::exchange(other.deferred_, {});
        }
        return *this;
    }
    ~Hold() { release(); }

    /// Unpauses it now, which runs its callbacks, if nobody else has paused it.
    void release() { std::exchange(deferred_, {}).unpause(); }

private:
    DeferredRef deferred_;
};

}  // namespace bine::inline v0
