#include "bine/defer/gathering.h"

#include "bine/defer/owner.h"

namespace bine::inline v0 {

template <>
struct OwnerTraits<detail::OwnerHook> {
    static detail::OwnerHook& hook(detail::OwnerHook& hook) noexcept { return hook; }
};

namespace detail {

/// Of a gate. When the owner dies there is nothing to cancel: what waits there ends the members.
class Gathering::Canceller final : public Stage {
public:
    explicit Canceller(std::shared_ptr<Gathering> gathering) noexcept : Stage(operationsOfGate), gathering_(std::move(gathering)) {}

private:
    static void run(Stage& stage, Core& gate) {
        const auto gathering = static_cast<Canceller&>(stage).gathering_;
        if (!gate.isKilled()) gathering->cancel();
    }
    static void destroy(Stage& stage) noexcept { static_cast<Canceller&>(stage).~Canceller(); }
    static const Operations operationsOfGate;

    std::shared_ptr<Gathering> gathering_;
};

const Stage::Operations Gathering::Canceller::operationsOfGate{&Canceller::run, nullptr, &Canceller::destroy, sizeof(Canceller)};

Gathering::Gathering(std::size_t members, Rules rules, std::source_location created)
    : members_(members), out_(members), rules_(rules), created_(created) {}
Gathering::~Gathering() {
    forgetList();
    handedOver_.letGo();
}

// One that has arrived already needs no handle; with it goes what was left to the member: a failure, which is reported.
void Gathering::join(std::size_t index, Member member) {
    if (!std::holds_alternative<Joining>(members_[index])) return;
    if (auto* const handle = std::get_if<Deferred<>>(&member)) handle->ownedBy(handedOver_);
    members_[index] = std::move(member);
}

const Failure& Gathering::notArrived() {
    static const Failure& failure = *new Failure(CancelledError("a member that has not arrived"));
    return failure;
}

void Gathering::giveUp() noexcept {
    over_ = ended_ = true;
    forgetList();
    handedOver_.letGo();
    const std::vector<Member> released = std::move(members_);
}

void Gathering::allJoined() {
    joining_ = false;
    if (over_ || out_ == 0) {
        over_ = true;
        complete();
    }
}

bool Gathering::arrived(std::size_t index, const Failure& failure) {
    if (ended_) return false;
    members_[index] = Arrived();
    if (--out_ == 0) forgetList();
    // Whoever cancelled the list need not be told that its members were cancelled.
    if (over_) return rules_.consumeErrors || (cancelled_ && failure.check<CancelledError>());
    if (failure) {
        keepFailure(index, failure);
        if (rules_.fireOnOneErrback) {
            firstFailure_ = failure;
            firstFailureIndex_ = index;
        }
    }
    if (out_ == 0 || (failure ? rules_.fireOnOneErrback : rules_.fireOnOneCallback)) {
        over_ = true;
        if (!joining_) complete();
    }
    return true;
}

void Gathering::lost(std::size_t index) { arrived(index, CancelledError("a member of the list died without a result, as it does with its owner")); }

Failure Gathering::firstError() const {
    if (!firstFailure_) return Failure();
    Failure failure = FirstError(firstFailure_, firstFailureIndex_);
    failure.addPlace(Passage::made, created_);
    return failure;
}

// The others are cancelled before anybody is told: a callback may take as long as it likes. Cancellers are user code, so the list may be cancelled, or end with
// its owner, before this is through.
void Gathering::complete() {
    if (rules_.cancelOthers) cancelMembers();
    if (!ended_) dropFailures();
    fireGate();
}

// --- The gate.

Core& Gathering::nextGate() {
    Core* const gate = Core::make(created_);
    if (Core* const cancelled = std::exchange(gate_, gate)) cancelled->abandon();
    if (!std::exchange(hasList_, true)) {
        list_ = gate;
        list_->retain();
        list_->setDependents(&handedOver_);
    }
    gate->setCanceller<Canceller>(shared_from_this());
    gate->retain();
    gate->giveHandle();
    return *gate;
}

void Gathering::forgetList() noexcept {
    Core* const list = std::exchange(list_, nullptr);
    if (!list) return;
    list->setDependents(nullptr);
    list->release();
}

void Gathering::fireGate() {
    Core* const gate = std::exchange(gate_, nullptr);
    if (!gate) return;
    if (gate->mayFire()) {
        gate->result.setVoid();
        gate->fire({});
    }
    gate->abandon();
}

void Gathering::cancel() {
    if (over_) return fireGate();  // it was decided, and is cancelling the others
    cancelled_ = true;
    cancelMembers();
}

void Gathering::cancelMembers() {
    for (std::size_t i = 0; i < members_.size(); ++i) {  // none, once the owner died
        if (auto* const handle = std::get_if<Deferred<>>(&members_[i]))
            handle->cancel();
        else if (auto* const reference = std::get_if<DeferredRef>(&members_[i]))
            reference->cancel();
    }
}

// What was handed over ends with the list's own chain, as its dependents. What is only watched is cancelled, and goes on without the list.
void Gathering::end() {
    over_ = ended_ = true;
    if (Core* const gate = std::exchange(gate_, nullptr)) gate->abandon();
    std::vector<Member> members = std::move(members_);
    members_.clear();
    for (Member& member : members)
        if (auto* const reference = std::get_if<DeferredRef>(&member)) reference->cancel();
}

}  // namespace detail
}  // namespace bine::inline v0
