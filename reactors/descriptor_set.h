#pragma once
// DescriptorSet: the users' descriptors in a reactor, on top of IoHandler. Internal; reactor's thread only; made when the first is added.
//
// The kernel knows numbers, users have objects; a WatchedNumber is where they meet: one number, at most one reader and one writer. It remembers which file
// the number meant, and gives no events of another file to old objects, nor takes others out of the kernel's set in their place.
//
// What the kernel cannot wait for (regular files are always ready, and epoll refuses them) is served in turn by one timer, as long as there is any.

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "bine/defer/clock.h"
#include "bine/reactors/descriptor.h"
#include "bine/reactors/io_handler.h"

namespace bine::inline v0::detail {

/// Which file a number means. Kinds that have no file of their own (eventfd, timerfd) are all alike.
class FileIdentity {
public:
    /// False if the number means nothing.
    bool look(int fd) noexcept;
    /// Regular files and the like are ready whenever one asks: nothing to wait for.
    bool alwaysReady() const noexcept { return S_ISREG(mode_) || S_ISDIR(mode_) || S_ISBLK(mode_); }
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;

private:
    dev_t device_ = 0;
    ino_t node_ = 0;
    mode_t mode_ = 0;
};

class WatchedNumber final : public IoHandler {
public:
    WatchedNumber(DescriptorSet& set, FileIdentity file);
    ~WatchedNumber() override;
    void start(ReactorCore& core, int fd) { openIn(core, fd); }

    bool means(int fd, const FileIdentity& file) const noexcept { return open() && this->fd() == fd && file_ == file; }
    bool has(const FileDescriptor& object, unsigned directions) const noexcept;
    /// One of its objects, not counting the newcomer, says that its number is another one. Asks them, so this is user code.
    bool leftBehind(const FileDescriptor& newcomer) const;
    ReadDescriptor* reader() const noexcept { return reader_.descriptor; }
    WriteDescriptor* writer() const noexcept { return writer_.descriptor; }

    /// Strong: throws what the kernel has to say, or std::logic_error if the place is taken.
    void add(ReadDescriptor& reader);
    void add(WriteDescriptor& writer);
    /// Runs no user code. It leaves the reactor with the last of its objects.
    void remove(FileDescriptor& object, unsigned directions);
    /// Each of its objects is disconnected; connectionLost() follows.
    void disconnect(const Failure& reason);
    /// The number means something else: its objects hear of that in a later turn.
    void wentAway();
    /// The object's code is not on the stack any more.
    void callReturned(const FileDescriptor& object);

    void ioReady(unsigned events) override;
    void reactorStopped() override;
    bool ownsDescriptor() const noexcept override { return false; }
    CallbackName callbackName() const noexcept override;

private:
    friend class DescriptorSet;
    template <class T>
    struct Place {
        T* descriptor = nullptr;
        FileDescriptor* object = nullptr;  // the same one; its address is good in its destructor too
        std::uint64_t addedIn = 0;         // turn
        bool held = false;                 // was ready while its own code was on the stack
        explicit operator bool() const noexcept { return object != nullptr; }
    };

    template <class T>
    void fill(Place<T>& place, T& descriptor);
    void updateInterest();
    void leave();
    bool ours() const noexcept;
    unsigned readyNow() const noexcept;
    template <class T>
    bool hold(Place<T>& place);
    template <class T>
    void serve(Place<T>& place, IoResult (T::*method)(), const Failure& hangUp);
    void end(DescriptorCall& call, unsigned direction, const Failure& reason);

    DescriptorSet& set_;
    FileIdentity file_;
    bool polled_;  // by the kernel
    Place<ReadDescriptor> reader_;
    Place<WriteDescriptor> writer_;
};

class DescriptorSet {
public:
    explicit DescriptorSet(ReactorCore& core) : core_(core) {}
    DescriptorSet(const DescriptorSet&) = delete;
    DescriptorSet& operator=(const DescriptorSet&) = delete;

    void add(ReadDescriptor& reader) { addTo(reader, reader); }
    void add(WriteDescriptor& writer) { addTo(writer, writer); }
    /// A stranger is ignored.
    void remove(FileDescriptor& object, unsigned directions);
    std::vector<FileDescriptor*> removeAll();
    std::vector<ReadDescriptor*> readers() const;
    std::vector<WriteDescriptor*> writers() const;
    /// What serves regular files: nobody's business outside.
    const DelayedCall& timer() const noexcept { return timer_; }

private:
    friend class WatchedNumber;
    static constexpr std::chrono::milliseconds kInterval{1};

    template <class T>
    void addTo(FileDescriptor& object, T& descriptor);
    void serveByTimer(WatchedNumber& number, bool on);
    void armTimer();
    void serveAlwaysReady();

    ReactorCore& core_;
    std::map<int, std::shared_ptr<WatchedNumber>> numbers_;
    std::map<int, WatchedNumber*> alwaysReady_;
    int lastServed_ = -1;
    DelayedCall timer_;
};

}  // namespace bine::inline v0::detail
