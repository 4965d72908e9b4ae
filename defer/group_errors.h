#pragma once
// FirstError and FailureGroup: how several Deferreds together go wrong.
//
// deferredList(), gatherResults() and race() fail with them. Plain values that share the failures they tell of: any thread, cheap to copy.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "bine/defer/errors.h"
#include "bine/defer/failure.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// The first member of a list that failed, where one failure is enough.
class BINE_EXPORT FirstError : public Error {
public:
    FirstError(Failure subFailure, std::size_t index);
    ~FirstError() override;
    const Failure& subFailure() const noexcept { return subFailure_; }  ///< what it failed with
    std::size_t index() const noexcept { return index_; }               ///< its place in the list, from 0
    std::string userMessage() const override;                           ///< these three are the subFailure's
    bool isTransient() const override;
    std::string phase() const override;

    /// The same index, and the same failure (not: an equal one).
    friend bool operator==(const FirstError& a, const FirstError& b) noexcept { return a.index_ == b.index_ && a.subFailure_ == b.subFailure_; }

private:
    Failure subFailure_;
    std::size_t index_;
};

/// All members failed, where one success would have been enough. what() quotes the first few.
class BINE_EXPORT FailureGroup : public Error {
public:
    explicit FailureGroup(std::vector<Failure> failures);
    ~FailureGroup() override;
    const std::vector<Failure>& failures() const noexcept { return *failures_; }  ///< in the order of the list, one for each member
    std::string userMessage() const override;                                     ///< the first failure's
    bool isTransient() const override;                                            ///< if one of them is

private:
    std::shared_ptr<const std::vector<Failure>> failures_;
};

}  // namespace bine::inline v0
