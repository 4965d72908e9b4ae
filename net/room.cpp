#include "bine/net/room.h"

#include <stdexcept>

#include "bine/net/errors.h"
#include "bine/net/network.h"
#include "bine/net/transport_access.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/reactor_core.h"
#include "bine/reactors/shutdown_work.h"

namespace bine::inline v0 {

namespace detail {

/// The reactor's own reference to its Room: the service that dies with the reactor.
struct Room::Home final : ShutdownWork {
    explicit Home(std::shared_ptr<Room> room) : room(std::move(room)) {}
    ~Home() override {
        room->reactor_ = nullptr;
        if (forkGeneration() == room->process_)
            room->endAll();
        else
            room->leaveToParent();
    }
    bool endOne() override { return room->endOne(); }
    void endAll() override { room->endAll(); }

    const std::shared_ptr<Room> room;
};

std::shared_ptr<Room> Room::of(Reactor& reactor) {
    if (const auto home = reactor.service<Home>())
        return home->room;
    const auto home = std::make_shared<Home>(std::make_shared<Room>(reactor));
    reactor.provideService<Home>(home);
    reactor.provideService<ShutdownWork>(home);
    reactor.provideService<LastWords>(home->room);
    return home->room;
}

Room::Room(Reactor& reactor) : reactor_(&reactor), core_(reactor.core()) {
    if (core_)
        core_->ref();
}

Room::~Room() {
    if (core_)
        core_->unref();
}

// The core knows of the reactor's death before the services die.
Reactor* Room::reactor() const noexcept {
    const bool dead = core_ && !core_->reactor();
    return dead || ending_ ? nullptr : reactor_;
}

void Room::add(const std::shared_ptr<Member>& member) {
    watchShutdown();
    members_[member.get()] = member;
}

// The last reference may be here: what its end does shall find the containers in order.
void Room::remove(Member& member) noexcept { const auto last = members_.extract(&member); }
void Room::drop(const std::shared_ptr<Transport>& transport) noexcept {
    const auto last = kept_.extract(transport);
}

void Room::attach(const std::shared_ptr<Transport>& givenTransport,
                  const std::shared_ptr<Protocol>& givenProtocol) {
    const auto self = shared_from_this();
    const auto transport = givenTransport; // the caller's may change in connectionMade()
    const auto protocol = givenProtocol;
    if (!TransportAccess::keptAlive(*transport)) {
        watchShutdown();
        kept_.insert(transport);
        if (reactor_)
            TransportAccess::useClock(*transport, *reactor_);
        TransportAccess::afterLoss(
            *transport, [weak = weak_from_this(), key = std::weak_ptr<Transport>(transport)](const Failure&) {
                const auto room = weak.lock();
                if (const auto lost = key.lock(); lost && room)
                    room->drop(lost);
            });
    }
    try {
        protocol->makeConnection(transport);
    } catch (...) {
        drop(transport);
        throw;
    }
}

// Triggers run once: watching begins afresh in each run of the reactor that needs it.
void Room::watchShutdown() {
    if (watching_ || !reactor_)
        return;
    watching_ = true;
    reactor_->addSystemEventTrigger(Phase::during, "shutdown", [weak = weak_from_this()] {
        const auto room = weak.lock();
        if (!room)
            return;
        room->endAll();
        room->watching_ = room->ending_ = false; // at last: else each that is attached meanwhile adds a trigger
    });
}

void Room::beginTelling() { toTell_.assign(kept_.begin(), kept_.end()); }

bool Room::tellNext() {
    while (!toTell_.empty()) {
        const auto transport = toTell_.back().lock();
        toTell_.pop_back();
        if (!transport)
            continue;
        TransportAccess::deliverStopping(*transport);
        return true;
    }
    return false;
}

Deferred<> Room::sent() {
    const auto all = std::make_shared<Resolver<>>();
    auto result = all->deferred();
    const auto waiting = std::make_shared<std::size_t>(1);
    const auto oneLess = [all, waiting] {
        if (--*waiting == 0)
            all->callback();
    };
    for (const auto& transport : kept_) {
        if (transport->buffered() == 0)
            continue;
        ++*waiting;
        transport->drained().addBoth([oneLess](Result<void>) { oneLess(); });
    }
    oneLess();
    return result;
}

Unsent Room::unsent() const {
    Unsent all;
    for (const auto& transport : kept_)
        all.add(transport->buffered());
    return all;
}

// Pops one, ends one: user code runs, and may begin or end others.
bool Room::endOne() {
    if (watching_)
        ending_ = true; // until the trigger runs
    if (!members_.empty()) {
        const auto first = members_.extract(members_.begin());
        guarded("Unhandled error at the end of the reactor", [&] { first.mapped()->reactorStopped(); });
        return true;
    }
    if (!kept_.empty()) {
        const auto first = kept_.extract(kept_.begin());
        guarded("Unhandled error at the end of the reactor",
                [&] { TransportAccess::endNow(*first.value(), ConnectionLost("the reactor has stopped")); });
        return true;
    }
    return false;
}

// In a child of fork() the connections are the parent's.
void Room::leaveToParent() {
    keepForever(std::make_shared<decltype(members_)>(std::exchange(members_, {})));
    keepForever(std::make_shared<decltype(kept_)>(std::exchange(kept_, {})));
}

// What is attached meanwhile is ended too, unless that goes on without end.
void Room::endAll() {
    const auto self = shared_from_this();
    ending_ = true;
    for (int pass = 0; pass < 10; ++pass)
        for (std::size_t left = members_.size() + kept_.size(); left > 0 && endOne(); --left) {}
}

} // namespace detail

void attach(Reactor& reactor, const std::shared_ptr<Transport>& transport,
            const std::shared_ptr<Protocol>& protocol) {
    reactor.assertThread("attach()");
    if (!transport || !protocol)
        throw std::invalid_argument("attach: a transport and a protocol are needed");
    detail::Room::of(reactor)->attach(transport, protocol);
}

} // namespace bine::inline v0
