#include "bine/defer/group_errors.h"

#include <algorithm>
#include <utility>

#include "bine/defer/timeout.h"

namespace bine::inline v0 {
namespace {

constexpr std::size_t mostQuoted = 8;

std::string textOf(const std::vector<Failure>& failures) {
    if (failures.empty()) return "there was nothing that could have succeeded";
    std::string text = failures.size() == 1 ? "the only one failed" : "all " + std::to_string(failures.size()) + " failed";
    const std::size_t quoted = (std::min)(failures.size(), mostQuoted);
    for (std::size_t i = 0; i < quoted; ++i) text += (i == 0 ? ": #" : "; #") + std::to_string(i) + ' ' + failures[i].getBriefTraceback();
    if (quoted < failures.size()) text += "; and " + std::to_string(failures.size() - quoted) + " more";
    return text;
}

bool transient(const Failure& failure) {
    const Error* const error = failure.check<Error>();
    return error && error->isTransient();
}

}  // namespace

FirstError::FirstError(Failure subFailure, std::size_t index)
    : Error('#' + std::to_string(index) + " failed: " + subFailure.getBriefTraceback()), subFailure_(std::move(subFailure)), index_(index) {}
FirstError::~FirstError() = default;
std::string FirstError::userMessage() const { return subFailure_.userMessage(); }
bool FirstError::isTransient() const { return transient(subFailure_); }
std::string FirstError::phase() const {
    const Error* const error = subFailure_.check<Error>();
    return error ? error->phase() : std::string();
}

FailureGroup::FailureGroup(std::vector<Failure> failures)
    : Error(textOf(failures)), failures_(std::make_shared<const std::vector<Failure>>(std::move(failures))) {}
FailureGroup::~FailureGroup() = default;
std::string FailureGroup::userMessage() const { return failures_->empty() ? Error::userMessage() : failures_->front().userMessage(); }
bool FailureGroup::isTransient() const { return std::any_of(failures_->begin(), failures_->end(), transient); }

bool detail::isCancellation(const Failure& failure) noexcept {
    if (failure.check<CancelledError>()) return true;
    if (const auto* const first = failure.check<FirstError>()) return isCancellation(first->subFailure());
    const auto* const group = failure.check<FailureGroup>();
    return group && !group->failures().empty() && std::all_of(group->failures().begin(), group->failures().end(), isCancellation);
}

}  // namespace bine::inline v0
