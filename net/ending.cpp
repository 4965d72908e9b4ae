#include "bine/net/ending.h"

#include <stdexcept>
#include <utility>

#include "bine/net/transport.h"
#include "bine/net/transport_access.h"

namespace bine::inline v0 {

Linger::Linger(Delay time) : time_(time.value()) {
    if (time_ < Duration::zero())
        throw std::invalid_argument("Linger: the time must not be negative");
}

HoldOpen& HoldOpen::operator=(HoldOpen&& other) noexcept {
    if (this != &other) {
        release();
        transport_ = std::move(other.transport_);
    }
    return *this;
}

void HoldOpen::release() noexcept {
    if (const auto transport = std::exchange(transport_, {}).lock())
        detail::TransportAccess::releaseHold(*transport);
}

HoldOpen::operator bool() const noexcept {
    const auto transport = transport_.lock();
    return transport && transport->connected();
}

} // namespace bine::inline v0
