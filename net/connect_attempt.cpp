#include "bine/net/connect_attempt.h"

#include <algorithm>
#include <utility>

#include "bine/net/errors.h"

namespace bine::inline v0::detail {

ConnectAttempt::ConnectAttempt(std::shared_ptr<Room> room, Address destination, StreamOptions options)
    : room_(room), destination_(std::move(destination)), options_(std::move(options)) {}

ConnectAttempt::~ConnectAttempt() = default;

Deferred<std::shared_ptr<Transport>> ConnectAttempt::start(Duration timeout) {
    const auto room = room_.lock();
    const auto self = shared_from_this();
    answer_ = std::make_unique<Answer>([weak = weak_from_this()](Answer&) {
        if (const auto attempt = weak.lock())
            attempt->fail(ConnectingCancelledError(attempt->destination_.text()));
    });
    auto result = answer_->deferred();
    room->add(self);
    deadline_ = room->reactor().callLater(
        timeout, [self] { self->fail(ConnectTimeoutError(self->destination_.text())); });
    begin_ = room->reactor().callLater(Duration::zero(), [self] { self->begin(); });
    return result;
}

void ConnectAttempt::begin() {
    const auto room = room_.lock();
    if (!room || !answer_)
        return;
    if (destination_.kind() != AddressKind::hostname)
        return resolved({destination_});
    auto lookup = networkOf(room->reactor())->resolve(destination_.host());
    step_ = lookup.ref();
    std::move(lookup).addCallbacks(
        [self = shared_from_this()](std::vector<Address> found) { self->resolved(std::move(found)); },
        [self = shared_from_this()](const Failure& reason) { self->fail(reason); });
}

void ConnectAttempt::resolved(std::vector<Address> addresses) {
    if (!answer_)
        return;
    for (Address& address : addresses)
        address = address.withPort(destination_.port());
    std::reverse(addresses.begin(), addresses.end());
    addresses_ = std::move(addresses);
    tryNext();
}

void ConnectAttempt::tryNext() {
    const auto room = room_.lock();
    if (!room || !answer_)
        return;
    if (addresses_.empty())
        return fail(lastError_ ? *lastError_
                               : Failure(DNSLookupError(destination_.host(), "it has no address", false)));
    const Address next = std::move(addresses_.back());
    addresses_.pop_back();
    auto connecting = networkOf(room->reactor())->connectStream(next, options_);
    step_ = connecting.ref();
    std::move(connecting)
        .addCallbacks([self = shared_from_this()](
                          std::shared_ptr<Transport> transport) { self->connected(std::move(transport)); },
                      [self = shared_from_this()](const Failure& reason) {
                          self->lastError_ = std::make_unique<Failure>(reason);
                          self->tryNext();
                      });
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
    if (const auto room = room_.lock())
        room->remove(*this);
    return true;
}

} // namespace bine::inline v0::detail
