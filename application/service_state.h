#pragma once
// ServiceState: how far a service has come, and who waits for its end. Internal; reactor's thread.
//
// Kept by the service, by its parent and by whatever calls it: it tells them whether the service is still
// there after the call.

#include <memory>
#include <source_location>
#include <string>

#include "bine/application/service.h"
#include "bine/defer/deferred.h"
#include "bine/defer/waiting_line.h"

namespace bine::inline v0::detail {

class ServiceState final : public std::enable_shared_from_this<ServiceState> {
public:
    static ServiceState& of(const Service& service) noexcept { return *service.state_; }

    explicit ServiceState(Service& self) : service(&self) {}

    Service* service; // null once it is destroyed
    std::weak_ptr<ServiceState> parent;
    bool prepared = false; // its privileged start has begun, its stop has not
    bool running = false;

    bool childOf(const std::shared_ptr<ServiceState>& other) const { return service && parent.lock() == other; }
    bool stopping() const noexcept { return stop_ != nullptr; }

    /// Its privileged start, unless it has had that. Throws what that throws; std::logic_error if it has not
    /// stopped yet. REQUIRES: the service is there. So do the next two.
    void prepare();
    /// The same, and its start, unless it runs.
    void start();
    /// Stops it if there is something to stop. Fires when it has stopped; fails with what stopService() failed
    /// with.
    Deferred<> stop(std::source_location where = std::source_location::current());
    /// stop(), or what waits for it, without its failure, which is logged. Cancelled, it fails with CancelledError.
    static Deferred<> logged(Deferred<> stopped, std::string description);
    Deferred<> stopLogged();
    /// Said by its destructor.
    void destroyed();

    /// "the service 'web'", "a nameless TCPServer".
    std::string description() const;

private:
    using Line = WaitingLine<void>;
    void stopped(const std::shared_ptr<Line>& line, const std::string& description, Result<> result);

    std::shared_ptr<Line> stop_; // while it is stopping
};

} // namespace bine::inline v0::detail
