#include "bine/reactors/descriptor.h"

#include <string>
#include <utility>

#include "bine/log/log.h"
#include "bine/reactors/descriptor_call.h"
#include "bine/reactors/descriptor_set.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0 {

using detail::DescriptorCall;
using detail::kReadable;
using detail::kWritable;

FileDescriptor::FileDescriptor() noexcept = default;

FileDescriptor::~FileDescriptor() {
    if (call_) call_->objectGone();
    if (!watched_) return;
    if (const auto* core = watched_->core()) core->assertThread("~FileDescriptor()");
    watched_->remove(*this, kReadable | kWritable);
}

ReadDescriptor::~ReadDescriptor() = default;
WriteDescriptor::~WriteDescriptor() = default;
ReadWriteDescriptor::~ReadWriteDescriptor() = default;
HalfCloseableDescriptor::~HalfCloseableDescriptor() = default;

std::string FileDescriptor::logPrefix() const { return detail::readableName(typeid(*this)); }

void FileDescriptor::own(detail::OwnerHook& hook) {
    if (!owners_) owners_ = std::make_unique<detail::DescriptorOwners>(*this);
    owners_->add(hook);
}

namespace detail {

void DescriptorOwners::ownerDied() {
    if (object_.watched_) object_.watched_->remove(object_, kReadable | kWritable);
}

DescriptorCall::DescriptorCall(FileDescriptor& object) : object_(&object), scope_(context, this) { object.call_ = this; }

DescriptorCall::~DescriptorCall() {
    if (object_) object_->call_ = nullptr;
}

LogContext DescriptorCall::context(void* call) {
    const FileDescriptor* object = static_cast<DescriptorCall*>(call)->object_;
    return object ? LogContext(object->logPrefix()) : LogContext();
}

void DescriptorCall::disconnect(FileDescriptor& object, const Failure& reason) {
    if (object.call_) return object.call_->lose(reason);
    DescriptorCall call(object);
    call.lose(reason);
    call.end();
}

void DescriptorCall::lose(const Failure& reason) {
    if (!object_) return;
    if (object_->watched_) object_->watched_->remove(*object_, kReadable | kWritable);
    if (!loss_) loss_ = reason;
}

void DescriptorCall::end() {
    while (object_ && loss_) {
        if (object_->watched_) object_->watched_->remove(*object_, kReadable | kWritable);  // the callback added it again, not knowing
        const Failure reason = *std::exchange(loss_, std::nullopt);
        endDeadOwners();
        if (object_ && !silent(*object_)) guarded("Unhandled error in connectionLost()", [&] { object_->connectionLost(reason); });
    }
    FileDescriptor* const object = std::exchange(object_, nullptr);
    if (!object) return;
    object->call_ = nullptr;
    if (object->watched_) object->watched_->callReturned(*object);
}

Failure DescriptorCall::threw(const char* what, const Failure& failure) {
    Logger("bine.reactor").failure(failure.exceptionPtr(), std::string("Unhandled error in ") + what + "; the descriptor is disconnected",
                                   LogLevel::critical, failure.getTraceback());
    return object_ ? failure : Failure();
}

}  // namespace detail
}  // namespace bine::inline v0
