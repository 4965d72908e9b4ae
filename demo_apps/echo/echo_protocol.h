#pragma once
// One echo server for three programs: what comes in goes out. The protocol and its factory know nothing of Qt, GTK or any loop.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "bine/defer/function.h"
#include "bine/net/factory.h"
#include "bine/net/protocol.h"

struct EchoCount {
    std::uint64_t connections = 0;  // now
    std::uint64_t served = 0;       // in all
    std::uint64_t bytes = 0;
};

class EchoFactory;

class Echo : public bine::Protocol {
public:
    explicit Echo(std::shared_ptr<EchoFactory> factory) : factory_(std::move(factory)) {}
    void connectionMade() override;
    void dataReceived(std::string_view data) override;
    void connectionLost(const bine::Failure&) override;

private:
    std::shared_ptr<EchoFactory> factory_;
};

/// Counts, and calls `changed` at most twenty times a second.
class EchoFactory : public bine::Factory {
public:
    EchoFactory(bine::Clock& clock, bine::Function<void(const EchoCount&)> changed) : clock_(clock), changed_(std::move(changed)) {}

    std::shared_ptr<bine::Protocol> buildProtocol(const bine::Address&) override {
        return std::make_shared<Echo>(std::static_pointer_cast<EchoFactory>(shared_from_this()));
    }
    template <class F>
    void update(F&& f) {
        f(count_);
        if (telling_.active()) return;
        telling_ = clock_.callLater(std::chrono::milliseconds(50), [this] { changed_(count_); });
        telling_.ownedBy(*this);
    }

private:
    bine::Clock& clock_;
    bine::Function<void(const EchoCount&)> changed_;
    EchoCount count_;
    bine::DelayedCall telling_;
};

inline void Echo::connectionMade() {
    // A peer that writes and never reads must not fill the memory with its own echo.
    transport().readWhileBlocked(false);
    factory_->update([](EchoCount& count) { ++count.connections, ++count.served; });
}

inline void Echo::dataReceived(std::string_view data) {
    transport().write(data);
    factory_->update([&](EchoCount& count) { count.bytes += data.size(); });
}

inline void Echo::connectionLost(const bine::Failure&) {
    factory_->update([](EchoCount& count) { --count.connections; });
}

/// "12.3 MB"
inline std::string inUnits(std::uint64_t bytes) {
    static constexpr const char* units[] = {"bytes", "kB", "MB", "GB", "TB"};
    std::uint64_t whole = bytes, rest = 0;
    int unit = 0;
    for (; whole >= 1000 && unit < 4; ++unit) {
        rest = whole % 1000;
        whole /= 1000;
    }
    const std::string tenth = unit > 0 && whole < 100 ? "." + std::to_string(rest / 100) : "";
    return std::to_string(whole) + tenth + " " + units[unit];
}
