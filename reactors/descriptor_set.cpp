#include "bine/reactors/descriptor_set.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "bine/reactors/activity.h"
#include "bine/reactors/descriptor_call.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {
namespace {

constexpr unsigned kBoth = kReadable | kWritable;

template <class T>
constexpr bool kReads = std::is_same_v<T, ReadDescriptor>;

/// Empty if it says that number; else why it went away.
Failure whyNot(const FileDescriptor& object, int number) {
    int said = -1;
    Failure thrown;
    if (!guarded(thrown, [&] { said = object.fileno(); })) return ConnectionFdescWentAway("fileno() failed: " + thrown.getErrorMessage());
    if (said == number) return {};
    return ConnectionFdescWentAway("the descriptor was " + std::to_string(number) + ", and fileno() says " + std::to_string(said));
}

Failure numberReused(int number) { return ConnectionFdescWentAway("descriptor " + std::to_string(number) + " was closed while the reactor watched it"); }

/// What a socket says of its end; nothing for what is none.
int pendingError(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : 0;
}

}  // namespace

bool FileIdentity::look(int fd) noexcept {
    struct stat found {};
    if (::fstat(fd, &found) != 0) return false;
    device_ = found.st_dev;
    node_ = found.st_ino;
    mode_ = found.st_mode & S_IFMT;
    return true;
}

// --- One number

WatchedNumber::WatchedNumber(DescriptorSet& set, FileIdentity file) : set_(set), file_(file), polled_(!file.alwaysReady()) {}

WatchedNumber::~WatchedNumber() {
    if (reader_) reader_.object->watched_ = nullptr;
    if (writer_) writer_.object->watched_ = nullptr;
}

bool WatchedNumber::has(const FileDescriptor& object, unsigned directions) const noexcept {
    return ((directions & kReadable) && reader_.object == &object) || ((directions & kWritable) && writer_.object == &object);
}

bool WatchedNumber::ours() const noexcept {
    FileIdentity now;
    return open() && now.look(fd()) && now == file_;
}

bool WatchedNumber::leftBehind(const FileDescriptor& newcomer) const {
    const auto left = [&](const FileDescriptor* object) { return object && object != &newcomer && whyNot(*object, fd()); };
    return left(reader_.object) || (writer_.object != reader_.object && left(writer_.object));
}

void WatchedNumber::add(ReadDescriptor& reader) { fill(reader_, reader); }
void WatchedNumber::add(WriteDescriptor& writer) { fill(writer_, writer); }

template <class T>
void WatchedNumber::fill(Place<T>& place, T& descriptor) {
    FileDescriptor& object = descriptor;
    if (place.object == &object) return;
    if (place)
        throw std::logic_error(std::string(kReads<T> ? "addReader" : "addWriter") + ": descriptor " + std::to_string(fd()) + " has one already");
    place = {&descriptor, &object, core()->turnNumber(), false};
    object.watched_ = this;
    try {
        updateInterest();
    } catch (const std::system_error& error) {
        if (error.code().value() == EPERM && polled_) {  // the kernel cannot wait for it: /dev/null, for one
            polled_ = false;
            wantReading(false);
            wantWriting(false);
            return updateInterest();
        }
        remove(object, kReads<T> ? kReadable : kWritable);
        throw;
    } catch (...) {
        remove(object, kReads<T> ? kReadable : kWritable);
        throw;
    }
}

void WatchedNumber::remove(FileDescriptor& object, unsigned directions) {
    const auto self = shared_from_this();
    if ((directions & kReadable) && reader_.object == &object) reader_ = {};
    if ((directions & kWritable) && writer_.object == &object) writer_ = {};
    if (!has(object, kBoth)) object.watched_ = nullptr;
    if (!open()) return;
    if (reader_ || writer_)
        guarded("Unhandled error when a descriptor was removed", [&] { updateInterest(); });
    else
        leave();
}

void WatchedNumber::updateInterest() {
    const bool reading = reader_ && !reader_.held;
    const bool writing = writer_ && !writer_.held;
    if (!polled_) return set_.serveByTimer(*this, reading || writing);
    if (reading == wantsReading() && writing == wantsWriting()) return;
    if (!ours()) return wentAway();
    wantReading(reading);
    wantWriting(writing);
}

// Of the kernel's set, without closing anything.
void WatchedNumber::leave() {
    const int number = fd();
    if (!polled_) set_.serveByTimer(*this, false);
    const bool released = ours() && guarded("Unhandled error when a descriptor was removed", [&] { releaseDescriptor(); });
    if (!released) abandonDescriptor();
    set_.numbers_.erase(number);
}

void WatchedNumber::wentAway() {
    const auto self = std::static_pointer_cast<WatchedNumber>(shared_from_this());
    ReactorCore& home = *core();
    const int number = fd();
    leave();
    home.soon([self, number] { self->disconnect(numberReused(number)); });
}

void WatchedNumber::disconnect(const Failure& reason) {
    FileDescriptor* const reader = reader_.object;
    FileDescriptor* const writer = writer_.object;
    if (reader) DescriptorCall::disconnect(*reader, reason);
    if (writer && writer_.object == writer) DescriptorCall::disconnect(*writer, reason);
}

void WatchedNumber::reactorStopped() { disconnect(ConnectionLost("the reactor has stopped")); }

void WatchedNumber::callReturned(const FileDescriptor& object) {
    const auto self = shared_from_this();
    bool held = false;
    if (reader_.object == &object) held = std::exchange(reader_.held, false);
    if (writer_.object == &object) held = std::exchange(writer_.held, false) || held;
    if (held && open()) guarded("Unhandled error when a callback had returned", [&] { updateInterest(); });
}

unsigned WatchedNumber::readyNow() const noexcept {
    pollfd one{fd(), static_cast<short>((reader_ ? POLLIN : 0) | (writer_ ? POLLOUT : 0)), 0};
    if (::poll(&one, 1, 0) <= 0) return 0;
    unsigned what = 0;
    if (one.revents & POLLIN) what |= kReadable;
    if (one.revents & POLLOUT) what |= kWritable;
    if (one.revents & POLLHUP) what |= kHangUp;
    if (one.revents & (POLLERR | POLLNVAL)) what |= kIoError;
    return what;
}

// Whoever calls this keeps it, and the core.
CallbackName WatchedNumber::callbackName() const noexcept {
    CallbackName name = IoHandler::callbackName();
    if (const ReadDescriptor* const reader = reader_.descriptor)
        name.name = typeid(*reader).name();
    else if (const WriteDescriptor* const writer = writer_.descriptor)
        name.name = typeid(*writer).name();
    return name;
}

void WatchedNumber::ioReady(unsigned events) {
    endDeadOwners();
    if (!open()) return;
    if (!ours()) return disconnect(numberReused(fd()));
    ReactorCore& home = *core();
    const std::uint64_t turn = home.turnNumber();
    // What was fetched before they were added may have been used up by those whose place they took, and what was fetched for an earlier turn by anybody since: a
    // descriptor that blocks must not be read when there is nothing.
    if (polled_ && (home.eventIsOld() || reader_.addedIn == turn || writer_.addedIn == turn)) events = readyNow();
    const FileDescriptor* const reader = reader_.object;
    const FileDescriptor* const writer = writer_.object;
    const std::uint64_t writerAdded = writer_.addedIn;
    const bool hungUp = (events & kHangUp) && !(events & kReadable);
    if (reader && (events & (kReadable | kHangUp | kIoError)))
        serve(reader_, &ReadDescriptor::doRead, hungUp ? connectionDone() : Failure());
    endDeadOwners();
    if (!writer || !open() || writer_.object != writer || writer_.addedIn != writerAdded) return;
    // A nested loop ran: whether it can write now nobody knows.
    if (home.turnNumber() != turn) return;
    // An error is for the reader to find, if there is one.
    if (hungUp || (!reader && (events & kIoError)))
        serve(writer_, &WriteDescriptor::doWrite, ConnectionLost("the other end is gone", pendingError(fd())));
    else if (events & kWritable)
        serve(writer_, &WriteDescriptor::doWrite, Failure());
}

template <class T>
void WatchedNumber::serve(Place<T>& place, IoResult (T::*method)(), const Failure& hangUp) {
    constexpr unsigned direction = kReads<T> ? kReadable : kWritable;
    if (hold(place)) return;
    T& descriptor = *place.descriptor;
    FileDescriptor& object = *place.object;
    const int number = fd();
    DescriptorCall call(object);
    const Failure reason = hangUp ? hangUp : call.run(kReads<T> ? "doRead()" : "doWrite()", [&]() -> IoResult {
        if (Failure gone = whyNot(object, number)) return gone;
        if (!call.object() || !has(object, direction)) return {};
        IoResult result = (descriptor.*method)();
        if (!result.isFailure() && call.object() && has(object, kBoth)) return whyNot(object, number);
        return result;
    });
    if (reason && call.object() && !DescriptorCall::silent(object)) end(call, direction, reason);
    call.end();
}

// Its code is on the stack: the kernel is not to tell until that has returned.
template <class T>
bool WatchedNumber::hold(Place<T>& place) {
    if (DescriptorCall::silent(*place.object)) {
        remove(*place.object, kBoth);
        return true;
    }
    if (!DescriptorCall::busy(*place.object)) return false;
    place.held = true;
    guarded("Unhandled error when a descriptor was busy", [&] { updateInterest(); });
    return true;
}

void WatchedNumber::end(DescriptorCall& call, unsigned direction, const Failure& reason) {
    auto* const half = reason.check<ConnectionDone>() && !call.lost() ? dynamic_cast<HalfCloseableDescriptor*>(call.object()) : nullptr;
    if (!half) return call.lose(reason);
    if (has(*call.object(), direction)) remove(*call.object(), direction);
    const bool reading = direction == kReadable;
    const Failure failure = call.run(reading ? "readConnectionLost()" : "writeConnectionLost()", [&]() -> IoResult {
        reading ? half->readConnectionLost(reason) : half->writeConnectionLost(reason);
        return {};
    });
    if (failure) call.lose(failure);
}

// --- All of them

template <class T>
void DescriptorSet::addTo(FileDescriptor& object, T& descriptor) {
    const std::string what = kReads<T> ? "addReader: " : "addWriter: ";
    if (!core_.reactor()) throw std::logic_error(what + "the reactor is being destroyed");
    if (DescriptorCall::silent(object)) return;
    const int number = object.fileno();
    FileIdentity file;
    if (number < 0 || !file.look(number)) throw ConnectionFdescWentAway(what + "there is no descriptor " + std::to_string(number));
    if (WatchedNumber* const before = object.watched_) {
        if (&before->set_ != this) throw std::logic_error(what + "the object is in another reactor");
        if (before->means(number, file)) return before->add(descriptor);
        // It means something else by now: what it was added for before goes there too.
        ReadDescriptor* const reader = before->has(object, kReadable) ? before->reader() : nullptr;
        WriteDescriptor* const writer = before->has(object, kWritable) ? before->writer() : nullptr;
        before->remove(object, kBoth);
        if (reader) add(*reader);
        if (writer) add(*writer);
        return addTo(object, descriptor);
    }
    if (const auto there = numbers_.find(number); there != numbers_.end()) {
        const auto before = there->second;
        if ((!before->means(number, file) || before->leftBehind(object)) && before->open()) before->wentAway();
    }
    if (const auto there = numbers_.find(number); there != numbers_.end()) return std::shared_ptr(there->second)->add(descriptor);
    const auto fresh = std::make_shared<WatchedNumber>(*this, file);
    fresh->start(core_, number);
    numbers_.emplace(number, fresh);
    fresh->add(descriptor);
}

template void DescriptorSet::addTo(FileDescriptor&, ReadDescriptor&);
template void DescriptorSet::addTo(FileDescriptor&, WriteDescriptor&);

void DescriptorSet::remove(FileDescriptor& object, unsigned directions) {
    if (object.watched_ && &object.watched_->set_ == this) object.watched_->remove(object, directions);
}

std::vector<FileDescriptor*> DescriptorSet::removeAll() {
    std::vector<FileDescriptor*> all;
    for (const auto& [number, watched] : numbers_) {
        if (FileDescriptor* const reader = watched->reader()) all.push_back(reader);
        FileDescriptor* const writer = watched->writer();
        if (writer && !watched->has(*writer, kReadable)) all.push_back(writer);
    }
    for (FileDescriptor* const object : all) remove(*object, kBoth);
    return all;
}

std::vector<ReadDescriptor*> DescriptorSet::readers() const {
    std::vector<ReadDescriptor*> all;
    for (const auto& [number, watched] : numbers_)
        if (watched->reader()) all.push_back(watched->reader());
    return all;
}

std::vector<WriteDescriptor*> DescriptorSet::writers() const {
    std::vector<WriteDescriptor*> all;
    for (const auto& [number, watched] : numbers_)
        if (watched->writer()) all.push_back(watched->writer());
    return all;
}

void DescriptorSet::serveByTimer(WatchedNumber& number, bool on) {
    if (on)
        alwaysReady_[number.fd()] = &number;
    else
        alwaysReady_.erase(number.fd());
    armTimer();
}

void DescriptorSet::armTimer() {
    if (alwaysReady_.empty()) {
        timer_.cancel();
    } else if (!timer_.active() && core_.reactor()) {
        timer_ = core_.reactor()->callLater(kInterval, [this] { serveAlwaysReady(); });
    }
}

void DescriptorSet::serveAlwaysReady() {
    armTimer();  // a nested loop wants it too
    for (std::size_t left = alwaysReady_.size(); left > 0 && !alwaysReady_.empty(); --left) {
        auto next = alwaysReady_.upper_bound(lastServed_);
        if (next == alwaysReady_.end()) next = alwaysReady_.begin();
        lastServed_ = next->first;
        const auto number = next->second->shared_from_this();
        guarded("Unhandled error in the reactor", [&] { number->ioReady(kBoth); });
        if (core_.turnIsOver()) return;
    }
}

}  // namespace bine::inline v0::detail
