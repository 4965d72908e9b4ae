#include "bine/reactors/react.h"

#include <memory>

#include "bine/defer/owner.h"
#include "bine/log/log.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0::detail {
namespace {

class PinnedCore {
public:
    explicit PinnedCore(Reactor& reactor) : core_(reactor.core()) {
        if (core_) core_->ref();
    }
    ~PinnedCore() {
        if (core_) core_->unref();
    }
    PinnedCore(const PinnedCore&) = delete;
    PinnedCore& operator=(const PinnedCore&) = delete;
    int exitSignal() const { return core_ ? core_->exitSignal() : 0; }

private:
    ReactorCore* core_;
};

int exitStatus(Result<int> result) {
    if (result.isValue()) return *result;
    static const Logger log("bine.react");
    log.failure(result.failure().exceptionPtr(), "The main function has failed", LogLevel::critical, result.failure().getTraceback());
    return 1;
}

}  // namespace

int runUntilDone(Reactor& reactor, Function<Deferred<int>()> main) {
    int status = 0;
    // Shared, since a reactor that crashes keeps the trigger. From here on it need not be stopped, and may be going.
    const auto stopping = std::make_shared<bool>(false);
    reactor.addSystemEventTrigger(Phase::before, "shutdown", [stopping] { *stopping = true; });
    Scope scope;  // nothing of main outlives this call
    Deferred<> began = succeed();
    began.ownedBy(scope);
    std::move(began).addCallback([&main] { return main(); }).addBoth([&](Result<int> result) {
        status = exitStatus(std::move(result));
        // From within the loop, which may not have been entered yet.
        if (!*stopping) reactor.callLater(Duration::zero(), [&reactor] { reactor.stop(); }).ownedBy(scope);
    });
    const PinnedCore core(reactor);  // the reactor may be destroyed inside
    reactor.run();
    return core.exitSignal() != 0 ? 128 + core.exitSignal() : status;
}

}  // namespace bine::inline v0::detail
