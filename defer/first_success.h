#pragma once
// FirstSuccess<T>: the first of several that had a value, with its place; of fireOnOneCallback() and race(). T may be void.
//
// A plain value type: any thread, as T allows.

#include <cstddef>
#include <optional>
#include <source_location>
#include <utility>
#include <vector>

#include "bine/defer/core.h"
#include "bine/defer/gathering.h"

namespace bine::inline v0 {

template <class T>
struct FirstSuccess {
    FirstSuccess(std::size_t place, T result) : index(place), value(std::move(result)) {}

    std::size_t index;  ///< its place in the list, from 0
    T value;
};
template <>
struct FirstSuccess<void> {
    explicit FirstSuccess(std::size_t place) noexcept : index(place) {}

    std::size_t index;
};

namespace detail {

template <class T>
class FirstGathering final : public GatheringFor<FirstSuccess<T>> {
public:
    FirstGathering(std::size_t members, Gathering::Rules rules, std::source_location created)
        : GatheringFor<FirstSuccess<T>>(members, rules, created), failures_(members) {}

    template <class... V>
    void store(std::size_t index, V&&... value) {
        first_.emplace(index, std::forward<V>(value)...);
    }

private:
    void keepFailure(std::size_t index, const Failure& failure) override { failures_[index] = failure; }
    // Members that were handed over have left their failures here, those that are watched still have them.
    void dropFailures() override {
        if (!first_ || this->rules().consumeErrors || this->rules().watched) return;
        for (const Failure& failure : std::exchange(failures_, {}))
            if (failure) reportUnhandled(failure, this->created());
    }
    Result<FirstSuccess<T>> outcome() override {
        if (first_) return *std::move(first_);
        Failure failure = FailureGroup(std::move(failures_));
        failure.addPlace(Passage::made, this->created());
        return failure;
    }

    std::optional<FirstSuccess<T>> first_;
    std::vector<Failure> failures_;
};

}  // namespace detail
}  // namespace bine::inline v0
