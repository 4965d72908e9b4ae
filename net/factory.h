#pragma once
// Factory: a protocol for each connection, and what connections have in common. ClientFactory hears how
// connecting went, too.
//
// Reactor's thread only; always in a std::shared_ptr. Usually none is written: Factory::forProtocol<Echo>(),
// or Factory::make() with a callable. A Factory is an owner: what is ownedBy(factory) is cancelled when the
// factory dies.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/failure.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/protocol.h"

namespace bine::inline v0 {

class Connector;

namespace detail {
template <class Base, class F>
class FactoryOf;

template <class F>
concept ProtocolMaker = requires(F& f, const Address& address) {
    { f(address) } -> std::convertible_to<std::shared_ptr<Protocol>>;
};
} // namespace detail

class BINE_EXPORT Factory : public std::enable_shared_from_this<Factory> {
public:
    virtual ~Factory();
    Factory(const Factory&) = delete;
    Factory& operator=(const Factory&) = delete;

    /// Makes std::make_shared<P>(args...) for each connection; use std::ref for what is to be shared.
    template <class P, class... Args>
    static std::shared_ptr<Factory> forProtocol(Args... args) {
        return make([... args = std::move(args)](const Address&) { return std::make_shared<P>(args...); });
    }
    /// build(const Address& peer) returns a shared_ptr to a protocol; null refuses the connection.
    template <class F>
    static std::shared_ptr<Factory> make(F build);

    /// A protocol for a new connection, or null, which closes it. An exception closes it too, and is logged
    /// or (connecting) is what connecting fails with.
    virtual std::shared_ptr<Protocol> buildProtocol(const Address& peer) = 0;

    /// Called for each port and connector that uses this factory; the first start and the last stop call the
    /// functions below.
    void doStart();
    void doStop();
    int numPorts() const noexcept { return numPorts_; }
    /// Before the first use, and after the last: again if it is used again.
    virtual void startFactory() {}
    virtual void stopFactory() {}
    virtual std::string logPrefix() const;
    /// Whether starting and stopping is logged.
    bool noisy = true;

    /// Where owned things hang; made on first use.
    detail::OwnerHook& ownerHook();

protected:
    Factory();

private:
    int numPorts_ = 0;
    std::unique_ptr<detail::OwnerHook> hook_;
};

class BINE_EXPORT ClientFactory : public Factory {
public:
    ~ClientFactory() override;

    template <class P, class... Args>
    static std::shared_ptr<ClientFactory> forProtocol(Args... args) {
        return make([... args = std::move(args)](const Address&) { return std::make_shared<P>(args...); });
    }
    template <class F>
    static std::shared_ptr<ClientFactory> make(F build);

    /// The attempt begins in a later turn; connector.stopConnecting() is possible here.
    virtual void startedConnecting(Connector&) {}
    /// No connection came about. connector.connect() here tries again.
    virtual void clientConnectionFailed(Connector&, const Failure&) {}
    /// The connection ended; its protocol has heard connectionLost(). connector.connect() here connects
    /// again.
    virtual void clientConnectionLost(Connector&, const Failure&) {}

protected:
    ClientFactory();
};

namespace detail {

template <class Base, class F>
class FactoryOf final : public Base {
public:
    template <class... Args>
    explicit FactoryOf(F&& build, Args&&... args)
        : Base(std::forward<Args>(args)...), build_(std::move(build)) {}
    std::shared_ptr<Protocol> buildProtocol(const Address& peer) override { return build_(peer); }
    std::string logPrefix() const override {
        return className(typeid(typename std::invoke_result_t<F&, const Address&>::element_type)) + "Factory";
    }

private:
    F build_;
};

template <class Base, class F, class... Args>
std::shared_ptr<Base> makeFactory(F&& build, Args&&... args) {
    static_assert(!IsDeferred<std::invoke_result_t<F&, const Address&>>::value,
                  "a factory cannot wait for a Deferred: return a protocol that waits by itself");
    static_assert(
        ProtocolMaker<F>,
        "the callable of a factory takes a const Address& and returns a std::shared_ptr to a Protocol");
    return std::make_shared<FactoryOf<Base, F>>(std::move(build), std::forward<Args>(args)...);
}

} // namespace detail

template <class F>
std::shared_ptr<Factory> Factory::make(F build) {
    return detail::makeFactory<Factory>(std::move(build));
}

template <class F>
std::shared_ptr<ClientFactory> ClientFactory::make(F build) {
    return detail::makeFactory<ClientFactory>(std::move(build));
}

template <class X>
requires std::derived_from<X, Factory>
struct OwnerTraits<X> {
    static detail::OwnerHook& hook(X& factory) { return factory.ownerHook(); }
};

} // namespace bine::inline v0
