#include "bine/reactors/goodbyes.h"

#include <algorithm>
#include <string>

#include "bine/log/log.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {

LastWords::~LastWords() = default;

void Goodbyes::begin() {
    if (stage_ != Stage::none) return;
    stage_ = Stage::telling;
    number_ = static_cast<std::uint8_t>(number_ % 255 + 1);
    next_ = 0;
    if (const auto all = others()) all->beginTelling();
    core_.workCame();
}

void Goodbyes::tell() {
    constexpr int kSlice = 1024;
    for (int left = kSlice; left > 0 && stage_ == Stage::telling; --left) {
        if (!tellNext()) {
            if (stage_ == Stage::telling) stage_ = Stage::told;
            return;
        }
        if (core_.turnIsOver()) return;
    }
}

// The state is right before user code runs: a nested turn goes on with the next one.
bool Goodbyes::tellNext() {
    while (next_ < core_.slots_.size()) {
        const std::shared_ptr<IoHandler> handler = core_.slots_[next_++].handler;
        if (!handler || handler->goodbye_ == number_) continue;
        handler->goodbye_ = number_;
        const CallbackMeter::Scope measured(core_.meter_, handler->callbackName());
        guarded("Unhandled error at the beginning of the shutdown", [&] { handler->reactorStopping(); });
        return true;
    }
    const auto all = others();
    if (!all) return false;
    bool told = false;
    guarded("Unhandled error at the beginning of the shutdown", [&] { told = all->tellNext(); });
    return told;
}

bool Goodbyes::done() {
    if (stage_ == Stage::none) {
        begin();
        tell();
    }
    if (stage_ == Stage::told) {
        stage_ = Stage::sending;
        collectUnsent();
    }
    if (stage_ == Stage::sending && !stillUnsent()) stage_ = Stage::over;
    return stage_ == Stage::over;
}

void Goodbyes::giveUp() {
    begin();
    while (stage_ == Stage::telling && tellNext()) {}
    if (!pending()) return;  // all this ended in a loop that one of them ran
    stage_ = Stage::over;
    core_.flushDirty();
    Unsent left;
    for (const auto& slot : core_.slots_)
        if (slot.handler) left.add(slot.handler->queued());
    if (const auto all = others()) {
        const Unsent theirs = all->unsent();
        left.connections += theirs.connections;
        left.bytes += theirs.bytes;
    }
    if (left.connections == 0) return;
    Logger("bine.reactor").warn("The shutdown deadline has passed; " + std::to_string(left.bytes) + " bytes on " + std::to_string(left.connections) +
                                    " connection(s) stay unsent",
                                {{"connections", left.connections}, {"bytes", left.bytes}});
}

void Goodbyes::reset() {
    stage_ = Stage::none;
    unsent_.clear();
    othersSent_ = nullptr;
}

void Goodbyes::handlerOpened(std::size_t slot) {
    if (stage_ != Stage::telling && stage_ != Stage::told) return;
    stage_ = Stage::telling;
    next_ = (std::min)(next_, slot);
    core_.workCame();
}

std::shared_ptr<LastWords> Goodbyes::others() const {
    ReactorBase* const reactor = core_.reactor();
    return reactor ? reactor->service<LastWords>() : nullptr;
}

void Goodbyes::collectUnsent() {
    core_.flushDirty();
    unsent_.clear();
    for (const auto& slot : core_.slots_)
        if (slot.handler && slot.handler->queued() != 0) unsent_.push_back(slot.handler);
    othersSent_ = std::make_shared<bool>(true);
    if (const auto all = others()) {
        *othersSent_ = false;
        all->sent().addBoth([sent = othersSent_, mailbox = core_.mailbox()](Result<void>) {
            *sent = true;
            mailbox->post([] {});  // for a turn that looks
        });
    }
    if (!unsent_.empty() || !*othersSent_) core_.boundGoodbyes();
}

// Each was empty once: a connection that always has something to send keeps nobody.
bool Goodbyes::stillUnsent() {
    for (; !unsent_.empty(); unsent_.pop_back()) {
        const auto handler = unsent_.back().lock();
        if (handler && handler->open() && handler->queued() != 0) return true;
    }
    return othersSent_ && !*othersSent_;
}

}  // namespace bine::inline v0::detail
