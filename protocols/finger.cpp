#include "bine/protocols/finger.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "bine/log/format.h"
#include "bine/net/errors.h"
#include "bine/net/tcp.h"
#include "bine/reactors/reactor.h"

namespace bine::inline v0 {

namespace {

std::string inBytes(std::size_t bytes) {
    return bytes >= 1024 && bytes % 1024 == 0 ? std::to_string(bytes / 1024) + " KiB" : std::to_string(bytes) + " bytes";
}

}  // namespace

FingerOptions& FingerOptions::timeLimit(Delay time) {
    const Duration duration = time.value();
    if (duration <= Duration::zero()) throw std::invalid_argument("FingerOptions::timeLimit must be positive");
    timeLimit_ = duration;
    return *this;
}

Deferred<FingerAnswer> askFinger(Reactor& reactor, const TextArgument& query, FingerOptions options, std::source_location where) {
    try {
        const FingerQuery asked = FingerQuery::parse(query, options.port());
        const auto client = std::make_shared<FingerClient>(reactor, asked, options);
        return ask(reactor, asked.host(), asked.port(), client, TCPClientOptions().connectTimeout(options.timeLimit()), where);
    } catch (...) {
        return fail<FingerAnswer>(detail::caughtFailure(), where);
    }
}

Deferred<std::string> finger(Reactor& reactor, const TextArgument& query, FingerOptions options, std::source_location where) {
    return askFinger(reactor, query, options, where).addCallback([](FingerAnswer answer) {
        if (answer.complete()) return std::move(answer.text);
        if (!answer.text.empty() && !answer.text.ends_with('\n')) answer.text += '\n';
        return answer.text + "[" + answer.notice + "]\n";
    });
}

FingerClient::FingerClient(Clock& clock, FingerQuery query, FingerOptions options)
    : clock_(clock), query_(std::move(query)), options_(options), started_(clock.now()) {}

FingerClient::~FingerClient() = default;

void FingerClient::connectionMade() {
    const auto left = (std::max)(options_.timeLimit() - (clock_.now() - started_), Duration::zero());
    clock_.callLater(left, [this] { deadlinePassed(); }).ownedBy(*this);
    transport().write(query_.line());
}

void FingerClient::dataReceived(std::string_view data) {
    const std::size_t fitting = (std::min)(data.size(), options_.maximum() - received_.size());
    received_.append(data.substr(0, fitting));
    if (fitting < data.size()) cutShort(tooLong());
}

void FingerClient::connectionLost(const Failure& reason) {
    if (reason.check<ConnectionDone>())
        succeedWith("", false);
    else if (!received_.empty())
        succeedWith("The connection broke before the end of the answer.", true);
}

void FingerClient::deadlinePassed() {
    if (!received_.empty()) {
        cutShort("The rest of the answer did not come within " + detail::durationText(options_.timeLimit()) + ".");
        return;
    }
    const auto self = shared_from_this();
    transport().abortConnection();
    answer_.errback(TimeoutError(detail::escaped(query_.host(), 300) + " did not answer within " + detail::durationText(options_.timeLimit()), options_.timeLimit()));
}

void FingerClient::cutShort(std::string notice) {
    const auto self = shared_from_this();
    transport().abortConnection();
    succeedWith(std::move(notice), true);
}

void FingerClient::succeedWith(std::string notice, bool cutOff) {
    if (answer_.called()) return;
    PlainText text = plainTextOrLatin1(std::exchange(received_, {}), cutOff, options_.maximum());
    if (text.full()) notice = tooLong();
    answer_.callback(FingerAnswer(text.take(), std::move(notice)));
}

std::string FingerClient::tooLong() const { return "The answer was cut after " + inBytes(options_.maximum()) + "."; }

}  // namespace bine::inline v0
