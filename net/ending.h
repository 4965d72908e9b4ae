#pragma once
// How a connection ends in order: Linger bounds the end, HoldOpen puts it off until an answer is written.
//
// Reactor's thread only. See Transport::loseConnection(Linger) and Transport::holdOpen().

#include <memory>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class Transport;

/// How long an orderly end may take: transport().loseConnection(bine::Linger(5s)).
class BINE_EXPORT Linger {
public:
    /// Throws std::invalid_argument if the time is negative.
    explicit Linger(Delay time);
    Duration time() const noexcept { return time_; }

private:
    Duration time_;
};

/// An answer is owed: a peer that ends its writing still gets it. Made by Transport::holdOpen(). Keep it until the
/// answer is written; dropping the last one lets the connection end, in a later turn. Does not keep the transport, and
/// is safe when that is gone.
///
///     void lineReceived(std::string_view line) override {
///         lookUp(std::string(line))
///             .ownedBy(*this)
///             .addCallback([this, owed = transport().holdOpen()](const std::string& answer) { sendLine(answer); });
///     } // docs/examples/net.cpp
class [[nodiscard]] HoldOpen {
public:
    /// Holds nothing.
    HoldOpen() noexcept = default;
    HoldOpen(HoldOpen&& other) noexcept = default;
    BINE_EXPORT HoldOpen& operator=(HoldOpen&& other) noexcept;
    HoldOpen(const HoldOpen&) = delete;
    HoldOpen& operator=(const HoldOpen&) = delete;
    ~HoldOpen() { release(); }

    /// The answer is written. Calls nothing back. No effect the second time.
    BINE_EXPORT void release() noexcept;
    /// Whether it holds a connection that has not ended.
    BINE_EXPORT explicit operator bool() const noexcept;

private:
    friend class Transport;
    explicit HoldOpen(std::weak_ptr<Transport> transport) noexcept : transport_(std::move(transport)) {}

    std::weak_ptr<Transport> transport_;
};

} // namespace bine::inline v0
