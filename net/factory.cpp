#include "bine/net/factory.h"

#include "bine/log/log.h"
#include "bine/net/log_prefix.h"

namespace bine::inline v0 {

namespace {
const Logger& logger() {
    static const Logger log("bine.net");
    return log;
}
} // namespace

Factory::Factory() = default;
Factory::~Factory() = default;
ClientFactory::ClientFactory() = default;
ClientFactory::~ClientFactory() = default;

// Counts first: startFactory() and stopFactory() may begin or end further uses of this factory.
void Factory::doStart() {
    const auto keep = weak_from_this().lock();
    if (numPorts_++ != 0)
        return;
    try {
        if (noisy)
            logger().debug("Starting factory " + detail::prefixOf(*this));
        startFactory();
    } catch (...) {
        --numPorts_;
        throw;
    }
}

void Factory::doStop() {
    const auto keep = weak_from_this().lock();
    if (numPorts_ == 0 || --numPorts_ != 0)
        return;
    if (noisy)
        logger().debug("Stopping factory " + detail::prefixOf(*this));
    stopFactory();
}

std::string Factory::logPrefix() const { return detail::className(typeid(*this)); }

detail::OwnerHook& Factory::ownerHook() {
    if (!hook_)
        hook_ = std::make_unique<detail::OwnerHook>(detail::OwnerHook::Kind::factory);
    return *hook_;
}

} // namespace bine::inline v0
