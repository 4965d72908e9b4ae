#include "bine/defer/lock_guard.h"

namespace bine::inline v0::detail {

Holdable::~Holdable() = default;

Deferred<LockGuard> Tokens::acquire(std::source_location where) {
    if (tokens_ == 0 || !line_.empty()) return line_.join(where);
    --tokens_;
    return succeed(LockGuard(shared_from_this()));
}

// A token that is to be handed on is among those that are there, but not available().
bool Tokens::release() {
    if (tokens_ == limit_) return false;
    const auto self = shared_from_this();
    ++tokens_;
    line_.serve([this] { return tokens_ != 0; },
                [this] {
                    --tokens_;
                    return LockGuard(shared_from_this());
                });
    return true;
}

}  // namespace bine::inline v0::detail
