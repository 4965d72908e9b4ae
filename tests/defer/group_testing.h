#pragma once
// What the tests of several Deferreds at once share.

#include "defer/defer_testing.h"
#include "defer/small_stack.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <random>
#include <span>

#include "bine/defer/pool.h"
#include "bine/defer/trace.h"

/// Fails a test that leaves a Deferred behind.
inline void nothingLives() { QCOMPARE(bine::trace::dump(), std::string()); }

constexpr std::size_t many = 100'000;

/// Both ends of many Deferreds.
template <class T>
struct Members {
    Members() = default;
    explicit Members(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) add(bine::Resolver<T>());
    }
    Members& add(bine::Resolver<T> resolver) {
        deferreds.push_back(resolver.deferred());
        resolvers.push_back(std::move(resolver));
        return *this;
    }
    std::span<bine::Deferred<T>> watched() { return std::span(deferreds); }
    std::vector<bine::Deferred<T>>&& handedOver() { return std::move(deferreds); }
    /// Takes the failures that are left in watched members; returns how many there are.
    int handle() {
        int failures = 0;
        for (auto& d : deferreds)
            d.addBoth([&](bine::Result<T> result) -> bine::Result<T> {
                if (result.isValue()) return result;
                ++failures;
                return T();
            });
        return failures;
    }

    std::vector<bine::Resolver<T>> resolvers;
    std::vector<bine::Deferred<T>> deferreds;
};

/// The numbers from 0 up to `count`, from the first, from the last, or in any order.
inline std::vector<std::size_t> order(std::size_t count, const char* which) {
    std::vector<std::size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), std::size_t(0));
    if (qstrcmp(which, "backward") == 0) std::reverse(numbers.begin(), numbers.end());
    if (qstrcmp(which, "shuffled") == 0) std::shuffle(numbers.begin(), numbers.end(), std::mt19937(7));
    return numbers;
}

/// What has come out of d, if anything has; taken off it.
template <class T>
class Outcome {
public:
    explicit Outcome(bine::Deferred<T> d) {
        const auto failed = [state = state_](const bine::Failure& failure) { state->emplace(failure); };
        if constexpr (std::is_void_v<T>)
            std::move(d).addCallbacks([state = state_] { state->emplace(); }, failed);
        else
            std::move(d).addCallbacks([state = state_](T value) { state->emplace(std::move(value)); }, failed);
    }
    explicit operator bool() const { return state_->has_value(); }
    const bine::Result<T>& operator*() const { return **state_; }
    const bine::Result<T>* operator->() const { return &**state_; }
    decltype(auto) value() const { return std::as_const(**state_).value(); }
    /// The exception, or null.
    template <class E>
    const E* failed() const {
        return *state_ && (*state_)->isFailure() ? (*state_)->failure().template check<E>() : nullptr;
    }

private:
    std::shared_ptr<std::optional<bine::Result<T>>> state_ = std::make_shared<std::optional<bine::Result<T>>>();
};
