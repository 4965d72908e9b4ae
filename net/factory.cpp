#include "bine/net/factory.h"

#include "bine/log/log.h"

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

void Factory::doStart() {
    if (numPorts_ == 0) {
        if (noisy)
            logger().debug("Starting factory " + logPrefix());
        startFactory();
    }
    ++numPorts_;
}

void Factory::doStop() {
    if (numPorts_ == 0 || --numPorts_ != 0)
        return;
    if (noisy)
        logger().debug("Stopping factory " + logPrefix());
    stopFactory();
}

std::string Factory::logPrefix() const { return detail::className(typeid(*this)); }

detail::OwnerHook& Factory::ownerHook() {
    if (!hook_)
        hook_ = std::make_unique<detail::OwnerHook>();
    return *hook_;
}

} // namespace bine::inline v0
