#pragma once
// prefixOf(): the log prefix of a user's object, also when its logPrefix() throws. Internal; any thread.
//
// A prefix is for people: a logPrefix() that throws must not change what happens to a connection or a port.

#include <string>
#include <typeinfo>

#include "bine/log/export.h"

namespace bine::inline v0::detail {

/// For use in a catch (...) block: logs the exception of a logPrefix(), once for each class, and returns the
/// class's own name. A thread's forced unwinding is let through.
BINE_EXPORT std::string prefixWithout(const std::type_info& type);

/// What object.logPrefix() returns; if it throws, the name of the object's class.
template <class T>
std::string prefixOf(const T& object) {
    const std::type_info& type = typeid(object);
    try {
        return object.logPrefix();
    } catch (...) {
        return prefixWithout(type);
    }
}

} // namespace bine::inline v0::detail
