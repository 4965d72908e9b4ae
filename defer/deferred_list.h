#pragma once
// deferredList: several Deferreds at once, and what became of each (Twisted's DeferredList).
//
//     bine::deferredList(std::move(pages)).addCallback([](std::vector<bine::Result<std::string>> results) {
//         for (const auto& result : results) show(result.isValue() ? *result : result.failure().userMessage());
//     });
//
// The members are handed over, std::move(pages), or only watched, std::span(pages). What is handed over belongs to the list: it is ended with the list's
// owner, and its failures are taken when the list tells of them. What is watched goes on with its own value, of which the list has a copy, or its own failure.
// Thread: the members'. Cost: four allocations, however many members there are.

#include <cstddef>
#include <source_location>
#include <span>
#include <utility>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/first_success.h"
#include "bine/defer/gathering.h"
#include "bine/defer/group_errors.h"
#include "bine/defer/mistakes.h"
#include "bine/defer/result.h"

namespace bine::inline v0 {
namespace detail {

template <class T>
class ListGathering final : public GatheringFor<std::vector<Result<T>>> {
public:
    ListGathering(std::size_t members, Gathering::Rules rules, std::source_location created) : GatheringFor<std::vector<Result<T>>>(members, rules, created) {
        results_.reserve(members);
        for (std::size_t i = 0; i < members; ++i) results_.emplace_back(Gathering::notArrived());
    }
    template <class... V>
    void store(std::size_t index, V&&... value) {
        results_[index] = Result<T>(std::forward<V>(value)...);
    }

private:
    void keepFailure(std::size_t index, const Failure& failure) override { results_[index] = Result<T>(failure); }
    Result<std::vector<Result<T>>> outcome() override { return std::move(results_); }

    std::vector<Result<T>> results_;
};

}  // namespace detail

class DeferredListOptions {
public:
    DeferredListOptions() noexcept {}

    /// The first failure fails the list, with FirstError.
    DeferredListOptions& fireOnOneErrback() noexcept {
        rules_.fireOnOneErrback = true;
        return *this;
    }
    /// Takes all failures off the members. A watched one goes on with T() then; of one that was handed over, what comes when the list is over is not reported.
    DeferredListOptions& consumeErrors() noexcept {
        rules_.consumeErrors = true;
        return *this;
    }

    const detail::Gathering::Rules& rules() const noexcept { return rules_; }  ///< for the rooms of this library

private:
    detail::Gathering::Rules rules_;
};

/// Fires when all members have, with their results in the order they were given; at once if they all have fired, or if there are none. A member that dies with
/// its owner counts as failed with CancelledError.
///
/// cancel() cancels all that are out; the list still fires when the last of them has ended, which may take its time. Once the list has fired it does nothing,
/// and members that are out go on; those that were handed over end with its owner still.
///
/// Throws std::logic_error if a member was moved away, or its result taken; and if consumeErrors() would leave a watched member without a value, T having no
/// default constructor.
template <class T>
[[nodiscard]] Deferred<std::vector<Result<T>>> deferredList(std::vector<Deferred<T>>&& members, DeferredListOptions options = {},
                                              std::source_location where = std::source_location::current()) {
    return detail::gather<detail::ListGathering<T>>(std::move(members), options.rules(), where);
}
template <class T, std::size_t size>
[[nodiscard]] Deferred<std::vector<Result<T>>> deferredList(std::span<Deferred<T>, size> members, DeferredListOptions options = {},
                                              std::source_location where = std::source_location::current()) {
    return detail::gather<detail::ListGathering<T>>(std::span<Deferred<T>>(members), options.rules(), where);
}
/// Refused in words.
template <class T, class... Options>
detail::Refused deferredList(std::vector<Deferred<T>>&, Options&&...) {
    static_assert(detail::accepted<T>, "deferredList: hand the Deferreds over with std::move(members), or watch them with std::span(members)");
    return {};
}

/// Fires with the value and the index of the first success; if there is none, or no member, fails with FailureGroup. The others are left alone; race()
/// cancels them. With fireOnOneErrback() the first result decides, whichever it is. All else as in deferredList().
template <class T>
[[nodiscard]] Deferred<FirstSuccess<T>> fireOnOneCallback(std::vector<Deferred<T>>&& members, DeferredListOptions options = {},
                                            std::source_location where = std::source_location::current()) {
    return detail::gather<detail::FirstGathering<T>>(std::move(members), options.rules().untilOneCallback(), where);
}
template <class T, std::size_t size>
[[nodiscard]] Deferred<FirstSuccess<T>> fireOnOneCallback(std::span<Deferred<T>, size> members, DeferredListOptions options = {},
                                            std::source_location where = std::source_location::current()) {
    return detail::gather<detail::FirstGathering<T>>(std::span<Deferred<T>>(members), options.rules().untilOneCallback(), where);
}
/// Refused in words.
template <class T, class... Options>
detail::Refused fireOnOneCallback(std::vector<Deferred<T>>&, Options&&...) {
    static_assert(detail::accepted<T>, "fireOnOneCallback: hand the Deferreds over with std::move(members), or watch them with std::span(members)");
    return {};
}

}  // namespace bine::inline v0
