#include "bine/reactors/errors.h"

#include <cstring>
#include <utility>

namespace bine::inline v0 {

// Out of line: one home for each class's type information.
ReactorNotRunning::~ReactorNotRunning() = default;
ReactorAlreadyRunning::~ReactorAlreadyRunning() = default;
ReactorNotRestartable::~ReactorNotRestartable() = default;
NoHostLoop::~NoHostLoop() = default;

ConnectionClosed::~ConnectionClosed() = default;
std::string ConnectionClosed::phase() const { return "connected"; }

ConnectionDone::ConnectionDone() : ConnectionClosed("the connection was closed cleanly") {}
ConnectionDone::~ConnectionDone() = default;
std::string ConnectionDone::userMessage() const { return "The connection was closed."; }

static std::string lostText(const std::string& why, int osError) {
    std::string text = why.empty() ? "the connection was lost" : why;
    if (osError != 0) text += ": " + detail::systemErrorText(osError);
    return text;
}

ConnectionLost::ConnectionLost(std::string why, int osError) : ConnectionClosed(lostText(why, osError)), osError_(osError) {}
ConnectionLost::ConnectionLost(int osError) : ConnectionLost(std::string(), osError) {}
ConnectionLost::~ConnectionLost() = default;
std::string ConnectionLost::userMessage() const { return "The connection was lost. Try again."; }
bool ConnectionLost::isTransient() const { return true; }

ConnectionFdescWentAway::ConnectionFdescWentAway(std::string why) : ConnectionLost(why.empty() ? "the descriptor went away" : std::move(why)) {}
ConnectionFdescWentAway::~ConnectionFdescWentAway() = default;
std::string ConnectionFdescWentAway::userMessage() const { return "Something went wrong in this program: a connection was closed unexpectedly."; }
bool ConnectionFdescWentAway::isTransient() const { return false; }

// Leaked: connections may end while static objects are being destroyed.
const Failure& connectionDone() {
    static const Failure* const done = new Failure(ConnectionDone());
    return *done;
}

std::string detail::systemErrorText(int osError) {
    char room[128];
    std::string text = strerror_r(osError, room, sizeof room);  // GNU's: returns the text
    if (const char* name = strerrorname_np(osError)) text += std::string(" (") + name + ")";
    return text;
}

}  // namespace bine::inline v0
