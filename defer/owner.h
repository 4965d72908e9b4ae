#pragma once
// Owners: what is bound to an object ends when that object dies.
//
//     lookUp(reactor, name).ownedBy(scope_).addCallback([this](std::string answer) { show(answer); });
//
// When the owner dies, nothing of what it owned runs any more: it is cancelled at its source, captures are released, coroutine frames are
// unwound. All of it belongs to one thread, the loop's. A QObject or a GObject may die on another thread (docs/owners.md); any other owner that owns
// something and ends on another thread ends the program with a message. Cost: binding is a few stores. A thing may have several owners; the first to die
// ends it.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "bine/log/export.h"

namespace bine::inline v0 {
namespace detail {

class OwnerHook;

/// The link from one owned thing to one of its owners. Derive from it, or embed a class that does, once per owner that the thing may have:
///
///     class Port::Link final : public detail::Owned {
///         void ownerDied() override { port_.stopListening(); }
///         ...
///     };
///     OwnerTraits<X>::hook(owner).add(port.link_);
///
/// Destroying the link unlinks it. 24 bytes, the vtable's pointer included.
class BINE_EXPORT Owned {
public:
    Owned() noexcept = default;
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    /// The owner dies, and all that it owns with it. Called for all of them before ownerDied() is called for the first, so that the end of one
    /// cannot set another going: from here on nothing of this thing may run. Runs no user code and destroys nothing.
    virtual void ownerDies() noexcept {}
    /// The end. Off the list already, so it may be destroyed in here. May run user code (cancellers, destructors), and that may destroy anything: other
    /// owned things, the owner, its hook. An exception that leaves it is fatal.
    virtual void ownerDied() = 0;
    void bindTo(OwnerHook& owner) noexcept;  ///< owner.add(*this)
    /// To the owner that `other` is linked to, which is not known by name. It ends before `other` does.
    void bindBeside(Owned& other) noexcept;
    void unlink() noexcept;
    bool linked() const noexcept { return next_ != nullptr; }

protected:
    virtual ~Owned();

private:
    friend class OwnerHook;
    Owned* previous_ = nullptr;
    Owned* next_ = nullptr;
};

/// What an owner has: the list of what it owns. Its destructor ends all of it, the youngest first.
class BINE_EXPORT OwnerHook {
public:
    /// Whose hook it is: for the message about a wrong thread.
    enum class Kind : std::uint8_t { owner, scope, protocol, factory };
    explicit OwnerHook(Kind kind = Kind::owner) noexcept;
    OwnerHook(const OwnerHook&) = delete;
    OwnerHook& operator=(const OwnerHook&) = delete;
    ~OwnerHook();

    /// Takes it from the owner it had. Added to a hook that is being destroyed, it ends at once. All that is owned belongs to one thread.
    void add(Owned& owned) noexcept;
    /// Ends everything that is owned now. The hook can be used afterwards; what is added meanwhile, by the code that this runs, stays.
    void die() noexcept;
    /// The first half of that: from here on nothing that is owned runs any more.
    void dies() noexcept;
    /// What is owned now goes on without an owner.
    void letGo() noexcept;
    bool empty() const noexcept { return list_.next_ == &list_; }

private:
    [[noreturn]] void wrongThread(const char* did) const noexcept;

    struct End final : Owned {
        ~End() override = default;
        void ownerDied() override {}
    };

    End list_;              // a ring; list_.next_ is the youngest
    bool* gone_ = nullptr;  // set when this dies inside die()
    bool destroyed_ = false;
    Kind kind_;
    std::uint32_t thread_ = 0;  // of what is owned now, if there is something
};

}  // namespace detail

/// How an object owns. Specialised for Scope here; for QObject, GObject, Protocol and Factory in their rooms. For a class of your own:
///     static bine::detail::OwnerHook& hook(X& owner);    // one hook, for the object's whole life, which dies with it
template <class X>
struct OwnerTraits {};

/// An owner to put anywhere: as the last member of a class whose coroutines and callbacks use the other members.
class BINE_EXPORT Scope {
public:
    Scope() noexcept = default;
    /// Ends everything it owns. On the thread of what it owns, as cancel(); an empty one may end anywhere.
    ~Scope() = default;

    /// Ends everything it owns now; may be used again afterwards.
    void cancel() noexcept { hook_.die(); }
    /// True if it owns nothing. What has run to its end counts until its last handle is gone.
    bool empty() const noexcept { return hook_.empty(); }

private:
    template <class X>
    friend struct OwnerTraits;
    detail::OwnerHook hook_{detail::OwnerHook::Kind::scope};
};

template <std::derived_from<Scope> X>
struct OwnerTraits<X> {
    static detail::OwnerHook& hook(Scope& scope) noexcept { return scope.hook_; }
};

namespace detail {

[[noreturn]] BINE_EXPORT void throwNoOwner();

template <class X>
OwnerHook& hookOf(X& owner) {
    if constexpr (!requires { sizeof(X); }) {
        static_assert(!std::is_same_v<X, X>, "ownedBy: the class of this owner is only declared here: include its header, for a Qt class such as <QLabel>");
        throwNoOwner();
    } else if constexpr (!requires { OwnerTraits<std::remove_cv_t<X>>::hook(owner); }) {
        static_assert(!std::is_same_v<X, X>,
                      "ownedBy: this type is no owner: include bine/qtreactor/qt_owner.h for a QObject, bine/gtkreactor/gobject_owner.h for a GObject, or put a "
                      "bine::Scope scope_ into the class, as the last member, and write ownedBy(scope_)");
        throwNoOwner();
    } else {
        return OwnerTraits<std::remove_cv_t<X>>::hook(owner);
    }
}

/// Carries out the deaths of owners on other threads that are known here: each place calls it before it runs code of what may have an owner, and looks
/// again afterwards, because this may run user code (cancellers, destructors, errbacks). Cost: a look at a flag of the thread.
BINE_EXPORT void endDeadOwners() noexcept;

/// What `owner` points at; throws std::invalid_argument if that is nothing.
template <class X>
X& ownerAt(X* owner) {
    if (!owner) throwNoOwner();
    return *owner;
}

}  // namespace detail
}  // namespace bine::inline v0
