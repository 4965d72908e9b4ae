#pragma once
// Gathering: what deferredList(), gatherResults() and race() have in common. Internal.
//
// One shared state per list. A Ticket in each member's chain brings what came to its place in the state. The Deferred that is given out waits at a gate:
// a Core that is fired when the list is over, and whose canceller reaches the members. A cancel that leaves members out, because they take their time,
// opens the next gate. Tickets, gate and what waits at it keep the state; the state keeps the gate's producer's end, and the handles of those members that
// were handed over.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "bine/defer/core.h"
#include "bine/defer/deferred.h"
#include "bine/defer/group_errors.h"
#include "bine/defer/level.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// The part that has no types: who is out, when the list is over, and cancelling.
class BINE_EXPORT Gathering : public std::enable_shared_from_this<Gathering> {
public:
    struct Rules {
        bool fireOnOneCallback = false;
        bool fireOnOneErrback = false;
        bool consumeErrors = false;
        bool cancelOthers = false;  // once it is over
        bool watched = false;       // the members are only watched

        Rules untilOneCallback() const noexcept {
            Rules rules = *this;
            rules.fireOnOneCallback = true;
            return rules;
        }
    };
    struct Joining {};
    struct Arrived {};
    /// A member that is out is a handle if it was handed over, a reference if it is only watched.
    using Member = std::variant<Joining, Deferred<>, DeferredRef, Arrived>;

    Gathering(std::size_t members, Rules rules, std::source_location created);
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;
    virtual ~Gathering();

    // --- While the members are given. No user code of theirs or of the list's runs because of what has arrived already.

    void join(std::size_t index, Member member);
    void giveUp() noexcept;  ///< there will be no list: the members go on by themselves

    // --- What a member's Ticket says. The value, if there is one, has been stored. Both may run callbacks, which may do anything.

    /// True if `failure`, empty or not, concerns nobody any more: the list tells of it, or was told not to.
    bool arrived(std::size_t index, const Failure& failure);
    /// The member ended without a result.
    void lost(std::size_t index);

    bool over() const noexcept { return over_; }
    const Rules& rules() const noexcept { return rules_; }

protected:
    bool allArrived() const noexcept { return out_ == 0; }
    /// Stands where a result will stand.
    static const Failure& notArrived();
    void allJoined();
    /// What the Deferred that was given out waits for next: that the list is over, or cancelled. With a reference, and the role of the handle.
    Core& nextGate();
    /// The owner of the list died.
    void end();
    /// Null unless a first failure was enough.
    Failure firstError() const;
    std::source_location created() const noexcept { return created_; }

    virtual void keepFailure(std::size_t, const Failure&) {}
    /// The list is over, and what keepFailure() kept will not be told of.
    virtual void dropFailures() {}

private:
    class Canceller;

    void complete();
    void fireGate();
    void forgetList() noexcept;
    void cancel();
    void cancelMembers();

    std::vector<Member> members_;
    std::size_t out_;
    Rules rules_;
    bool joining_ = true;
    bool over_ = false;
    bool cancelled_ = false;
    bool ended_ = false;  // there is no list any more; members_ is empty
    bool hasList_ = false;
    Core* gate_ = nullptr;
    Core* list_ = nullptr;  // the first gate, which is what was given out; kept until all members have come
    OwnerHook handedOver_;  // ends with the owner of the list
    Failure firstFailure_;
    std::size_t firstFailureIndex_ = 0;
    std::source_location created_;
};

/// The part that knows what comes out.
template <class R>
class GatheringFor : public Gathering {
    /// Stands at the gate. If it dies unheard, the list does so with its owner.
    class Waiting {
    public:
        explicit Waiting(std::shared_ptr<GatheringFor> gathering) noexcept : gathering_(std::move(gathering)) {}
        Waiting(Waiting&&) noexcept = default;
        ~Waiting() {
            if (const auto gathering = std::move(gathering_)) gathering->end();
        }
        Deferred<R> operator()(const Result<>&) {
            const auto gathering = std::move(gathering_);
            return gathering->over() ? Deferred<R>(gathering->result()) : gathering->wait();
        }

    private:
        std::shared_ptr<GatheringFor> gathering_;
    };

public:
    using Gathering::Gathering;

    /// All members have joined.
    Deferred<R> begin() {
        Deferred<R> list = allArrived() ? Deferred<R>(result()) : wait();
        allJoined();
        return list;
    }

protected:
    virtual Result<R> outcome() = 0;

private:
    Deferred<R> wait() {
        Core& gate = nextGate();
        Deferred<R> list(gate);
        gate.add<LevelStage<void, R, Waiting, SameFunction>>(Waiting(std::static_pointer_cast<GatheringFor>(shared_from_this())), SameFunction());
        return list;
    }
    Result<R> result() {
        if (Failure failure = firstError()) return failure;
        return outcome();
    }
};

/// What a member's callback holds: the way to its place. If it dies unused, the member died without a result.
template <class G, class Index>
class Ticket {
public:
    Ticket(std::shared_ptr<G> gathering, Index index) noexcept : gathering_(std::move(gathering)), index_(index) {}
    Ticket(Ticket&&) noexcept = default;
    ~Ticket() {
        if (const auto gathering = std::move(gathering_)) gathering->lost(index_);
    }

    /// Stores the value, moved or copied, and says that it is there. Returns the failure if it still concerns somebody.
    template <class R>
    Failure use(R&& result) {
        const auto gathering = std::move(gathering_);
        Failure failure = store(*gathering, std::forward<R>(result));
        return gathering->arrived(index_, failure) ? Failure() : failure;
    }
    const G& gathering() const noexcept { return *gathering_; }

private:
    template <class R>
    Failure store(G& gathering, R&& result) {
        if (result.isFailure()) return result.failure();
        if (gathering.over()) return Failure();
        try {
            if constexpr (std::is_void_v<decltype(*result)>)
                gathering.store(index_);
            else
                gathering.store(index_, *std::forward<R>(result));
            return Failure();
        } catch (...) {
            return caughtFailure();
        }
    }

    std::shared_ptr<G> gathering_;
    [[no_unique_address]] Index index_;
};

/// The member belongs to the list from here on.
template <class G, class Index, class T>
void handOver(const std::shared_ptr<G>& gathering, Index index, Deferred<T>&& member) {
    gathering->join(index, Deferred<>(std::move(member).addBoth([ticket = Ticket<G, Index>(gathering, index)](Result<T>&& result) mutable -> Result<> {
        if (Failure failure = ticket.use(std::move(result))) return failure;
        return {};
    })));
}

/// The member goes on with its own result.
template <class G, class Index, class T>
void watch(const std::shared_ptr<G>& gathering, Index index, Deferred<T>& member) {
    static_assert(std::is_void_v<T> || std::copy_constructible<T>,
                  "a list that only watches its members copies their values, and this type cannot be copied: hand them over with std::move");
    constexpr bool hasEmptyValue = std::is_void_v<T> || std::default_initializable<T>;
    if (!hasEmptyValue && gathering->rules().consumeErrors)
        throwMisuse("consumeErrors() leaves a watched member that fails with T(), which this type does not have: hand the members over with std::move");
    member.addBoth([ticket = Ticket<G, Index>(gathering, index)](Result<T>&& result) mutable -> Result<T> {
        const bool consumes = ticket.gathering().rules().consumeErrors;
        ticket.use(std::as_const(result));
        if constexpr (std::is_void_v<T>) {
            if (consumes) return {};
        } else if constexpr (hasEmptyValue) {
            if (consumes && result.isFailure()) return T();
        }
        return std::move(result);
    });
    gathering->join(index, member.ref());
}

template <class G, class Join>
auto gather(const std::shared_ptr<G>& gathering, Join&& join) {
    try {
        join();
        return gathering->begin();
    } catch (...) {
        gathering->giveUp();
        throw;
    }
}
template <class G, class T>
auto gather(std::vector<Deferred<T>>&& given, Gathering::Rules rules, std::source_location where) {
    std::vector<Deferred<T>> members = std::move(given);
    const auto gathering = std::make_shared<G>(members.size(), rules, where);
    return gather(gathering, [&] {
        for (std::size_t i = 0; i < members.size(); ++i) handOver(gathering, i, std::move(members[i]));
    });
}
template <class G, class T>
auto gather(std::span<Deferred<T>> members, Gathering::Rules rules, std::source_location where) {
    rules.watched = true;
    const auto gathering = std::make_shared<G>(members.size(), rules, where);
    return gather(gathering, [&] {
        for (std::size_t i = 0; i < members.size(); ++i) watch(gathering, i, members[i]);
    });
}

}  // namespace bine::inline v0::detail
