#pragma once
// Names of this floor, for headers that only mention them.

#include <type_traits>

namespace bine::inline v0 {

class Failure;
template <class T>
class Result;
template <class T = void>
class Deferred;
template <class T>
class NamedDeferred;
template <class T = void>
class Resolver;

namespace detail {

/// Whether R is a Deferred or derived from one.
template <class R>
struct IsDeferred : std::false_type {};
template <class T>
struct IsDeferred<Deferred<T>> : std::true_type {};
template <class T>
struct IsDeferred<NamedDeferred<T>> : std::true_type {};

}  // namespace detail
}  // namespace bine::inline v0
