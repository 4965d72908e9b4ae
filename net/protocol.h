#pragma once
// Protocol: bytes from a peer. One object per connection; derive from it, override what you want to hear.
//
// Reactor's thread only. Always in a std::shared_ptr (std::make_shared). The callbacks of one protocol never
// nest: while one is on the stack (even if it runs a dialog) no other comes. connectionMade() comes first,
// connectionLost() last and exactly once. An exception from a callback is logged, aborts the connection and
// becomes the reason of connectionLost(). A ProtocolError is the peer's fault and is logged at info level.
//
// A Protocol is an owner: what is ownedBy(protocol) is cancelled after its connectionLost().

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <typeinfo>

#include "bine/defer/failure.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"
#include "bine/net/transport.h"

namespace bine::inline v0 {

class Factory;
class Filter;

namespace detail {
/// A class's own name: without namespaces and template arguments.
BINE_EXPORT std::string className(const std::type_info& type);
} // namespace detail

class BINE_EXPORT Protocol : public std::enable_shared_from_this<Protocol> {
public:
    virtual ~Protocol();
    Protocol(const Protocol&) = delete;
    Protocol& operator=(const Protocol&) = delete;

    /// Connects this protocol with a transport and calls connectionMade(). The transport holds the protocol
    /// from now on; hold the transport, or use attach(). Throws std::logic_error if either of them is
    /// connected already.
    void makeConnection(const std::shared_ptr<Transport>& transport);

    virtual void connectionMade() {}
    /// `data` is valid during the call; it is some bytes of the stream, never a unit of anything.
    virtual void dataReceived(std::string_view data);
    /// The reactor begins its shutdown: the last chance to write. What is written here, and what waited, is sent
    /// within the shutdown's deadline; then connectionLost() comes. Called once, when the 'before shutdown'
    /// triggers have been called, unless loseConnection() was. A protocol whose callback is on the stack hears
    /// it when that returns, if it is still connected then.
    virtual void reactorStopping() {}
    /// ConnectionDone, ConnectionLost, ConnectionAborted, or what a callback threw. transport() still has the
    /// addresses.
    virtual void connectionLost(const Failure& reason);

    /// The transport; while not connected one on which everything is a no-op.
    Transport& transport() const noexcept { return transport_ ? *transport_ : nullTransport(); }
    /// From makeConnection() until the connection ends.
    bool connected() const noexcept { return transport_ && transport_->connected(); }
    /// The name in log lines: the class's own name.
    virtual std::string logPrefix() const;
    /// The factory that built it, or null.
    Factory* factory() const noexcept { return factory_.get(); }
    /// The factory as an F, or null if it is none: factory<ChatFactory>()->broadcast(line).
    template <class F>
    F* factory() const noexcept;
    void setFactory(std::shared_ptr<Factory> factory) noexcept { factory_ = std::move(factory); }
    /// An optional ability of the protocol (HalfCloseableProtocol), or null. What it derives from, or what
    /// capability() says: wrappers ask whom they wrap.
    template <class I>
    I* as() {
        if (void* known = capability(typeid(I)))
            return static_cast<I*>(known);
        return dynamic_cast<I*>(this);
    }
    /// Whether it keeps input that it has not handled, because it has paused: a connection that could end waits until
    /// it resumes.
    virtual bool holdsInput() const noexcept { return false; }
    /// Where owned things hang; made on first use.
    detail::OwnerHook& ownerHook();

protected:
    Protocol();
    virtual void* capability(std::type_index) { return nullptr; }

private:
    friend class Filter;
    friend class Transport;
    void endScope(const Failure* loss);

    Transport* transport_ = nullptr;
    std::shared_ptr<Factory> factory_;
    std::unique_ptr<detail::OwnerHook> hook_;
};

template <class P>
requires(std::derived_from<P, Protocol> && !std::derived_from<P, Scope>)
struct OwnerTraits<P> {
    static detail::OwnerHook& hook(P& protocol) { return protocol.ownerHook(); }
};

} // namespace bine::inline v0
