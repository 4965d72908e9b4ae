#include "bine/reactors/io_handler.h"

#include <unistd.h>

#include <typeinfo>
#include <utility>

#include "bine/reactors/activity.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {

IoHandler::~IoHandler() {
    if (fd_ >= 0) ::close(fd_);  // never opened in a core, or the core is gone
}

void IoHandler::openIn(ReactorCore& core, int fd) {
    if (core.inherited() && ownsDescriptor()) ::close(fd);
    core.assertNotInherited("opening a descriptor");
    core_ = &core;
    fd_ = fd;
    slot_ = core.allotSlot(*this);
}

void IoHandler::closeInherited() noexcept {
    if (fd_ > kInherited) return;
    const int fd = kInherited - std::exchange(fd_, -1);
    if (ownsDescriptor()) ::close(fd);
}

CallbackName IoHandler::callbackName() const noexcept {
    return {CallbackName::Kind::descriptor, static_cast<std::uint32_t>(fd_), typeid(*this).name()};
}

void IoHandler::wantReading(bool on) {
    wantsReading_ = on;
    applyInterest();
}

void IoHandler::wantWriting(bool on) {
    wantsWriting_ = on;
    applyInterest();
}

void IoHandler::watchErrorsOnly() {
    wantsReading_ = false;
    watchesErrors_ = true;
    applyInterest();
}

void IoHandler::applyInterest() {
    if (!open() || !core_ || !core_->poller_) return;
    const bool held = busy_ != 0 && heldWhileBusy_;
    const auto wanted = static_cast<std::uint8_t>((wantsReading_ && !held ? kReadable : 0) | (wantsWriting_ ? kWritable : 0) |
                                                  (watchesErrors_ && !held ? kErrorsOnly : 0));
    if (wanted == applied_) return;
    core_->poller_->watch(fd_, ReactorCore::tokenOf(slot_, core_->slots_[slot_].generation), applied_, wanted);
    applied_ = wanted;
}

void IoHandler::readyWhileBusy(unsigned) {
    heldWhileBusy_ = true;
    applyInterest();
}

void IoHandler::markDirty() {
    if (core_ && open()) core_->markDirty(*this);
}

int IoHandler::releaseDescriptor() {
    if (!open()) return -1;
    const int fd = fd_;
    wantsReading_ = wantsWriting_ = watchesErrors_ = false;
    applyInterest();  // off the set while the descriptor is still ours
    leaveSlot();
    return fd;
}

void IoHandler::abandonDescriptor() {
    if (!open()) return;
    if (applied_ != 0 && core_ && core_->poller_) core_->poller_->forget(fd_, ReactorCore::tokenOf(slot_, core_->slots_[slot_].generation));
    wantsReading_ = wantsWriting_ = watchesErrors_ = false;
    applied_ = 0;
    leaveSlot();
}

void IoHandler::leaveSlot() {
    fd_ = -1;
    if (!core_) return;
    core_->unmarkDirty(*this);
    // The slot's reference may be the last one: the caller keeps the object.
    std::exchange(core_, nullptr)->freeSlot(slot_);
}

void IoHandler::closeDescriptor() {
    const auto keep = weak_from_this().lock();
    const int fd = releaseDescriptor();
    if (fd >= 0) ::close(fd);
}

IoHandler::BusyScope::BusyScope(IoHandler& handler) : handler_(handler) { ++handler.busy_; }

IoHandler::BusyScope::~BusyScope() {
    if (--handler_.busy_ != 0) return;
    guarded("Unhandled error when a callback had returned", [this] {
        if (handler_.heldWhileBusy_) {
            handler_.heldWhileBusy_ = false;
            handler_.applyInterest();
        }
        handler_.becameIdle();
    });
}

}  // namespace bine::inline v0::detail
