#pragma once
// ConnectAttempt: from "connect to this host" to a transport: resolving, trying one address after the other,
// the deadline. Internal; reactor's thread.
//
// Stands above the Network seam. The reactor's Room keeps it until it has ended. The addresses of a name share
// the time that is left: each attempt may take an equal share, so that one that never answers leaves time for
// the others.

#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/net/errors.h"
#include "bine/net/network.h"
#include "bine/net/room.h"

namespace bine::inline v0::detail {

class ConnectAttempt final : public Room::Member, public std::enable_shared_from_this<ConnectAttempt> {
public:
    /// `where` is the place in the program that asked for the connection.
    ConnectAttempt(std::shared_ptr<Room> room, Address destination, StreamOptions options,
                   std::source_location where);
    ~ConnectAttempt() override;

    /// Begins in a later turn; fails at once if the reactor is gone.
    Deferred<std::shared_ptr<Transport>> start(Duration timeout);
    /// Ends it with this reason, now. No effect once it has ended.
    void fail(const Failure& reason);
    void reactorStopped() override;

private:
    using Answer = Resolver<std::shared_ptr<Transport>>;

    void begin();
    void resolved(std::vector<Address> addresses);
    void tryNext();
    void addressFailed(const Failure& reason);
    void shareIsOver();
    void deadlinePassed();
    Failure allFailed(Duration duration);
    Failure timedOut(const Address& address) const;
    void connected(std::shared_ptr<Transport> transport);
    void cancelStepIfOver();
    bool leave() noexcept;

    std::weak_ptr<Room> room_;
    Address destination_;
    StreamOptions options_;
    const std::source_location where_;
    Duration timeout_{};
    TimePoint started_;
    std::vector<Address> addresses_; // to be tried, the next one last
    std::optional<Address> current_; // being tried
    TimePoint currentStarted_;
    std::vector<FailedAddress> failed_;
    std::unique_ptr<Answer> answer_; // null once it has ended
    DelayedCall begin_;
    DelayedCall deadline_;
    DelayedCall share_; // of current_, if others wait behind it
    DeferredRef step_;  // resolving or connecting
};

} // namespace bine::inline v0::detail
