#pragma once
// What the sources of the engine share. Internal.

#include "bine/defer/core.h"
#include "bine/defer/pool.h"
#include "bine/log/log.h"

namespace bine::inline v0::detail {

/// "bine.defer". Never destroyed: Deferreds die in static destructors too.
const Logger& deferLogger();

inline bool Core::ownersDied() const noexcept { return thread_.ownersDied.load(std::memory_order_acquire); }

/// Another owner than the first, which a Core's own base links to.
class FurtherOwner final : public Owned {
public:
    FurtherOwner(Core& owned, FurtherOwner* behind) : core(owned), next(behind) {}
    void ownerDies() noexcept override { static_cast<Owned&>(core).ownerDies(); }
    void ownerDied() override { static_cast<Owned&>(core).ownerDied(); }

    Core& core;
    FurtherOwner* next;
};

/// Gives the result of a chain to another Core: the coroutine that awaits an lvalue, or the target of chainDeferred(). The only stage without a callable.
struct HandOver : Stage {
    HandOver(const Operations& table, Core& to, Core::Handle how = Core::Handle::given) noexcept
        : Stage(table), target(&to), handle(how) {}

    Core* target;  // counted; null: nobody wants it any more
    Core::Handle handle;

    static bool is(const Stage& stage) noexcept { return !stage.operations->onValue && !stage.operations->onFailure; }
    static void destroyAwait(Stage& stage) noexcept;
    static void destroyForward(Stage& stage) noexcept;
    static const Operations awaiting;
    static const Operations forwarding;
};

}  // namespace bine::inline v0::detail
