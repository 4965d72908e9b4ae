#include "bine/protocols/finger_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "bine/log/log.h"
#include "bine/protocols/finger_query.h"
#include "bine/protocols/line_receiver.h"

namespace bine::inline v0 {

namespace {

const Logger& logger() {
    static const Logger log("bine.finger");
    return log;
}

/// Lines as they travel: each ends in "\r\n", the last one too.
std::string asLines(std::string_view text) {
    std::string lines;
    lines.reserve(text.size() + text.size() / 16 + 2);
    for (const char c : text) {
        if (c == '\n' && !lines.ends_with('\r')) lines += '\r';
        lines += c;
    }
    if (!lines.ends_with("\r\n")) lines += "\r\n";
    return lines;
}

/// What connections of one peer have in common: an IPv4 address, the network of an IPv6 address, or nothing.
std::string peerKey(const Address& peer) {
    const auto* six = peer.get<IPv6Address>();
    if (!six) return peer.get<IPv4Address>() ? peer.host() : std::string();
    in6_addr bytes{};
    inet_pton(AF_INET6, six->host().c_str(), &bytes);
    if (IN6_IS_ADDR_V4MAPPED(&bytes)) return six->host().substr(six->host().rfind(':') + 1);
    std::fill(std::begin(bytes.s6_addr) + 8, std::end(bytes.s6_addr), std::uint8_t(0));
    char text[INET6_ADDRSTRLEN];
    return std::string(inet_ntop(AF_INET6, &bytes, text, sizeof text)) + "/64%" + std::to_string(six->scopeID());
}

FingerFactory::Lookup inDictionary(std::map<std::string, std::string> users) {
    return [users = std::move(users)](const std::string& user, bool) {
        if (!user.empty()) {
            const auto found = users.find(user);
            return succeed(found == users.end() ? "finger: " + user + ": no such user." : found->second);
        }
        std::string names;
        for (const auto& entry : users) names += entry.first + "\n";
        return succeed(names.empty() ? std::string("No one is known here.") : std::move(names));
    };
}

}  // namespace

FingerServerOptions& FingerServerOptions::timeLimit(Delay time) {
    const Duration duration = time.value();
    if (duration <= Duration::zero()) throw std::invalid_argument("FingerServerOptions::timeLimit must be positive");
    timeLimit_ = duration;
    return *this;
}

class FingerFactory::Connection final : public LineOnlyReceiver {
public:
    Connection(std::shared_ptr<FingerFactory> factory, Peers::iterator peer) : factory_(std::move(factory)), peer_(peer) {
        ++factory_->connections_;
        ++peer_->second.connections;
        setDelimiter("\n");  // some clients leave the return out
        setMaxLength(FingerQuery::maximumLength + 1);
    }
    ~Connection() override {
        --factory_->connections_;
        if (--peer_->second.connections == 0) factory_->peers_.erase(peer_);
    }

    void connectionMade() override {
        deadline_ = factory_->clock_.callLater(factory_->options_.timeLimit(), [this] { transport().abortConnection(); });
        deadline_.ownedBy(*this);
    }
    void lineReceived(std::string_view line) override {
        if (std::exchange(asked_, true)) return;
        if (deadline_.active()) deadline_.reset(factory_->options_.timeLimit());
        if (line.ends_with('\r')) line.remove_suffix(1);
        try {
            const FingerQuery query = FingerQuery::parseLine(line);
            if (query.isForwarding())
                reply("Finger forwarding service denied");
            else
                lookUp(query);
        } catch (const InvalidFingerQuery& e) {
            reply(e.userMessage());
        }
    }
    void lineLengthExceeded(std::string_view) override {
        if (!std::exchange(asked_, true)) reply("This is too long for a query.");
    }
    std::string logPrefix() const override { return "Finger"; }

private:
    void lookUp(const FingerQuery& query) {
        // Many clients end their writing behind the query: the answer is owed all the same, within our own deadline.
        transport().halfClosedTimeout(factory_->options_.timeLimit());
        answer_ = transport().holdOpen();
        lookup(query)
            .ownedBy(*this)
            .addErrback([](const Failure& failure) {
                logger().failure(failure.exceptionPtr(), "the lookup failed", LogLevel::error, failure.getTraceback());
                return std::string("Internal error in server");
            })
            .addCallback([this](std::string text) { reply(text); });
    }
    Deferred<std::string> lookup(const FingerQuery& query) {
        try {
            return factory_->lookup_(query.user(), query.verbose());
        } catch (...) {
            return fail<std::string>(Failure::current());
        }
    }
    void reply(std::string_view text) {
        transport().write(asLines(text));
        transport().loseConnection();
    }

    const std::shared_ptr<FingerFactory> factory_;
    const Peers::iterator peer_;
    DelayedCall deadline_;
    HoldOpen answer_;
    bool asked_ = false;
};

FingerFactory::FingerFactory(Clock& clock, Lookup lookup, FingerServerOptions options)
    : clock_(clock), lookup_(std::move(lookup)), options_(options) {
    if (!lookup_) throw std::invalid_argument("FingerFactory: a lookup is needed");
}

FingerFactory::FingerFactory(Clock& clock, std::map<std::string, std::string> users, FingerServerOptions options)
    : FingerFactory(clock, inDictionary(std::move(users)), options) {}

FingerFactory::~FingerFactory() = default;

std::shared_ptr<Protocol> FingerFactory::buildProtocol(const Address& address) {
    const bool full = connections_ >= options_.maximumConnections();
    if (full && !full_) logger().warn("there are too many connections: new ones are closed", {{"connections", connections_}});
    full_ = full;
    if (full) return nullptr;
    const auto peer = peers_.try_emplace(peerKey(address)).first;
    if (!peer->first.empty() && peer->second.connections >= options_.maximumConnectionsPerPeer()) {
        const std::size_t connections = peer->second.connections;
        const bool warned = connections == 0 || std::exchange(peer->second.warned, true);
        if (connections == 0) peers_.erase(peer);  // none are allowed
        if (!warned) logger().warn("a peer has too many connections: new ones are closed", {{"peer", address.host()}, {"connections", connections}});
        return nullptr;
    }
    return std::make_shared<Connection>(std::static_pointer_cast<FingerFactory>(shared_from_this()), peer);
}

}  // namespace bine::inline v0
