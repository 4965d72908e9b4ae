#pragma once
// Finger (RFC 1288), the answering side: a factory that answers from a dictionary, or from a function of yours.
//
//     bine::listenTCP(reactor, 7979, std::make_shared<bine::FingerFactory>(reactor, users));
//
// Reactor's thread. Bounded: a query is one line of at most 512 bytes, a connection gets `timeLimit` for its query and as much again for the answer, and no more than
// `maximumConnections` are served at once, `maximumConnectionsPerPeer` of them for one peer. Queries for other hosts are refused (RFC 1288, section 3.2.1). Queries that reach a lookup hold
// no control characters and are valid UTF-8; whether they make a good file name or command line is for the lookup to judge.

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/log/export.h"
#include "bine/net/factory.h"

namespace bine::inline v0 {

class BINE_EXPORT FingerServerOptions {
public:
    FingerServerOptions() {}
    /// For the query to come, and again for the answer to be found and sent: 60 s unless set. Throws std::invalid_argument unless positive.
    FingerServerOptions& timeLimit(Delay time);
    /// Connections above this are closed at once: 1000 unless set.
    FingerServerOptions& maximumConnections(std::size_t connections) {
        maximumConnections_ = connections;
        return *this;
    }
    /// Connections above this from one peer are closed at once: 50 unless set. A peer is an IPv4 address, or the first 64 bits of an IPv6 address; peers without
    /// an IP address have no limit of their own.
    FingerServerOptions& maximumConnectionsPerPeer(std::size_t connections) {
        maximumConnectionsPerPeer_ = connections;
        return *this;
    }
    Duration timeLimit() const noexcept { return timeLimit_; }
    std::size_t maximumConnections() const noexcept { return maximumConnections_; }
    std::size_t maximumConnectionsPerPeer() const noexcept { return maximumConnectionsPerPeer_; }

private:
    Duration timeLimit_ = std::chrono::seconds(60);
    std::size_t maximumConnections_ = 1000;
    std::size_t maximumConnectionsPerPeer_ = 50;
};

class BINE_EXPORT FingerFactory : public Factory {
public:
    /// Finds what is said about a user, or about everybody if `user` is empty; `verbose`: the long form is wanted. A failure is logged, and the peer is told "Internal error
    /// in server". It is cancelled when the connection is lost; a peer that only ends its
    /// writing still gets the answer.
    using Lookup = Function<Deferred<std::string>(std::string user, bool verbose)>;

    /// The clock (a reactor is one) must outlive the connections.
    FingerFactory(Clock& clock, Lookup lookup, FingerServerOptions options = FingerServerOptions());
    /// Name and text of each user; others are "no such user", and an empty query lists the names.
    FingerFactory(Clock& clock, std::map<std::string, std::string> users, FingerServerOptions options = FingerServerOptions());
    ~FingerFactory() override;

    std::shared_ptr<Protocol> buildProtocol(const Address& peer) override;
    std::size_t connections() const noexcept { return connections_; }

private:
    class Connection;
    struct Peer {
        std::size_t connections = 0;
        bool warned = false;  // of too many; once until it has none
    };
    using Peers = std::map<std::string, Peer>;

    Clock& clock_;
    Lookup lookup_;
    FingerServerOptions options_;
    std::size_t connections_ = 0;
    bool full_ = false;
    Peers peers_;  // those with connections
};

}  // namespace bine::inline v0
