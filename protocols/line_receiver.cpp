#include "bine/protocols/line_receiver.h"

#include <stdexcept>
#include <utility>

#include "bine/net/transport_access.h"

namespace bine::inline v0 {

// --- LineOnlyReceiver

LineOnlyReceiver::LineOnlyReceiver() = default;
LineOnlyReceiver::~LineOnlyReceiver() = default;

void LineOnlyReceiver::lineLengthExceeded(std::string_view) { transport().loseConnection(); }

void LineOnlyReceiver::sendLine(const TextArgument& line) { transport().writeSequence({line.view(), delimiter_}); }

void LineOnlyReceiver::setDelimiter(std::string_view delimiter) {
    if (delimiter.empty()) throw std::invalid_argument("setDelimiter: a delimiter has at least one byte");
    delimiter_ = delimiter;
    buffer_.searchAgain();
}

void LineOnlyReceiver::dataReceived(std::string_view data) {
    // A transport never calls in here while a line is being delivered; other callers may.
    if (buffer_.isOpen()) {
        buffer_.append(data);
        return;
    }
    struct Close {
        detail::LineBuffer& buffer;
        ~Close() { buffer.close(); }
    };
    wasConnected_ = connected();
    do {
        const Close close{buffer_};
        buffer_.open(std::exchange(data, {}));
        deliver();
        if (buffer_.kept() == 0) return;
    } while (listening());
}

// Neither closed nor closing since dataReceived() was called.
bool LineOnlyReceiver::listening() const noexcept {
    return !transport().disconnecting() && (!wasConnected_ || connected());
}

void LineOnlyReceiver::deliver() {
    while (listening() && deliverLine()) {}
}

bool LineOnlyReceiver::deliverLine() {
    std::string_view line;
    switch (buffer_.next(delimiter_, maxLength_, line)) {
    case detail::LineBuffer::Found::nothing: return false;
    case detail::LineBuffer::Found::line: lineReceived(line); return true;
    case detail::LineBuffer::Found::tooLong: lineLengthExceeded(line); return true;
    }
    return false;
}

// --- LineReceiver

LineReceiver::LineReceiver() = default;
LineReceiver::~LineReceiver() = default;

void LineReceiver::rawDataReceived(std::string_view) {
    throw std::logic_error(logPrefix() + " went into raw mode and has no rawDataReceived()");
}

void LineReceiver::setRawMode() {
    lineMode_ = false;
    buffer_.endSkipping();
}

void LineReceiver::setLineMode(std::string_view rest) {
    lineMode_ = true;
    buffer_.searchAgain();
    buffer_.append(rest);
    goOn();
}

void LineReceiver::pauseProducing() {
    paused_ = true;
    transport().pauseProducing();
}

void LineReceiver::resumeProducing() {
    const auto self = weak_from_this().lock();
    paused_ = false;
    goOn();
    if (!paused_) transport().resumeProducing();
}

void LineReceiver::stopProducing() {
    paused_ = true;
    transport().stopProducing();
}

std::string LineReceiver::clearLineBuffer() { return buffer_.clear(); }

bool LineReceiver::holdsInput() const noexcept { return paused_ && buffer_.kept() != 0; }

// Delivers what is kept, outside of dataReceived().
void LineReceiver::goOn() {
    if (buffer_.isOpen() || buffer_.kept() == 0 || paused_) return;
    const auto self = weak_from_this().lock();
    if (connected())
        detail::TransportAccess::callHandler(transport(), "dataReceived()", [this] { dataReceived({}); });
}

void LineReceiver::deliver() {
    while (!paused_ && !buffer_.empty() && listening()) {
        if (lineMode_) {
            if (!deliverLine()) return;
        } else {
            rawDataReceived(buffer_.takeAll());
        }
    }
}

}  // namespace bine::inline v0
