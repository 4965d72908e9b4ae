#pragma once
// LoopingCall: calls a function again and again.
//
//     bine::LoopingCall tick(reactor, [] { Logger("tick").info("still here"); });
//     tick.start(4s);
//
// The calls keep step with the start: how long they take does not add up, and those that are missed (the loop was busy, the last one had not ended) are left
// out, never made up for. Belongs to the clock's thread; the clock outlives it. Its end stops the calls, also from within one. Cost: one timer per call.

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/function.h"
#include "bine/defer/level.h"
#include "bine/defer/owner.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT LoopingCall {
public:
    using Count = std::int64_t;
    enum class FirstCall { now, later };

    /// f() or f(rest...) may return anything. If it returns a Deferred, the next call waits for that; if that fails, or f throws, the loop ends.
    template <class F, class... A>
        requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<A>&...>
    LoopingCall(Clock& clock, F&& f, A&&... rest)
        : LoopingCall(clock, calling<false>(detail::CallableOfArguments<F, A...>::make(std::forward<F>(f), std::forward<A>(rest)...)), Erased()) {}

    /// f(count) is told how many intervals have passed since the last call: 1, or more if calls were left out. In sum they are exactly the intervals since
    /// the start (S-007).
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>&, Count>
    static LoopingCall withCount(Clock& clock, F&& f) {
        return LoopingCall(clock, calling<true>(std::forward<F>(f)), Erased());
    }

    LoopingCall(LoopingCall&& other) noexcept;
    LoopingCall& operator=(LoopingCall&& other) noexcept;
    /// Ends it at once: what the last call returned is cancelled at its source and runs no more, and the function is released; what start() returned fails with
    /// AbandonedError.
    ~LoopingCall();

    /// Calls the function now, or one interval from now, and then once every `interval`; zero is once each turn of the loop. A call with FirstCall::now is
    /// made before this returns. The Deferred fires after stop(), fails with what the function failed with, and stops the loop when it is cancelled: as the
    /// destructor does, but with CancelledError. Throws std::invalid_argument if the interval is negative; std::logic_error if it runs, or if the call in
    /// which it was stopped has not ended yet.
    Deferred<> start(Delay interval, FirstCall first = FirstCall::now);
    /// No further call. Fires what start() returned: now, or when the call that is not done yet has ended. No effect if it does not run.
    void stop();
    /// Leaves out the call that is due, and counts the interval from now. Throws std::logic_error if it does not run.
    void reset();

    /// From start() until stop(), or until a call has failed.
    bool running() const noexcept;
    /// That of the last start(); zero before.
    Duration interval() const noexcept;

    /// When `owner` dies, it ends as by its destructor. A start() after that fails with CancelledError.
    template <class X>
    LoopingCall& ownedBy(X& owner) & {
        own(detail::hookOf(owner));
        return *this;
    }
    template <class X>
    LoopingCall& ownedBy(X* owner) & {
        return ownedBy(detail::ownerAt(owner));
    }
    template <class X>
    LoopingCall ownedBy(X& owner) && {
        own(detail::hookOf(owner));
        return std::move(*this);
    }
    template <class X>
    LoopingCall ownedBy(X* owner) && {
        return std::move(*this).ownedBy(detail::ownerAt(owner));
    }

private:
    class Loop;
    struct Erased {};
    using Call = Function<Deferred<>(Count)>;

    LoopingCall(Clock& clock, Call call, Erased);
    void own(detail::OwnerHook& hook);
    Loop& loop() const;
    void end() noexcept;

    template <bool counts, class F>
    static Call calling(F&& f) {
        return [f = std::decay_t<F>(std::forward<F>(f))](Count count) mutable -> Deferred<> {
            const auto call = [&]() -> decltype(auto) {
                if constexpr (counts)
                    return std::invoke(f, count);
                else
                    return std::invoke(f);
            };
            using Returned = std::remove_cvref_t<decltype(call())>;
            if constexpr (std::is_void_v<Returned>) {
                call();
                return succeed();
            } else if constexpr (detail::IsDeferred<Returned>::value) {
                return call().addCallback([](auto&&...) {});
            } else {
                return succeed().addCallback(call).addCallback([](auto&&...) {});  // it may be a Failure
            }
        };
    }

    std::shared_ptr<Loop> loop_;  // null: moved away
};

}  // namespace bine::inline v0
