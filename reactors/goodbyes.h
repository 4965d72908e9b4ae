#pragma once
// Goodbyes: the last words of connections when their reactor stops. Internal; reactor's thread only.
//
// They begin when the 'before shutdown' triggers have been called. Each handler hears of it once, in slices: a turn tells as many as its budget allows, and the next one
// goes on, also a nested one. When the Deferreds of the triggers have fired too, the shutdown waits until what is unsent has been handed to the kernel, but
// not beyond its deadline.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

class IoHandler;
class ReactorCore;

/// What was written and has not reached the kernel.
struct Unsent {
    std::size_t connections = 0;
    std::size_t bytes = 0;
    void add(std::size_t waiting) noexcept {
        connections += waiting != 0;
        bytes += waiting;
    }
};

/// A service of the reactor: connections that are none of its handlers, for the same treatment.
class BINE_EXPORT LastWords {
public:
    virtual ~LastWords();
    /// A shutdown begins: tellNext() is to tell those that are there now.
    virtual void beginTelling() = 0;
    /// Tells one; false if all have been told. Runs user code.
    virtual bool tellNext() = 0;
    /// Fires when what waits now has been sent, or its connection has ended.
    virtual Deferred<> sent() = 0;
    virtual Unsent unsent() const = 0;
};

class Goodbyes {
public:
    explicit Goodbyes(ReactorCore& core) noexcept : core_(core) {}
    Goodbyes(const Goodbyes&) = delete;
    Goodbyes& operator=(const Goodbyes&) = delete;

    /// A slice of tell() is due.
    bool telling() const noexcept { return stage_ == Stage::telling; }
    /// They have begun, and the shutdown may have to wait for them.
    bool pending() const noexcept { return stage_ != Stage::none && stage_ != Stage::over; }

    /// No effect if they have begun.
    void begin();
    /// One slice. Runs user code.
    void tell();
    /// Asked when nothing else keeps the shutdown: whether all have been told, and what was unsent then has been sent. Begins if need be. Runs user code.
    bool done();
    /// The deadline has passed: tells those that have not been told, and logs what stays unsent.
    void giveUp();
    /// None have begun.
    void reset();
    /// A handler was opened in this slot. One that comes late is told too.
    void handlerOpened(std::size_t slot);

private:
    enum class Stage : std::uint8_t { none, telling, told, sending, over };

    bool tellNext();
    std::shared_ptr<LastWords> others() const;
    void collectUnsent();
    bool stillUnsent();

    ReactorCore& core_;
    Stage stage_ = Stage::none;
    std::uint8_t number_ = 0;  // of this shutdown; 0 is none
    std::size_t next_ = 0;     // slot
    std::vector<std::weak_ptr<IoHandler>> unsent_;
    std::shared_ptr<bool> othersSent_;
};

}  // namespace bine::inline v0::detail
