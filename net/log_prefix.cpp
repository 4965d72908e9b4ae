#include "bine/net/log_prefix.h"

#include <mutex>
#include <set>
#include <typeindex>

#include "bine/net/protocol.h"
#include "bine/reactors/activity.h"

namespace bine::inline v0::detail {

static bool firstOf(const std::type_info& type) {
    static std::mutex& mutex = *new std::mutex; // never destroyed: static destructors log too
    static auto& known = *new std::set<std::type_index>;
    const std::lock_guard lock(mutex);
    return known.insert(type).second;
}

std::string prefixWithout(const std::type_info& type) {
    std::string name = className(type);
    if (!firstOf(type))
        failureOfCurrentException();
    else
        logCurrentException("Unhandled error in logPrefix() of " + name +
                            "; its class's name is used instead");
    return name;
}

} // namespace bine::inline v0::detail
