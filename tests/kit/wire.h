#pragma once
// Wire: I/O in its smallest form, for tests of the reactor itself: a socket pair, one end in the reactor, the
// other in the test's hand.
//
// The reactor's end reads one piece per event and hands it on; it sends nothing. Reactor's thread, but
// send(), which any thread may call.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bine/reactors/reactor.h"

namespace bine::kit {

class Wire {
public:
    /// `received` gets each piece, in the reactor; what it throws is logged there. Watched at once. Throws
    /// std::system_error.
    Wire(Reactor& reactor, std::function<void(std::string)> received);
    /// Closes both ends; safe after the reactor's death.
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// Sends from the far end.
    void send(std::string_view text);
    /// Takes the reactor's end out of the reactor and closes it.
    void close();
    /// Whether the reactor still has its end.
    bool open() const;
    /// Called when the reactor ends its end: at shutdown.
    void whenStopped(std::function<void()> f);

private:
    class End;
    std::shared_ptr<End> end_;
    int far_ = -1;
};

} // namespace bine::kit
