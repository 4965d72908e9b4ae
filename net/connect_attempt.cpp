#include "bine/net/connect_attempt.h"

#include <algorithm>
#include <utility>

#include "bine/net/errors.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0::detail {

// A name server may give thousands; more than these would get no time worth having.
constexpr std::size_t mostAddresses = 32;

ConnectAttempt::ConnectAttempt(std::shared_ptr<Room> room, Address destination, StreamOptions options,
                               std::source_location where)
    : room_(room), destination_(std::move(destination)), options_(std::move(options)), where_(where) {
    options_.askedAt(where);
}

ConnectAttempt::~ConnectAttempt() = default;

Deferred<std::shared_ptr<Transport>> ConnectAttempt::start(Duration timeout) {
    const auto room = room_.lock();
    const auto self = shared_from_this();
    answer_ = std::make_unique<Answer>([weak = weak_from_this()](Answer&) {
        if (const auto attempt = weak.lock())
            attempt->fail(ConnectingCancelledError(attempt->destination_.text()));
    });
    auto result = answer_->deferred();
    Reactor* const reactor = room ? room->reactor() : nullptr;
    if (!reactor) {
        reactorStopped();
        return result;
    }
    room->add(self);
    timeout_ = timeout;
    started_ = reactor->now();
    deadline_ = reactor->callLater(Delay(timeout, where_), [self] { self->deadlinePassed(); });
    begin_ = reactor->callLater(Delay(Duration::zero(), where_), [self] { self->begin(); });
    return result;
}

void ConnectAttempt::begin() {
    const auto room = room_.lock();
    Reactor* const reactor = room ? room->reactor() : nullptr;
    if (!reactor || !answer_)
        return;
    if (destination_.kind() != AddressKind::hostname)
        return resolved({destination_});
    try {
        auto lookup = networkOf(*reactor)->resolve(destination_.host());
        step_ = lookup.ref();
        std::move(lookup).addCallbacks(
            [self = shared_from_this()](std::vector<Address> found) { self->resolved(std::move(found)); },
            [self = shared_from_this()](const Failure& reason) { self->fail(reason); });
    } catch (...) {
        fail(failureOfCurrentException());
    }
    cancelStepIfOver();
}

void ConnectAttempt::resolved(std::vector<Address> addresses) {
    if (!answer_)
        return;
    if (addresses.size() > mostAddresses)
        addresses.resize(mostAddresses);
    for (Address& address : addresses)
        address = address.withPort(destination_.port());
    std::reverse(addresses.begin(), addresses.end());
    addresses_ = std::move(addresses);
    tryNext();
}

void ConnectAttempt::tryNext() {
    const auto room = room_.lock();
    Reactor* const reactor = room ? room->reactor() : nullptr;
    if (!reactor || !answer_)
        return;
    if (addresses_.empty())
        return fail(failed_.empty() ? Failure(DNSLookupError(destination_.host(), "it has no address", false))
                                    : allFailed(Duration::zero()));
    current_ = std::move(addresses_.back());
    addresses_.pop_back();
    currentStarted_ = reactor->now();
    const auto self = shared_from_this();
    if (!addresses_.empty()) {
        const Duration left = (std::max)(started_ + timeout_ - currentStarted_, Duration::zero());
        share_ = reactor->callLater(Delay(left / static_cast<Duration::rep>(addresses_.size() + 1), where_),
                                    [self] { self->shareIsOver(); });
    }
    // After this one failed or was given up, its number is another one.
    const std::size_t number = failed_.size();
    DeferredRef step;
    try {
        auto connecting = networkOf(*reactor)->connectStream(*current_, options_);
        step = connecting.ref();
        // The network is the user's, too. It may have run a loop meanwhile, in which this address's share, or
        // everything, came to its end.
        if (answer_ && failed_.size() == number)
            step_ = step;
        std::move(connecting)
            .addCallbacks(
                [self, number](std::shared_ptr<Transport> transport) {
                    if (self->failed_.size() == number)
                        self->connected(std::move(transport));
                },
                [self, number](const Failure& reason) {
                    if (self->failed_.size() == number)
                        self->addressFailed(reason);
                });
    } catch (...) {
        fail(failureOfCurrentException());
    }
    if (!answer_ || failed_.size() != number)
        step.cancel();
}

void ConnectAttempt::addressFailed(const Failure& reason) {
    if (!answer_)
        return;
    if (share_.active())
        share_.cancel();
    failed_.emplace_back(*std::exchange(current_, std::nullopt), reason);
    tryNext();
}

void ConnectAttempt::shareIsOver() {
    const auto self = shared_from_this();
    DeferredRef step = step_;
    failed_.emplace_back(*current_, timedOut(*current_));
    current_.reset();
    step.cancel(); // its CancelledError finds that this address is given up
    tryNext();
}

void ConnectAttempt::deadlinePassed() {
    using During = ConnectTimeoutError::During;
    if (current_)
        failed_.emplace_back(*current_, timedOut(*current_));
    if (!failed_.empty())
        return fail(allFailed(timeout_));
    const bool named = destination_.kind() == AddressKind::hostname;
    fail(ConnectTimeoutError(destination_.text(), timeout_, {}, named ? During::lookup : During::connecting));
}

Failure ConnectAttempt::allFailed(Duration duration) {
    // How long it took tells something if one of them did not answer.
    const bool waited = std::any_of(failed_.begin(), failed_.end(), [](const FailedAddress& each) {
        return each.reason.check<ConnectTimeoutError>() || each.reason.check<TCPTimedOutError>();
    });
    const auto room = room_.lock();
    if (duration == Duration::zero() && waited && room && room->reactor())
        duration = room->reactor()->now() - started_;
    return connectFailure(destination_.text(), std::move(failed_), duration);
}

Failure ConnectAttempt::timedOut(const Address& address) const {
    const auto room = room_.lock();
    const bool known = room && room->reactor();
    return ConnectTimeoutError(address.text(),
                               known ? room->reactor()->now() - currentStarted_ : Duration::zero());
}

// The network is the user's, too: the attempt may have ended while it looked up the name.
void ConnectAttempt::cancelStepIfOver() {
    if (!answer_)
        step_.cancel();
}

void ConnectAttempt::connected(std::shared_ptr<Transport> transport) {
    if (!leave())
        return;
    const auto answer = std::move(answer_);
    answer->callback(std::move(transport));
}

void ConnectAttempt::fail(const Failure& reason) {
    const auto self = shared_from_this();
    if (!leave())
        return;
    const auto answer = std::move(answer_);
    addresses_.clear();
    // Its CancelledError comes back here and finds that all is over.
    step_.cancel();
    if (!answer->called())
        answer->errback(reason);
}

void ConnectAttempt::reactorStopped() { fail(UserError(destination_.text(), "the reactor has stopped")); }

bool ConnectAttempt::leave() noexcept {
    if (!answer_)
        return false;
    if (begin_.active())
        begin_.cancel();
    if (deadline_.active())
        deadline_.cancel();
    if (share_.active())
        share_.cancel();
    if (const auto room = room_.lock())
        room->remove(*this);
    return true;
}

} // namespace bine::inline v0::detail
