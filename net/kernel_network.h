#pragma once
// KernelNetwork: the Network of reactors that have descriptors. Internal; reactor's thread.

#include <cstdint>
#include <map>
#include <memory>

#include "bine/net/network.h"

namespace bine::inline v0::detail {

class ReactorCore;

class KernelNetwork final : public Network {
public:
    explicit KernelNetwork(ReactorCore& core);
    ~KernelNetwork() override;

    Deferred<std::shared_ptr<Transport>> connectStream(const Address& address,
                                                       const StreamOptions& options) override;
    std::unique_ptr<StreamListener>
    listenStream(const Address& address, int backlog,
                 Function<void(std::shared_ptr<Transport>)> accepted) override;
    Deferred<std::vector<Address>> resolve(const std::string& name) override;

private:
    struct Lookups;
    ReactorCore* core_; // counted
    std::shared_ptr<Lookups> lookups_;
};

} // namespace bine::inline v0::detail
