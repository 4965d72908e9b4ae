#pragma once
// Room: what a reactor's networking keeps per reactor. Internal; reactor's thread.
//
// A service of the reactor, alone in holding itself strongly: whoever has a weak_ptr to it learns of the
// reactor's death. It ends attempts, ports and kept transports in the 'during shutdown' phase, and when the
// reactor dies without one.

#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "bine/net/protocol.h"
#include "bine/net/transport.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0::detail {

class Room : public std::enable_shared_from_this<Room> {
public:
    static std::shared_ptr<Room> of(Reactor& reactor);

    explicit Room(Reactor& reactor) : reactor_(reactor) {}
    ~Room();
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    Reactor& reactor() const noexcept { return reactor_; }

    /// Something that lives until it is removed, and ends with the reactor.
    class Member {
    public:
        virtual ~Member() = default;
        virtual void reactorStopped() = 0;
    };
    void add(const std::shared_ptr<Member>& member);
    void remove(Member& member) noexcept;

    /// makeConnection(), keeping the transport if nothing else does.
    void attach(const std::shared_ptr<Transport>& transport, const std::shared_ptr<Protocol>& protocol);

private:
    void watchShutdown();
    void endAll();

    Reactor& reactor_;
    bool watching_ = false;
    std::unordered_map<Member*, std::shared_ptr<Member>> members_;
    std::unordered_set<std::shared_ptr<Transport>> kept_;
};

} // namespace bine::inline v0::detail
