#include "bine/defer/coroutine.h"

namespace bine::inline v0::detail {

PromiseBase::PromiseBase(void* frame) noexcept : core_(&Core::ofFrame(frame)), context_(LogContext::current()) {
    core_->bodyBegins(*this);
}

void PromiseBase::raise(Failure failure, const std::source_location& where) {
    failure.addPlace(Passage::awaited, where);
    raised_ = std::move(failure);
    raised_.raiseException();
}

// An exception that was awaited keeps the places it passed.
void PromiseBase::unhandled_exception() {
    Failure failure = caughtFailure();
    if (raised_ && failure.sameException(raised_)) {
        core_->result.setFailure(std::move(raised_));
    } else {
        failure.addPlace(Passage::made, core_->created());
        core_->result.setFailure(std::move(failure));
    }
}

}  // namespace bine::inline v0::detail
