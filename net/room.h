#pragma once
// Room: what a reactor's networking keeps per reactor. Internal; reactor's thread.
//
// It ends attempts, ports, waiting retries and kept transports in the 'during shutdown' phase, and when the
// reactor dies without one. A frame may keep a Room beyond the reactor's death: reactor() tells.

#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "bine/net/protocol.h"
#include "bine/net/transport.h"
#include "bine/reactors/fork.h"
#include "bine/reactors/goodbyes.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0::detail {

class Room : public std::enable_shared_from_this<Room>, public LastWords {
public:
    static std::shared_ptr<Room> of(Reactor& reactor);

    explicit Room(Reactor& reactor);
    ~Room() override;
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    /// Null once the reactor is dead, and while a shutdown ends its connections: then nothing new begins. Ask
    /// again after each call of user code.
    Reactor* reactor() const noexcept;

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

    // Of kept transports; the reactor's handlers it asks itself.
    void beginTelling() override;
    bool tellNext() override;
    Deferred<> sent() override;
    Unsent unsent() const override;

private:
    struct Home;

    void watchShutdown();
    bool endOne();
    void endAll();
    void leaveToParent();
    void drop(const std::shared_ptr<Transport>& transport) noexcept;

    Reactor* reactor_;
    ReactorCore* core_; // counted; null for a reactor that has none
    const unsigned process_ = forkGeneration(); // the connections of another process are not ended
    bool watching_ = false;
    bool ending_ = false; // in 'during shutdown'
    std::unordered_map<Member*, std::shared_ptr<Member>> members_;
    std::unordered_set<std::shared_ptr<Transport>> kept_;
    std::vector<std::weak_ptr<Transport>> toTell_; // that the reactor stops
};

} // namespace bine::inline v0::detail
