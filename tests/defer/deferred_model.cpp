#include "defer/deferred_model.h"

#include <algorithm>

namespace algebra {

namespace model {

Handle::Handle(ChainPointer chain, Type type) : chain(std::move(chain)), type(type) { this->chain->hasHandle = true; }

Handle::~Handle() {
    if (chain) chain->dropHandle();
}

Resolver::~Resolver() {
    if (chain) chain->abandon();
}

void View::fire(Answer answer) { chain_.fire(std::move(answer)); }

// D-047: the report comes at its death at the latest.
Chain::~Chain() {
    if (!dead_ && answer_ && answer_->isFailure()) log_.line("unhandled: " + answer_->failure);
}

// --- Firing.

void Chain::fire(Answer answer) {
    const auto self = shared_from_this();
    if (dead_ && cancelling_ && !std::exchange(firedByCanceller_, true)) return;  // it is cancelled at its source, and nobody hears what comes
    if (called_) {
        if (std::exchange(swallows_, false)) return;  // D-037
        if (dead_) return;
        throw Model::Thrown{"AlreadyCalledError"};    // D-019, D-038
    }
    becomeCalled();
    if (dead_) return;
    answer_ = std::move(answer);
    run();  // D-001
}

// What was kept for the operation goes: the canceller (D-044), and the function that returned this.
void Chain::becomeCalled() {
    called_ = true;
    canceller_ = nullptr;
    for (const auto& level : levels_)
        if (level.waiter) level.waiter->returning_ = Level();
}

// The Resolver has died: whoever waits is told.
void Chain::abandon() {
    const auto self = shared_from_this();
    if (dead_) canceller_ = nullptr;  // there is nothing left to cancel
    if (called_ || cancelling_ || dead_) return;
    if (hasHandle || !levels_.empty()) return fire(Answer::failed("AbandonedError"));
    called_ = true;
    canceller_ = nullptr;
}

void Chain::add(Level level) {
    const auto self = shared_from_this();
    if (taken_) throw Model::Thrown{"logic_error"};  // there is no int that could be passed
    if (dead_) return;
    levels_.push_back(std::move(level));
    run();  // D-002
}

void Chain::run() {
    const auto self = shared_from_this();
    if (running_) return;  // D-015
    while (called_ && !dead_ && pauses_ == 0 && !inner_ && !levels_.empty()) {
        const Level level = std::move(levels_.front());
        levels_.pop_front();
        const Function& function = answer_->isFailure() ? level.onFailure : level.onValue;
        if (level.waiter || level.awaits)
            handOver(level);
        else if (level.target)
            forward(level);
        else if (function)  // D-007
            runFunction(level, function);
    }
    reportIfOver();
}

void Chain::runFunction(Level level, const Function& function) {
    running_ = true;
    Returned<Handle> returned = function(takeAnswer());
    running_ = false;
    if (returned.deferred) {
        goOnWith(std::move(*returned.deferred));
        if (inner_ && !inner_->called_) returning_ = std::move(level);
    } else {
        answer_ = returned.answer;  // D-003 to D-006, D-008
    }
    if (dead_) endOutwards();
}

// D-031
void Chain::forward(const Level& level) {
    running_ = true;
    try {
        level.target->chain->fire(takeAnswer());
        answer_ = Answer{};
    } catch (const Model::Thrown& thrown) {
        answer_ = Answer::failed(thrown.name);
    }
    running_ = false;
    if (dead_) endOutwards();
}

// Somebody waits for the result; what stays here is nothing: D-022, D-024, D-028, D-051.
void Chain::handOver(const Level& level) {
    if (!level.waiter) return;
    const Answer answer = takeAnswer();
    answer_ = Answer{};
    level.waiter->inner_ = nullptr;
    if (level.waiter->dead_) return;
    running_ = true;
    level.waiter->goOnWith(answer);
    running_ = false;
    if (dead_) endOutwards();
}

// A function returned `inner`.
void Chain::goOnWith(Handle inner) {
    const auto chain = inner.chain;
    if (chain->isOrWaitsFor(*this)) {
        answer_ = Answer::failed("logic_error");  // D-017
    } else if (chain->taken_) {
        answer_ = Answer::failed("logic_error");  // there is no int that it could give up
    } else if (chain->dead_) {
        answer_ = Answer::failed("CancelledError");
    } else {
        inner.chain = nullptr;
        chain->hasHandle = false;
        if (chain->isFinal()) {
            answer_ = chain->takeAnswer();  // D-023
        } else {
            waitFor(chain, Awaits::given);
            if (dead_) chain->die();  // what it returned ends, too
            if (dead_) chain->end();
        }
    }
}

// What was waited for has come.
void Chain::goOnWith(Answer answer) {
    const auto self = shared_from_this();
    if (frame_) {
        frame_->resume(answer);
        runFrame();
    } else {
        returning_ = Level();
        answer_ = std::move(answer);
        run();
    }
}

void Chain::waitFor(const ChainPointer& inner, Awaits how) {
    Level level;
    level.waiter = shared_from_this();
    level.awaits = how != Awaits::given;
    inner->levels_.push_back(std::move(level));
    inner_ = inner;
    byReference_ = how == Awaits::reference;
}

// D-047: at once if its consumer is gone.
void Chain::reportIfOver() {
    if (dead_ || running_ || hasHandle) return;
    if (isFinal() && answer_ && answer_->isFailure()) log_.line("unhandled: " + takeAnswer().failure);
    const auto waits = [](const Level& level) { return level.waiter != nullptr; };
    if (called_ && pauses_ > 0 && (!levels_.empty() || (answer_ && answer_->isFailure())) && std::none_of(levels_.begin(), levels_.end(), waits))
        log_.silence("paused, and nobody but a reference could wake it up");
}

void Chain::dropHandle() {
    const auto self = shared_from_this();
    hasHandle = false;
    reportIfOver();
}

// D-033, D-034, D-035
void Chain::unpause() {
    if (pauses_ > 0 && --pauses_ == 0) run();
}

bool Chain::isFinal() const { return called_ && !dead_ && !running_ && !inner_ && pauses_ == 0 && levels_.empty(); }

bool Chain::isOrWaitsFor(const Chain& other) const { return this == &other || (inner_ && inner_->isOrWaitsFor(other)); }

Answer Chain::takeAnswer() {
    Answer answer = answer_.value_or(Answer{});
    answer_.reset();
    return answer;
}

// D-032
std::string Chain::state() const {
    if (inner_) return "waits";
    if (answer_ && answer_->isFailure()) return "failed with " + answer_->failure;
    if (answer_ && answer_->kind == Answer::Kind::value) return "has a value";
    return called_ ? "has nothing" : "unfired";
}

// --- Cancelling.

void Chain::cancel() {
    const auto self = shared_from_this();
    if (dead_) return;
    if (inner_) return inner_->cancel();  // D-043, D-093
    if (frame_) {                         // D-094
        cancelsNextAwait_ = true;
        return;
    }
    if (called_ || cancelling_) return;  // D-042, D-041
    stopOperation();
    if (!called_ && !dead_) fire(Answer::failed("CancelledError"));  // D-036, D-038
}

void Chain::callCanceller() {
    cancelling_ = true;
    const Canceller canceller = std::exchange(canceller_, nullptr);
    try {
        canceller(View(*this));
    } catch (const Model::Thrown& thrown) {
        log_.line("a canceller's exception: " + thrown.name);  // D-045
    }
    cancelling_ = false;
}

// --- Coroutines.

// D-087
void Chain::begin(std::unique_ptr<Frame> frame) {
    frame_ = std::move(frame);
    runFrame();
}

void Chain::runFrame() {
    const auto self = shared_from_this();
    running_ = true;
    while (frame_->goOn())
        if (!awaitWithoutWaiting()) {
            running_ = false;
            if (dead_) {
                die();
                end();
            } else if (std::exchange(cancelsNextAwait_, false)) {
                inner_->cancel();
            }
            return;
        }
    bodyEnds();
}

// False: it has to wait.
bool Chain::awaitWithoutWaiting() {
    Handle& awaited = frame_->awaited();
    const auto chain = awaited.chain;
    const Type type = awaited.type;
    const bool given = frame_->awaits() == Awaits::given;
    const std::optional<Handle> gone = given ? std::optional<Handle>(std::move(awaited)) : std::nullopt;
    if (chain->taken_) {
        frame_->resume(Answer::failed("logic_error"));
    } else if (dead_ && (chain->dead_ || chain->isOrWaitsFor(*this))) {
        return false;  // what cannot be awaited is not said to a dying one
    } else if (chain->isOrWaitsFor(*this)) {
        frame_->resume(Answer::failed("logic_error"));  // D-017
    } else if (chain->dead_) {
        frame_->resume(Answer::failed("CancelledError"));
    } else if (chain->isFinal()) {  // D-088
        const Answer answer = chain->takeAnswer();
        chain->answer_ = Answer{};
        chain->taken_ = type == Type::number;
        frame_->resume(answer);
    } else {
        waitFor(chain, frame_->awaits());
        chain->taken_ = type == Type::number;
        return false;
    }
    return true;
}

// D-091, D-099
void Chain::bodyEnds() {
    const Answer answer = frame_->end().answer;
    frame_ = nullptr;
    running_ = false;
    cancelsNextAwait_ = false;
    if (dead_) return endOutwards();
    becomeCalled();
    answer_ = answer;
    run();
}

// --- Owners.

// All of them are dead before the first is ended, so that the end of one cannot set another going; the youngest ends first.
void Scope::cancel() {
    const auto lists = lists_;
    lists->dying.insert(lists->dying.begin(), lists->owned.begin(), lists->owned.end());
    lists->owned.clear();
    for (const auto& chain : std::deque(lists->dying))
        if (const auto dying = chain.lock()) dying->die();
    while (!lists->dying.empty()) {
        const auto dying = lists->dying.front().lock();
        lists->dying.pop_front();
        if (dying) dying->end();
    }
}

void Chain::die() {
    dead_ = true;
    if (!inner_ || inner_->dead_ || byReference_) return;
    inner_->die();
}

void Chain::end() {
    const auto self = shared_from_this();
    if (inner_ && (!byReference_ || inner_->dead_))
        inner_->end();
    else
        endOutwards();
}

// This is the innermost. Frames go innermost first; the operation is cancelled before the outermost goes. What is on the stack goes when it is back.
void Chain::endOutwards() {
    const auto self = shared_from_this();
    bool stopped = called_ || cancelling_ || frame_;
    for (ChainPointer chain = self; chain && !chain->running_ && !chain->ended_;) {
        const auto waiters = chain->waiters();
        const bool isOutermost = waiters.empty() || !waiters.front()->dead_;
        if (isOutermost && !std::exchange(stopped, true)) {
            stopOperation();
            continue;  // everything may be different
        }
        chain->finish();
        for (const auto& waiter : waiters) waiter->inner_ = nullptr;
        chain = isOutermost ? nullptr : waiters.front();
        for (const auto& waiter : waiters) {
            if (waiter == chain) continue;
            if (waiter->dead_)
                waiter->endOutwards();
            else
                waiter->goOnWith(Answer::failed("CancelledError"));
        }
    }
}

// One that is dead comes first.
std::vector<ChainPointer> Chain::waiters() const {
    std::vector<ChainPointer> waiters;
    for (const auto& level : levels_)
        if (level.waiter) waiters.insert(level.waiter->dead_ ? waiters.begin() : waiters.end(), level.waiter);
    return waiters;
}

void Chain::stopOperation() {
    if (canceller_)
        callCanceller();
    else
        swallows_ = true;
}

void Chain::finish() {
    ended_ = true;
    called_ = true;
    if (inner_) {  // somebody else has it: that goes on without this
        const auto inner = std::exchange(inner_, nullptr);
        for (auto& level : inner->levels_)
            if (level.waiter.get() == this) level.waiter = nullptr;
        inner->taken_ = false;
    }
    frame_ = nullptr;
    answer_.reset();
    returning_ = Level();
    const auto dying = std::exchange(levels_, {});
}

}  // namespace model

std::string Model::thrown() {
    try {
        throw;
    } catch (const Thrown& thrown) {
        return thrown.name;
    }
}

}  // namespace algebra
