#pragma once
// race: the first of several Deferreds that succeeds; the others are cancelled.
//
//     bine::race(std::move(mirrors)).addCallback([](bine::FirstSuccess<Page> first) { show(first.index, first.value); });
//
// Thread: the members', which belong to the race from then on, and end with its owner. Cost: four allocations, however many members there are.

#include <source_location>
#include <utility>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/first_success.h"
#include "bine/defer/gathering.h"
#include "bine/defer/group_errors.h"
#include "bine/defer/mistakes.h"

namespace bine::inline v0 {

/// Fires with the index and the value of the first success, at once if a member has it already. The others have been cancelled by then; what they give all the
/// same is dropped, without a word in the log. If all fail, or if there are none, it fails with FailureGroup.
///
/// cancel() cancels all members. If one of them then has a value, that wins; else FailureGroup has their CancelledErrors.
template <class T>
[[nodiscard]] Deferred<FirstSuccess<T>> race(std::vector<Deferred<T>>&& members, std::source_location where = std::source_location::current()) {
    detail::Gathering::Rules rules;
    rules.fireOnOneCallback = rules.cancelOthers = rules.consumeErrors = true;
    return detail::gather<detail::FirstGathering<T>>(std::move(members), rules, where);
}
/// Refused in words.
template <class T, class... Where>
detail::Refused race(std::vector<Deferred<T>>&, Where&&...) {
    static_assert(detail::accepted<T>, "race: hand the Deferreds over with std::move(members)");
    return {};
}

}  // namespace bine::inline v0
