#pragma once
// startApplication: binds the root of a tree of services to a reactor.
//
//     auto application = std::make_shared<bine::MultiService>();
//     std::make_shared<bine::TCPServer>(reactor, 8000, factory)->setServiceParent(application);
//     bine::startApplication(reactor, application);
//     reactor.run();
//
// It runs while the reactor runs, and is stopped 'before shutdown': the reactor, in full service, waits for its
// end before it closes connections. Reactor's thread only.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <memory>
#include <source_location>

#include "bine/application/service.h"
#include "bine/defer/deferred.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class Reactor;

/// Does the privileged start now, and throws what that throws: bad ports are known before run(). Starts the
/// service now if the reactor is running, else as soon as it does. The Deferred fires when that is done, or is
/// not to be done any more because the service has left; it fails with what startService() threw, and then the
/// service has been stopped again, and has left.
///
/// From now on the service is a child of the reactor's own MultiService, which keeps it if it is in a
/// std::shared_ptr. It leaves as a child does: by disownServiceParent(), for which a shutdown waits too, by its
/// destructor, or when the reactor's shutdown has stopped it. Several are stopped in reverse order. Throws
/// std::logic_error if it has a parent.
BINE_EXPORT Deferred<> startApplication(Reactor& reactor, Service& service,
                                        std::source_location where = std::source_location::current());

/// The same of a std::shared_ptr, which the caller need not keep. Throws std::invalid_argument if it is null.
template <std::derived_from<Service> S>
Deferred<> startApplication(Reactor& reactor, const std::shared_ptr<S>& service,
                            std::source_location where = std::source_location::current()) {
    return startApplication(reactor, detail::serviceAt(service.get(), "startApplication"), where);
}

} // namespace bine::inline v0
