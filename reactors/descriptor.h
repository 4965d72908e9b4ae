#pragma once
// Descriptors of your own in a reactor: IReadDescriptor, IWriteDescriptor, IHalfCloseableDescriptor, ILoggingContext.
//
//     struct Input : bine::ReadDescriptor {
//         int fileno() const override { return STDIN_FILENO; }
//         bine::IoResult doRead() override;                     // nothing, or a Failure that disconnects
//         void connectionLost(const bine::Failure&) override;
//     };
//     reactor.addReader(input);
//
// The reactor refers to the object and owns nothing: neither it nor its descriptor, which it never closes and whose flags it leaves alone. Reactor's thread.
// Cost: a few allocations for each number that is watched, and a cheap system call (fstat) for each callback.

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "bine/defer/failure.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

namespace detail {
class DescriptorCall;
class DescriptorOwners;
class DescriptorSet;
class WatchedNumber;
}  // namespace detail

/// What doRead() and doWrite() say: `return {};` that all is well, `return ConnectionDone();` or any other exception or Failure that this is the end.
class IoResult {
public:
    IoResult() noexcept = default;
    /// An empty Failure is none.
    IoResult(Failure failure) noexcept : failure_(std::move(failure)) {}
    template <class E>
        requires(!std::is_same_v<std::remove_cvref_t<E>, IoResult> && !std::is_same_v<std::remove_cvref_t<E>, Failure> && std::is_constructible_v<Failure, E>)
    IoResult(E&& exception) : failure_(std::forward<E>(exception)) {}

    bool isFailure() const noexcept { return static_cast<bool>(failure_); }
    const Failure& failure() const noexcept { return failure_; }

private:
    Failure failure_;
};

/// What readers and writers have in common. It may be destroyed, removed or added again at any time, in its own callbacks too. In a dialog that one of its
/// callbacks opens it hears nothing, and hears it when that callback has returned.
class BINE_EXPORT FileDescriptor {
public:
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    /// Takes it out of the reactor. Whoever closes the descriptor in the destructor of a derived class removes it first: a copy of a closed descriptor, in a
    /// child process perhaps, stays in the kernel's set, and nobody can take it out again.
    virtual ~FileDescriptor();

    /// The number. Asked when the object is added and around each callback, never after its removal. When it is -1, another one, or an exception, the
    /// object is disconnected with ConnectionFdescWentAway.
    virtual int fileno() const = 0;
    /// The end, told once, when it is in no set any more: with what doRead() or doWrite() returned or threw; with ConnectionDone or ConnectionLost after a
    /// hang-up; with ConnectionFdescWentAway; with ConnectionLost when the reactor stops. Not called for a removal. It may destroy the object.
    virtual void connectionLost(const Failure& reason) = 0;
    /// Labels what is logged in its callbacks. The name of its class unless overridden.
    virtual std::string logPrefix() const;

    /// When `owner` dies, it is taken out of the reactor, nothing of it is called any more, and adding it again does nothing.
    template <class X>
    void ownedBy(X& owner) {
        own(detail::hookOf(owner));
    }
    template <class X>
    void ownedBy(X* owner) {
        own(detail::hookOf(detail::ownerAt(owner)));
    }

protected:
    FileDescriptor() noexcept;

private:
    friend class detail::DescriptorCall;
    friend class detail::DescriptorOwners;
    friend class detail::DescriptorSet;
    friend class detail::WatchedNumber;

    void own(detail::OwnerHook& hook);

    detail::WatchedNumber* watched_ = nullptr;  // while it is in a set
    detail::DescriptorCall* call_ = nullptr;    // while code of its own is on the stack
    std::unique_ptr<detail::DescriptorOwners> owners_;
};

/// For Reactor::addReader().
class BINE_EXPORT ReadDescriptor : public virtual FileDescriptor {
public:
    ~ReadDescriptor() override;
    /// There is something to read, or the end of the input. Read once and return: as long as there is more this is called again, and whoever reads until there
    /// is nothing more keeps all others waiting (or blocks, on a descriptor that may). What it throws is logged, and disconnects as what it returns does.
    virtual IoResult doRead() = 0;
};

/// For Reactor::addWriter().
class BINE_EXPORT WriteDescriptor : public virtual FileDescriptor {
public:
    ~WriteDescriptor() override;
    /// Something can be written. It is called again and again as long as this is so: remove the writer when there is nothing to write. Else as doRead().
    virtual IoResult doWrite() = 0;
};

/// Both.
class BINE_EXPORT ReadWriteDescriptor : public ReadDescriptor, public WriteDescriptor {
public:
    ~ReadWriteDescriptor() override;
};

/// For a descriptor whose directions end one by one. A base class beside the others: where these would be disconnected with ConnectionDone, only the direction
/// that has ended is removed. What is left ends as ever, with connectionLost().
class BINE_EXPORT HalfCloseableDescriptor {
public:
    virtual ~HalfCloseableDescriptor();
    /// A hang-up with nothing to read, or doRead() returned ConnectionDone.
    virtual void readConnectionLost(const Failure& reason) = 0;
    /// doWrite() returned ConnectionDone.
    virtual void writeConnectionLost(const Failure& reason) = 0;
};

}  // namespace bine::inline v0
