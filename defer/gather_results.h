#pragma once
// gatherResults: the values of several Deferreds, or the first failure.
//
//     bine::gatherResults(std::move(pages)).addCallback([](std::vector<std::string> texts) { ... });
//     bine::gatherResults(user(name), bine::getPage(reactor, url)).addCallback([](std::tuple<User, std::string> both) { ... });
//
// A vector of Deferreds of one type gives a vector (of Deferred<> nothing, a Deferred<>); differing types, in a row or as a tuple, give a tuple, in
// which std::monostate stands for nothing. The members are handed over, by std::move, or only watched, as std::span(vector) or std::tie(a, b): deferred_list.h
// tells what that means. Thread: the members'. Cost: five allocations at most, however many members there are.

#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "bine/defer/deferred.h"
#include "bine/defer/gathering.h"
#include "bine/defer/group_errors.h"
#include "bine/defer/mistakes.h"

namespace bine::inline v0 {

class GatherResultsOptions {
public:
    GatherResultsOptions() noexcept {}

    /// Takes all failures off the members, not only the one that FirstError tells of. A watched one goes on with T() then; of one that was handed over, what
    /// comes after the first is not reported.
    GatherResultsOptions& consumeErrors() noexcept {
        rules_.consumeErrors = true;
        return *this;
    }

    const detail::Gathering::Rules& rules() const noexcept { return rules_; }  ///< for the rooms of this library

private:
    detail::Gathering::Rules rules_{.fireOnOneErrback = true};
};

namespace detail {

template <class T>
class ValuesGathering final : public GatheringFor<std::vector<T>> {
public:
    ValuesGathering(std::size_t members, Gathering::Rules rules, std::source_location created)
        : GatheringFor<std::vector<T>>(members, rules, created), values_(members) {}
    template <class V>
    void store(std::size_t index, V&& value) {
        values_[index].emplace(std::forward<V>(value));
    }

private:
    Result<std::vector<T>> outcome() override {
        std::vector<T> values;
        values.reserve(values_.size());
        for (auto& value : values_) values.push_back(*std::move(value));
        values_.clear();
        return values;
    }

    std::vector<std::optional<T>> values_;
};
template <>
class ValuesGathering<void> final : public GatheringFor<void> {
public:
    using GatheringFor<void>::GatheringFor;
    void store(std::size_t) noexcept {}

private:
    Result<> outcome() override { return {}; }
};
template <class T>
using Values = std::conditional_t<std::is_void_v<T>, void, std::vector<std::conditional_t<std::is_void_v<T>, int, T>>>;

template <class T>
using InTuple = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
template <class... T>
using Tuple = std::conditional_t<(std::is_void_v<T> && ...), void, std::tuple<InTuple<T>...>>;

template <class... T>
class TupleGathering final : public GatheringFor<Tuple<T...>> {
public:
    using GatheringFor<Tuple<T...>>::GatheringFor;
    template <std::size_t index, class... V>
    void store(std::integral_constant<std::size_t, index>, V&&... value) {
        std::get<index>(values_).emplace(std::forward<V>(value)...);
    }

private:
    Result<Tuple<T...>> outcome() override {
        if constexpr ((std::is_void_v<T> && ...))
            return {};
        else
            return std::apply([](auto&... values) { return Tuple<T...>(*std::move(values)...); }, values_);
    }

    std::tuple<std::optional<InTuple<T>>...> values_;
};

template <class D>
inline constexpr bool isNamed = false;
template <class T>
inline constexpr bool isNamed<NamedDeferred<T>> = true;

/// D, as it was written, is Deferred<T> or Deferred<T>&.
template <class... D>
using GatheredValues = Tuple<typename std::remove_reference_t<D>::value_type...>;
template <class... D>
using GatheredTuple = std::conditional_t<(isNamed<D> || ...), NamedDeferred<GatheredValues<D...>>, Deferred<GatheredValues<D...>>>;

template <class G, class Index, class T>
void joinTuple(const std::shared_ptr<G>& gathering, Index index, Deferred<T>&& member) {
    handOver(gathering, index, std::move(member));
}
template <class G, class Index, class T>
void joinTuple(const std::shared_ptr<G>& gathering, Index index, Deferred<T>& member) {
    watch(gathering, index, member);
}

template <class... D>
GatheredTuple<D...> gatherTuple(Gathering::Rules rules, std::source_location where, D&&... members) {
    using G = TupleGathering<typename std::remove_reference_t<D>::value_type...>;
    const auto gathering = std::make_shared<G>(sizeof...(D), rules, where);
    return gather(gathering, [&] {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            (joinTuple(gathering, std::integral_constant<std::size_t, i>(), std::forward<D>(members)), ...);
        }(std::index_sequence_for<D...>());
    });
}

}  // namespace detail

/// Fires with the values of all members, in the order they were given, when the last of them has come; at once if they all have, or if there are none. The
/// first failure fails it with FirstError, and the other members go on. cancel() is passed on to all that are out. All else as in deferredList().
template <class T>
[[nodiscard]] Deferred<detail::Values<T>> gatherResults(std::vector<Deferred<T>>&& members, GatherResultsOptions options = {},
                                          std::source_location where = std::source_location::current()) {
    return detail::gather<detail::ValuesGathering<T>>(std::move(members), options.rules(), where);
}
template <class T, std::size_t size>
[[nodiscard]] Deferred<detail::Values<T>> gatherResults(std::span<Deferred<T>, size> members, GatherResultsOptions options = {},
                                          std::source_location where = std::source_location::current()) {
    return detail::gather<detail::ValuesGathering<T>>(std::span<Deferred<T>>(members), options.rules(), where);
}
/// Refused in words.
template <class T, class... Options>
detail::Refused gatherResults(std::vector<Deferred<T>>&, Options&&...) {
    static_assert(detail::accepted<T>, "gatherResults: hand the Deferreds over with std::move(members), or watch them with std::span(members)");
    return {};
}

/// The same of differing types: a tuple of values; nothing, if no member has one. A tuple of references (std::tie) watches, one of Deferreds hands over.
template <class... D>
    requires(detail::IsDeferred<std::remove_cvref_t<D>>::value && ...)
[[nodiscard]] detail::GatheredTuple<D...> gatherResults(std::tuple<D...> members, GatherResultsOptions options = {},
                                          std::source_location where = std::source_location::current()) {
    return std::apply([&](auto&... each) { return detail::gatherTuple<D...>(options.rules(), where, std::forward<D>(each)...); }, members);
}
template <class... D>
    requires(sizeof...(D) != 0 && (detail::IsDeferred<std::remove_cvref_t<D>>::value && ...))
[[nodiscard]] auto gatherResults(D&&... members) {
    constexpr bool temporaries = (!std::is_lvalue_reference_v<D> && ...);
    static_assert(temporaries, "gatherResults: hand each Deferred over with std::move(d), or watch them with std::tie(a, b)");
    if constexpr (temporaries)
        return detail::gatherTuple<D...>(GatherResultsOptions().rules(), {}, std::forward<D>(members)...);
    else
        return detail::Refused();
}

}  // namespace bine::inline v0
