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
#include "bine/defer/level.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"
#include "bine/net/address.h"
#include "bine/net/protocol.h"

namespace bine::inline v0 {

class Connector;

namespace detail {
template <class Base, class F>
class FactoryOf;

template <class P, class... Args>
auto protocolMaker(Args... args);
} // namespace detail

class BINE_EXPORT Factory : public std::enable_shared_from_this<Factory> {
public:
    virtual ~Factory();
    Factory(const Factory&) = delete;
    Factory& operator=(const Factory&) = delete;

    /// Makes std::make_shared<P>(args...) for each connection; use std::ref for what is to be shared.
    template <class P, class... Args>
    static std::shared_ptr<Factory> forProtocol(Args... args) {
        return make(detail::protocolMaker<P>(std::move(args)...));
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
        return make(detail::protocolMaker<P>(std::move(args)...));
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

/// Whether F can be the callable of a factory.
enum class Builder { possible, takesNoAddress, defers, buildsNoProtocol };
template <class F>
constexpr Builder builderOf() {
    if constexpr (!callableWith<F, const Address&>) {
        return Builder::takesNoAddress;
    } else {
        using Built = std::remove_cvref_t<std::invoke_result_t<F&, const Address&>>;
        if constexpr (IsDeferred<Built>::value)
            return Builder::defers;
        else
            return std::is_convertible_v<Built, std::shared_ptr<Protocol>> ? Builder::possible
                                                                           : Builder::buildsNoProtocol;
    }
}

template <class Base, class F, class... Args>
std::shared_ptr<Base> makeFactory(F&& build, Args&&... args) {
    constexpr Builder verdict = builderOf<F>();
    static_assert(verdict != Builder::takesNoAddress,
                  "Factory::make: the callable takes the address of the peer: write [](const bine::Address&) "
                  "{ return std::make_shared<P>(); }, or Factory::forProtocol<P>()");
    static_assert(verdict != Builder::defers,
                  "Factory::make: a factory does not wait for a Deferred: return a protocol that waits in its "
                  "connectionMade()");
    static_assert(verdict != Builder::buildsNoProtocol,
                  "Factory::make: the callable returns a std::shared_ptr to a class with the public base "
                  "bine::Protocol: write return std::make_shared<P>();");
    if constexpr (verdict == Builder::possible)
        return std::make_shared<FactoryOf<Base, F>>(std::move(build), std::forward<Args>(args)...);
    else
        return nullptr;
}

/// Whether P can be made for each connection, from copies of the arguments.
enum class Made { possible, noProtocol, isAbstract, notFromThese };
template <class P, class... Args>
constexpr Made madeOf() {
    if constexpr (!std::is_convertible_v<P*, Protocol*>)
        return Made::noProtocol;
    else if constexpr (std::is_abstract_v<P>)
        return Made::isAbstract;
    else
        return std::is_constructible_v<P, const Args&...> ? Made::possible : Made::notFromThese;
}

/// A callable for Factory::make() that makes a P; if that is refused, one that makes nothing.
template <class P, class... Args>
auto protocolMaker(Args... args) {
    constexpr Made verdict = madeOf<P, Args...>();
    static_assert(verdict != Made::noProtocol,
                  "forProtocol<P>: P has no public base bine::Protocol: write class P : public bine::Protocol");
    static_assert(verdict != Made::isAbstract,
                  "forProtocol<P>: P is abstract: a function that it has to override is missing or has another "
                  "signature: write override behind each, and the compiler says which");
    static_assert(verdict != Made::notFromThese,
                  "forProtocol<P>(args...): P has no public constructor for const copies of these arguments: "
                  "give those that it takes, and std::ref(x) for an X& that all connections share");
    if constexpr (verdict == Made::possible)
        return [... args = std::move(args)](const Address&) { return std::make_shared<P>(args...); };
    else
        return [](const Address&) { return std::shared_ptr<Protocol>(); };
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

template <class F>
F* Protocol::factory() const noexcept {
    static_assert(std::derived_from<F, Factory>, "factory<F>(): F has no public base bine::Factory");
    return dynamic_cast<F*>(factory());
}

template <class X>
requires(std::derived_from<X, Factory> && !std::derived_from<X, Scope>)
struct OwnerTraits<X> {
    static detail::OwnerHook& hook(X& factory) { return factory.ownerHook(); }
};

} // namespace bine::inline v0
