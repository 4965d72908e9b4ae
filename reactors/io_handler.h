#pragma once
// IoHandler: a descriptor in a reactor's set, and what the reactor does with its owner's callbacks.
//
// The base of the transports and ports of this library; internal. Reactor's thread only. 80 bytes, no allocation beyond the slot.
//
// Lifetime: the reactor's slot holds a shared_ptr from open() until close(); frames pin the handler while it is served, and
// the slot's reference goes at the last unpin, at any depth.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "bine/log/context.h"
#include "bine/log/export.h"
#include "bine/reactors/stalls.h"

namespace bine::inline v0::detail {

class ReactorCore;

enum IoEvents : std::uint8_t {
    kReadable = 1,
    kWritable = 2,
    kHangUp = 4,   // both directions are gone
    kIoError = 8,  // an error is pending on the descriptor
    kErrorsOnly = 16,  // as interest: nothing but kHangUp and kIoError
};

class BINE_EXPORT IoHandler : public std::enable_shared_from_this<IoHandler> {
public:
    IoHandler(const IoHandler&) = delete;
    IoHandler& operator=(const IoHandler&) = delete;
    virtual ~IoHandler();

    int fd() const noexcept { return fd_; }
    bool open() const noexcept { return fd_ >= 0; }
    ReactorCore* core() const noexcept { return core_; }

    /// The descriptor is ready, or was: other code may have run since the kernel said so, in this turn or before it. So the handler asks what it wants by now, and its
    /// system calls may find nothing. Not called while the handler is busy (then see readyWhileBusy). May do anything: close, destroy owners, nest loops.
    virtual void ioReady(unsigned events) = 0;
    /// Ready while this handler's own user code is on the stack. Runs no user code; the default disarms reading until the handler is idle again.
    virtual void readyWhileBusy(unsigned events);
    /// Sends what is pending. Called for handlers on the dirty list, also from the host's hook: runs no user code.
    virtual void flush() {}
    /// The shutdown begins: the last chance to write. May run user code. Not called again before the next shutdown.
    virtual void reactorStopping() {}
    /// How many bytes wait to be sent.
    virtual std::size_t queued() const noexcept { return 0; }
    /// The reactor shuts down or dies: end, now or when the user code on the stack has returned.
    virtual void reactorStopped() = 0;
    /// "Protocol,3,127.0.0.1": for log lines inside its callbacks.
    virtual LogContext logContext() { return {}; }
    /// Whose callbacks ioReady() runs, for who wants to know what took so long. Asked before each ioReady(): no user code, no allocation.
    virtual CallbackName callbackName() const noexcept;

protected:
    IoHandler() = default;

    /// False: the descriptor is the user's, and stays open in every case.
    virtual bool ownsDescriptor() const noexcept { return true; }
    /// Takes ownership of a non-blocking descriptor and of a slot in the set. Nothing is watched yet. Throws std::logic_error in a child of fork().
    void openIn(ReactorCore& core, int fd);
    /// What the handler wants to hear of. The kernel's set is changed at once if the effective interest changes.
    void wantReading(bool on);
    void wantWriting(bool on);
    bool wantsReading() const noexcept { return wantsReading_; }
    bool wantsWriting() const noexcept { return wantsWriting_; }
    /// Stops reading for good, and still hears of hang-ups and errors. These stay until the descriptor is closed: close it when one is reported.
    void watchErrorsOnly();
    bool watchesErrors() const noexcept { return watchesErrors_; }
    /// Out of the set, closed, slot freed, off the dirty list. The object lives until the frames that serve it have returned.
    void closeDescriptor();
    /// As closeDescriptor(), but hands the descriptor back open.
    int releaseDescriptor();
    /// As releaseDescriptor(), for a descriptor that was closed behind our back: whoever has its number now stays in the set.
    void abandonDescriptor();
    /// On the dirty list until flush() is called: at the end of the batch, before the host waits, or sooner.
    void markDirty();
    bool busy() const noexcept { return busy_ != 0; }

    /// Stands around the handler's user code: while one lives the handler is busy. REQUIRES: somebody keeps the handler.
    class BINE_EXPORT BusyScope {
    public:
        explicit BusyScope(IoHandler& handler);
        ~BusyScope();
        BusyScope(const BusyScope&) = delete;
        BusyScope& operator=(const BusyScope&) = delete;

    private:
        IoHandler& handler_;
    };
    /// The last BusyScope ended: deliver what waited (connectionLost, held events come again by themselves).
    virtual void becameIdle() {}

private:
    friend class Goodbyes;
    friend class ReactorCore;
    void applyInterest();
    void leaveSlot();
    // In a child of fork(): the descriptor is the parent's too, and no part of this handler any more; then it is closed.
    void letGo() noexcept {
        if (open()) fd_ = kInherited - fd_;
    }
    void closeInherited() noexcept;
    static constexpr int kInherited = -2;

    ReactorCore* core_ = nullptr;
    int fd_ = -1;
    std::uint32_t slot_ = 0;
    std::uint32_t busy_ = 0;
    std::uint8_t applied_ = 0;
    bool wantsReading_ = false;
    bool wantsWriting_ = false;
    bool watchesErrors_ = false;
    bool heldWhileBusy_ = false;
    bool dirty_ = false;
    std::uint8_t goodbye_ = 0;  // the last shutdown whose beginning was told
    IoHandler* dirtyNext_ = nullptr;
    IoHandler* dirtyPrevious_ = nullptr;
};

}  // namespace bine::inline v0::detail
