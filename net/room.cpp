#include "bine/net/room.h"

#include <stdexcept>

#include "bine/net/errors.h"
#include "bine/net/network.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0 {

namespace detail {

std::shared_ptr<Room> Room::of(Reactor& reactor) {
    if (auto room = reactor.service<Room>())
        return room;
    auto room = std::make_shared<Room>(reactor);
    reactor.provideService<Room>(room);
    return room;
}

Room::~Room() { endAll(); }

void Room::add(const std::shared_ptr<Member>& member) {
    watchShutdown();
    members_[member.get()] = member;
}

void Room::remove(Member& member) noexcept {
    const auto last = members_.extract(&member); // may be its end, which is to find this map in order
}

void Room::attach(const std::shared_ptr<Transport>& transport, const std::shared_ptr<Protocol>& protocol) {
    if (!TransportAccess::keptAlive(*transport)) {
        watchShutdown();
        kept_.insert(transport);
        TransportAccess::useClock(*transport, reactor_);
        TransportAccess::afterLoss(
            *transport, [weak = weak_from_this(), key = std::weak_ptr<Transport>(transport)](const Failure&) {
                const auto room = weak.lock();
                if (const auto lost = key.lock(); lost && room)
                    room->kept_.erase(lost);
            });
    }
    try {
        protocol->makeConnection(transport);
    } catch (...) {
        kept_.erase(transport);
        throw;
    }
}

// Triggers run once: watching begins afresh in each run of the reactor that needs it.
void Room::watchShutdown() {
    if (watching_)
        return;
    watching_ = true;
    reactor_.addSystemEventTrigger(Phase::during, "shutdown", [weak = weak_from_this()] {
        const auto room = weak.lock();
        if (!room)
            return;
        room->watching_ = false;
        room->endAll();
    });
}

// Pops one, ends one: user code runs, and may begin or end others.
void Room::endAll() {
    for (int left = 100000; left > 0 && !(members_.empty() && kept_.empty()); --left) {
        if (!members_.empty()) {
            const auto first = members_.begin();
            const auto member = first->second;
            members_.erase(first);
            guarded("Unhandled error at the end of the reactor", [&] { member->reactorStopped(); });
        } else {
            const auto transport = *kept_.begin();
            kept_.erase(kept_.begin());
            TransportAccess::endNow(*transport, ConnectionLost("the reactor has stopped"));
        }
    }
}

} // namespace detail

void attach(Reactor& reactor, const std::shared_ptr<Transport>& transport,
            const std::shared_ptr<Protocol>& protocol) {
    if (!transport || !protocol)
        throw std::invalid_argument("attach: a transport and a protocol are needed");
    detail::Room::of(reactor)->attach(transport, protocol);
}

} // namespace bine::inline v0
