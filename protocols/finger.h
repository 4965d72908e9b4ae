#pragma once
// Finger (RFC 1288), the asking side: what does a host say about a user?
//
//     std::string answer = co_await bine::finger(reactor, "alice@localhost:7979");
//     std::string plan = co_await bine::finger(reactor, "finger://localhost:7979/alice");
//
// Reactor's thread. A question costs one connection and at most FingerOptions::maximum() bytes; it ends within its deadline. The answer of a server
// is made PlainText (RFC 1288, section 3.3.1): UTF-8, or Latin-1 as a whole where it is not valid UTF-8; see plainTextOrLatin1(). The answering side is finger_server.h.

#include <chrono>
#include <cstddef>
#include <source_location>
#include <string>
#include <string_view>

#include "bine/base/text_traits.h"
#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/log/export.h"
#include "bine/net/answer.h"
#include "bine/net/protocol.h"
#include "bine/protocols/finger_query.h"
#include "bine/protocols/plain_text.h"

namespace bine::inline v0 {

class Reactor;

class BINE_EXPORT FingerOptions {
public:
    FingerOptions() {}
    /// Asked when the query names no port: 79 unless set.
    FingerOptions& port(Port port) {
        port_ = port;
        return *this;
    }
    /// For the whole question, name resolution included: 30 s unless set. Throws std::invalid_argument unless positive.
    FingerOptions& timeLimit(Delay time);
    /// The answer is cut after so many bytes, as received and as text: 64 KiB unless set.
    FingerOptions& maximum(std::size_t bytes) {
        maximum_ = bytes;
        return *this;
    }
    Port port() const noexcept { return port_; }
    Duration timeLimit() const noexcept { return timeLimit_; }
    std::size_t maximum() const noexcept { return maximum_; }

private:
    Port port_ = FingerQuery::defaultPort;
    Duration timeLimit_ = std::chrono::seconds(30);
    std::size_t maximum_ = 64 * 1024;
};

/// What a host said.
class BINE_EXPORT FingerAnswer {
public:
    FingerAnswer(std::string said, std::string why = {}) : text(std::move(said)), notice(std::move(why)) {}
    std::string text;
    /// A sentence for people if the text is not all of the answer: it was too long, or the connection broke, or the deadline passed before its end.
    std::string notice;
    bool complete() const noexcept { return notice.empty(); }
};

/// Asks "user@host", "@host", "/W user@host", with or without a port, or "finger://host/user" (see FingerQuery). Fails with InvalidFingerQuery, with what connecting fails with
/// (ConnectError, DNSLookupError), with TimeoutError, or with ConnectionLost when nothing came. Cancelling aborts the connection.
BINE_EXPORT Deferred<FingerAnswer> askFinger(Reactor& reactor, const TextArgument& query, FingerOptions options = FingerOptions(),
                                             std::source_location where = std::source_location::current());

/// The same as text alone; a notice is its last line, in brackets.
BINE_EXPORT Deferred<std::string> finger(Reactor& reactor, const TextArgument& query, FingerOptions options = FingerOptions(),
                                         std::source_location where = std::source_location::current());

/// One question over one connection, for any transport. askFinger() connects one.
class BINE_EXPORT FingerClient : public Protocol {
public:
    /// The deadline counts from here. The clock must outlive the connection.
    FingerClient(Clock& clock, FingerQuery query, FingerOptions options = FingerOptions());
    ~FingerClient() override;

    /// Once. Cancelling it aborts the connection.
    Deferred<FingerAnswer> answer(std::source_location where = std::source_location::current()) { return answer_.deferred(where); }

    void connectionMade() override;
    void dataReceived(std::string_view data) override;
    void connectionLost(const Failure& reason) override;

private:
    void deadlinePassed();
    void cutShort(std::string notice);
    void succeedWith(std::string notice, bool cutOff);
    std::string tooLong() const;

    Clock& clock_;
    FingerQuery query_;
    FingerOptions options_;
    TimePoint started_;
    std::string received_;  // not decoded before the end: a byte there may tell that all of it is Latin-1
    Answer<FingerAnswer> answer_{*this};
};

}  // namespace bine::inline v0
