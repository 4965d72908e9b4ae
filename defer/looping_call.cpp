#include "bine/defer/looping_call.h"

#include <optional>
#include <stdexcept>

#include "bine/defer/errors.h"
#include "bine/defer/home_thread.h"
#include "bine/defer/owner_links.h"

namespace bine::inline v0 {

/// What the calls and the timer refer to. Kept by its LoopingCall, and by each call until that has ended: everything may go inside a call.
class LoopingCall::Loop final : public std::enable_shared_from_this<Loop> {
public:
    Loop(Clock& clock, Call call) : clock_(clock), call_(std::make_shared<Call>(std::move(call))) {}

    Deferred<> start(Delay interval, FirstCall first);
    void stop();
    void reset();
    bool running() const noexcept { return running_; }
    Duration interval() const noexcept { return interval_; }
    void own(detail::OwnerHook& hook) {
        if (!ended_) owners_.add(*this, hook);
    }
    void ownerDies() noexcept { ended_ = true; }
    void ownerDied() { end(); }
    /// Nothing runs from here on. What start() returned is abandoned.
    void end();

private:
    /// Marks that a call has not ended: on the stack, or waiting for its Deferred.
    class Calling {
    public:
        explicit Calling(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) { loop_->calling_ = true; }
        Calling(Calling&&) noexcept = default;
        ~Calling() {
            if (loop_) loop_->calling_ = false;
        }
        void ended(Result<> result) {
            const auto loop = std::move(loop_);
            loop->calling_ = false;
            loop->called(std::move(result));
        }

    private:
        std::shared_ptr<Loop> loop_;
    };

    void call();
    void called(Result<> result);
    void schedule();
    Count intervalsSinceLastCall();
    void halt();
    void finish(Result<> result);

    Clock& clock_;
    detail::HomeThread home_;  // that of the last start()
    std::shared_ptr<Call> call_;  // also kept by the call that runs
    Duration interval_{};
    std::source_location where_;
    TimePoint start_{};   // with what the calls are in step
    Count lastCall_ = 0;  // in intervals from there
    bool running_ = false;
    bool calling_ = false;
    bool ended_ = false;
    DelayedCall timer_;
    std::optional<Resolver<>> done_;
    detail::OwnerLinks<Loop> owners_;
    Scope scope_;  // owns what the last call returned
};

Deferred<> LoopingCall::Loop::start(Delay interval, FirstCall first) {
    clock_.assertThread("LoopingCall::start()");
    if (interval.value() < Duration::zero()) throw std::invalid_argument("LoopingCall::start: the interval is negative");
    if (running_) throw std::logic_error("LoopingCall::start: it runs already");
    if (calling_) throw std::logic_error("LoopingCall::start: the call in which it was stopped has not ended yet");
    if (ended_) return fail(CancelledError("the owner of this LoopingCall died"), interval.where());
    interval_ = interval.value();
    where_ = interval.where();
    start_ = clock_.now();
    lastCall_ = first == FirstCall::now ? -1 : 0;
    running_ = true;
    home_ = detail::HomeThread();
    done_.emplace([this] {
        const auto self = shared_from_this();
        done_.reset();
        halt();
    });
    Deferred<> done = done_->deferred(where_);
    if (first == FirstCall::now)
        call();
    else
        schedule();
    return done;
}

void LoopingCall::Loop::stop() {
    if (!running_) return;
    home_.check("LoopingCall::stop()");
    running_ = false;
    timer_.cancel();
    if (!calling_) finish(Result<>());
}

void LoopingCall::Loop::reset() {
    if (!running_) throw std::logic_error("LoopingCall::reset: it does not run");
    home_.check("LoopingCall::reset()");
    start_ = clock_.now();
    lastCall_ = 0;
    if (!timer_.active()) return;  // the next call is scheduled when this one has ended
    timer_.cancel();
    schedule();
}

void LoopingCall::Loop::end() {
    const auto self = shared_from_this();
    ended_ = true;
    owners_.clear();
    const auto done = std::exchange(done_, std::nullopt);  // dies last
    halt();
    call_.reset();
}

// No call is scheduled, and what is left of the last one ends: innermost first, and where it stands.
void LoopingCall::Loop::halt() {
    running_ = false;
    timer_.cancel();
    scope_.cancel();
}

// The first level keeps the function while a coroutine of it has a frame. The second is not reached if the loop is ended meanwhile.
void LoopingCall::Loop::call() {
    if (ended_) return;
    Calling calling(shared_from_this());
    Deferred<> chain = succeed();
    chain.ownedBy(scope_);
    owners_.alsoOwn(chain);
    std::move(chain)
        .addCallback([call = call_, count = intervalsSinceLastCall()] { return (*call)(count); })
        .addBoth([calling = std::move(calling)](Result<> result) mutable { calling.ended(std::move(result)); });
}

void LoopingCall::Loop::called(Result<> result) {
    if (ended_) return;
    if (running_ && result.isValue())
        schedule();
    else
        finish(std::move(result));
}

void LoopingCall::Loop::schedule() {
    Duration wait{};
    if (interval_ != Duration::zero()) wait = interval_ - (clock_.now() - start_) % interval_;
    timer_ = clock_.callLater(Delay(wait, where_), [this] { call(); });
}

LoopingCall::Count LoopingCall::Loop::intervalsSinceLastCall() {
    if (interval_ == Duration::zero()) return 1;
    const Count now = (clock_.now() - start_) / interval_;
    return now - std::exchange(lastCall_, now);
}

void LoopingCall::Loop::finish(Result<> result) {
    running_ = false;
    auto done = std::exchange(done_, std::nullopt);  // what it runs may start the loop again
    if (done) done->callback(std::move(result));
}

LoopingCall::LoopingCall(Clock& clock, Call call, Erased) : loop_(std::make_shared<Loop>(clock, std::move(call))) {}
LoopingCall::LoopingCall(LoopingCall&& other) noexcept : loop_(std::move(other.loop_)) {}
LoopingCall& LoopingCall::operator=(LoopingCall&& other) noexcept {
    if (this == &other) return *this;
    LoopingCall old(std::move(*this));
    loop_ = std::move(other.loop_);
    return *this;
}
LoopingCall::~LoopingCall() { end(); }

void LoopingCall::end() noexcept {
    if (const auto loop = std::move(loop_)) loop->end();
}

LoopingCall::Loop& LoopingCall::loop() const {
    if (!loop_) throw std::logic_error("this LoopingCall was moved away");
    return *loop_;
}

Deferred<> LoopingCall::start(Delay interval, FirstCall first) { return loop().start(interval, first); }
void LoopingCall::stop() {
    if (loop_) loop_->stop();
}
void LoopingCall::reset() { loop().reset(); }
bool LoopingCall::running() const noexcept { return loop_ && loop_->running(); }
Duration LoopingCall::interval() const noexcept { return loop_ ? loop_->interval() : Duration::zero(); }
void LoopingCall::own(detail::OwnerHook& hook) { loop().own(hook); }

}  // namespace bine::inline v0
