#pragma once
// DescriptorCall: stands around each callback of a user's descriptor. Internal; reactor's thread, on the stack.
//
// While it stands the descriptor is busy: no other callback of it is called, and what disconnects it waits for the end. It survives the descriptor.

#include <optional>

#include "bine/defer/owner_links.h"
#include "bine/log/context.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/descriptor.h"

namespace bine::inline v0::detail {

class DescriptorOwners {
public:
    explicit DescriptorOwners(FileDescriptor& object) : object_(object) {}
    void add(OwnerHook& hook) { links_.add(*this, hook); }
    void ownerDies() noexcept { silent_ = true; }
    void ownerDied();
    bool silent() const noexcept { return silent_; }

private:
    FileDescriptor& object_;
    OwnerLinks<DescriptorOwners> links_;
    bool silent_ = false;
};

class DescriptorCall {
public:
    /// REQUIRES: !busy(object).
    explicit DescriptorCall(FileDescriptor& object);
    ~DescriptorCall();
    DescriptorCall(const DescriptorCall&) = delete;
    DescriptorCall& operator=(const DescriptorCall&) = delete;

    static bool busy(const FileDescriptor& object) noexcept { return object.call_ != nullptr; }
    /// Its owner is dead: nothing of it may be called.
    static bool silent(const FileDescriptor& object) noexcept { return object.owners_ && object.owners_->silent(); }
    /// Takes it out of its reactor and tells it: now, or when the callback on the stack has returned.
    static void disconnect(FileDescriptor& object, const Failure& reason);

    /// Null once it has been destroyed.
    FileDescriptor* object() const noexcept { return object_; }
    void objectGone() noexcept { object_ = nullptr; }
    /// Calls f(), which returns an IoResult: an exception is logged as the failure of `what`. Empty if all is well, or if there is nobody left to care.
    template <class F>
    Failure run(const char* what, F&& f) {
        IoResult result;
        Failure thrown;
        if (!guarded(thrown, [&] { result = f(); })) return threw(what, thrown);
        return object_ ? result.failure() : Failure();
    }
    bool lost() const noexcept { return loss_.has_value(); }
    /// Out of its reactor; end() tells it. The first reason counts.
    void lose(const Failure& reason);
    /// The callback has returned: what waited for that.
    void end();

private:
    static LogContext context(void* call);
    Failure threw(const char* what, const Failure& failure);

    FileDescriptor* object_;
    std::optional<Failure> loss_;
    LogScope scope_;
};

}  // namespace bine::inline v0::detail
