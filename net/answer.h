#pragma once
// Answer: the one result that a protocol owes the program that asked. ask(): connect, and give the answer.
//
//     class DaytimeQuestion : public bine::Protocol {
//     public:
//         bine::Deferred<std::string> answer() { return answer_.deferred(); }
//         void dataReceived(std::string_view data) override {
//             text_ += data;
//             if (text_.ends_with('\n')) answer_.callback(text_);
//         }
//     private:
//         std::string text_;
//         bine::Answer<std::string> answer_{*this};
//     };
//
//     bine::ask(reactor, "time.example.org", 13, std::make_shared<DaytimeQuestion>())
//         .addTimeout(5s, reactor)                       // ends the connection, too
//         .ownedBy(window)                               // so does the window's death
//         .addCallback([](std::string time) { show(time); });
//
// Fires once: with the first callback() or errback(), or with the reason of the loss when the connection ends first; what comes
// later is ignored. Cancelling its Deferred, by hand, by a timeout or by an owner, aborts the connection. Reactor's thread only.
// A member of the protocol, which it must not outlive. Cost: one allocation.

#include <version>  // first: without it Qt's moc cannot read <concepts>
#include <concepts>
#include <memory>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

#include "bine/defer/deferred.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"
#include "bine/net/protocol.h"
#include "bine/net/tcp.h"

namespace bine::inline v0 {

namespace detail {
/// The reason of the loss whose protocol is being let go; null outside of that.
BINE_EXPORT const Failure* currentLoss() noexcept;
} // namespace detail

template <class T = void>
class Answer {
public:
    explicit Answer(Protocol& protocol, std::source_location where = std::source_location::current())
        : protocol_(protocol), loss_(*this), resolver_([this] { protocol_.transport().abortConnection(); }, where) {
        loss_.bindTo(protocol.ownerHook());
    }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;

    /// For the program that asked; once. Throws std::logic_error after that.
    Deferred<T> deferred(std::source_location where = std::source_location::current()) { return resolver_.deferred(where); }

    /// The answer: a value, nothing if T is void, a Result, or a Failure. False if it came too late.
    template <class... V>
        requires(sizeof...(V) == (std::is_void_v<T> ? 0 : 1))
    bool callback(V&&... value) {
        if (resolver_.called())
            return false;
        resolver_.callback(std::forward<V>(value)...);
        return true;
    }
    /// There is no answer, for this reason. False if it came too late.
    bool errback(Failure failure) {
        if (resolver_.called())
            return false;
        resolver_.errback(std::move(failure));
        return true;
    }
    /// Whether it was given, has failed, or was cancelled.
    bool called() const noexcept { return resolver_.called(); }

private:
    class Loss final : public detail::Owned {
    public:
        explicit Loss(Answer& answer) : answer_(answer) {}

    private:
        void ownerDied() override {
            if (const Failure* reason = detail::currentLoss())
                answer_.errback(*reason);
        }
        Answer& answer_;
    };

    Protocol& protocol_;
    Loss loss_;
    Resolver<T> resolver_;
};

/// A protocol whose answer() is the Deferred of an Answer.
template <class P>
concept AnsweringProtocol = std::derived_from<P, Protocol> && requires(P& protocol) {
    requires detail::IsDeferred<decltype(protocol.answer())>::value;
};

/// Connects, and fires with the protocol's answer. Fails as connectProtocol(), or as the answer does. Cancelling ends the attempt
/// or the connection. The owners of the Deferred own the connection, as those of connectProtocol().
template <AnsweringProtocol P>
auto ask(Reactor& reactor, const TextArgument& host, Port port, std::shared_ptr<P> protocol,
         const TCPClientOptions& options = TCPClientOptions(),
         std::source_location where = std::source_location::current()) -> decltype(protocol->answer()) {
    return connectProtocol(reactor, host, port, std::move(protocol), options, where)
        .addCallback([](std::shared_ptr<P> connected) { return connected->answer(); });
}

} // namespace bine::inline v0
