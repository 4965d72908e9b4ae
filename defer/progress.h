#pragma once
// Progress<P>: how far an operation is, told to whoever wants to know.
//
//     bine::Deferred<File> download(bine::Reactor& reactor, std::string url, bine::Progress<std::size_t> progress = {});
//
//     download(reactor, url, bine::Progress<std::size_t>([bar](std::size_t bytes) { bar->setValue(bytes); }).ownedBy(bar)).ownedBy(bar);
//
// A parameter that an operation takes beside its Deferred. Copies mean the same listener. Thread: the listener's. Cost: one allocation; report() to nobody is
// a look at a pointer.

#include <memory>
#include <utility>

#include "bine/defer/function.h"
#include "bine/defer/owner.h"

namespace bine::inline v0 {

template <class P>
class Progress {
public:
    /// Nobody wants to know.
    Progress() noexcept {}
    /// f(const P&) is called at each report(); while it runs, a further report() does not reach it.
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>&, const P&>
    Progress(F&& f) : listener_(std::make_shared<Listener>(std::forward<F>(f))) {}

    /// Tells the listener. What it throws comes out here.
    void report(const P& progress) const {
        if (!listener_) return;
        const std::shared_ptr<Listener> listener = listener_;  // may go, inside
        listener->tell(progress);
    }
    /// Whether anybody listens: for operations to which counting is dear.
    explicit operator bool() const noexcept { return listener_ && listener_->listens(); }

    /// Nothing is told any more when `owner` has died, and the listener's captures are released.
    template <class X>
    Progress ownedBy(X& owner) && {
        if (listener_) listener_->bindTo(detail::hookOf(owner));
        return std::move(*this);
    }
    template <class X>
    Progress ownedBy(X* owner) && {
        return std::move(*this).ownedBy(detail::ownerAt(owner));
    }

private:
    class Listener final : public detail::Owned {
    public:
        template <class F>
        explicit Listener(F&& f) : f_(std::forward<F>(f)) {}
        bool listens() const noexcept { return static_cast<bool>(f_) && !ended_; }
        void tell(const P& progress) {
            detail::endDeadOwners();
            if (!listens()) return;
            Function<void(const P&)> f = std::exchange(f_, nullptr);
            const Returner returner{*this, f};
            f(progress);
        }
        void ownerDies() noexcept override { ended_ = true; }
        void ownerDied() override { f_ = nullptr; }

    private:
        struct Returner {
            Listener& listener;
            Function<void(const P&)>& f;
            ~Returner() {
                if (!listener.ended_) listener.f_ = std::move(f);
            }
        };

        Function<void(const P&)> f_;
        bool ended_ = false;
    };

    std::shared_ptr<Listener> listener_;
};

}  // namespace bine::inline v0
