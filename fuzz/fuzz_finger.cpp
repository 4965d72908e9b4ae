// Finger against a peer that sends anything and ends anyhow: both sides, and the query that a person writes.
//
// Input: one byte for the side and the end, one for the cuts, one for the size, then what the peer sends (or the person writes).
#include <memory>
#include <optional>
#include <string>

#include "bine/net/errors.h"
#include "bine/net/memory_transport.h"
#include "bine/protocols/finger.h"
#include "bine/protocols/finger_server.h"
#include "bine/reactors/manual_clock.h"
#include "fuzzing.h"

using namespace std::chrono_literals;

namespace {

enum class End : std::uint8_t { eof, lost, deadline, cancelled };

/// What the client makes of the stream.
std::string answerTo(std::string_view stream, End end, std::size_t maximum, std::uint32_t seed) {
    bine::ManualClock clock;
    const auto transport = std::make_shared<bine::MemoryTransport>();
    const auto client = std::make_shared<bine::FingerClient>(clock, bine::FingerQuery::parse("alice@host"),
                                                             bine::FingerOptions().maximum(maximum));
    std::optional<bine::Result<bine::FingerAnswer>> result;
    auto asking = client->answer().addBoth([&](bine::Result<bine::FingerAnswer> r) {
        FUZZ_CHECK(!result);
        result = std::move(r);
    });
    client->makeConnection(transport);
    FUZZ_CHECK(transport->value() == "alice\r\n");
    inPieces(stream, seed, [&](std::string_view piece) { transport->feed(piece); });
    switch (end) {
    case End::eof: transport->feedEof(); break;
    case End::lost: transport->end(bine::ConnectionLost()); break;
    case End::deadline: clock.advance(30s); break;
    case End::cancelled: asking.cancel(); break;
    }
    FUZZ_CHECK(result.has_value());
    if (!transport->ended()) transport->finish();
    FUZZ_CHECK(clock.getDelayedCalls().empty());
    if (result->isFailure()) return "!" + result->failure().typeName();
    const auto& answer = result->value();
    FUZZ_CHECK(answer.text.size() <= maximum);
    FUZZ_CHECK(bine::plainText(answer.text) == answer.text);
    return answer.text + "|" + answer.notice;
}

/// What the server makes of the stream.
std::string replyTo(std::string_view stream, std::uint32_t seed) {
    bine::ManualClock clock;
    int lookups = 0;
    const auto factory = std::make_shared<bine::FingerFactory>(clock, [&](const std::string& user, bool) {
        ++lookups;
        FUZZ_CHECK(bine::isPlainLine(user));
        FUZZ_CHECK(user.size() <= bine::FingerQuery::maximumLength && user.find('@') == std::string::npos);
        return bine::succeed(user + "\n");
    });
    const auto transport = std::make_shared<bine::MemoryTransport>();
    factory->buildProtocol({})->makeConnection(transport);
    inPieces(stream, seed, [&](std::string_view piece) { transport->feed(piece); });
    FUZZ_CHECK(lookups <= 1);
    FUZZ_CHECK(transport->value().empty() || (transport->value().ends_with("\r\n") && transport->closing()));
    const std::string said = transport->value();
    clock.advance(60s);  // whatever it waits for, it does not wait longer
    FUZZ_CHECK(transport->aborted());
    transport->finish();
    FUZZ_CHECK(clock.getDelayedCalls().empty());
    return said;
}

/// What a person writes is refused in words, or means the same when it is written out.
void ask(std::string_view text) {
    try {
        const auto query = bine::FingerQuery::parse(text);
        const auto again = bine::FingerQuery::parse(query.text());
        FUZZ_CHECK(again.user() == query.user() && again.host() == query.host() && again.port() == query.port() &&
                   again.verbose() == query.verbose());
        const std::string line = query.line();
        FUZZ_CHECK(line.ends_with("\r\n") && bine::isPlainLine(std::string_view(line).substr(0, line.size() - 2)));
    } catch (const bine::InvalidFingerQuery& e) {
        FUZZ_CHECK(!e.userMessage().empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzInput input(data, size);
    const std::uint8_t how = input.byte();
    const std::uint32_t seed = input.byte() + 1u;
    const std::size_t maximum = input.byte() * 16u;
    const auto end = static_cast<End>(how / 4 % 4);
    switch (how % 4) {
    case 0: FUZZ_CHECK(replyTo(input.rest(), seed) == replyTo(input.rest(), 0)); break;
    case 1: ask(input.rest()); break;
    default: FUZZ_CHECK(answerTo(input.rest(), end, maximum, seed) == answerTo(input.rest(), end, maximum, 0)); break;
    }
    return 0;
}
