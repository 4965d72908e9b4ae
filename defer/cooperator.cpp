#include "bine/defer/cooperator.h"

#include <cstdint>
#include <list>
#include <optional>
#include <stdexcept>
#include <vector>

#include "bine/defer/failure.h"
#include "bine/defer/owner_links.h"
#include "bine/defer/waiting_line.h"
#include "bine/log/context.h"
#include "bine/log/log.h"

namespace bine::inline v0 {

SchedulerError::~SchedulerError() = default;
SchedulerStopped::SchedulerStopped(const std::string& why) : SchedulerError(why) {}
SchedulerStopped::~SchedulerStopped() = default;
TaskFinished::~TaskFinished() = default;
TaskDone::TaskDone(const std::string& why) : TaskFinished(why) {}
TaskDone::~TaskDone() = default;
TaskStopped::TaskStopped(const std::string& why) : TaskFinished(why) {}
TaskStopped::~TaskStopped() = default;
TaskFailed::TaskFailed(const std::string& why) : TaskFinished(why) {}
TaskFailed::~TaskFailed() = default;
NotPaused::NotPaused(const std::string& why) : SchedulerError(why) {}
NotPaused::~NotPaused() = default;

namespace detail {

StepSource::~StepSource() = default;

namespace {

void logUnhandled(const Failure& failure, std::source_location created) {
    static const Logger& log = *new Logger("bine.defer");
    log.failure(failure.exceptionPtr(), "Unhandled error in a cooperative task", LogLevel::critical, failure.getTraceback(), created);
}

}  // namespace

/// One task. Kept by its Cooperation until it is finished, by its handles, and by whatever frame or Deferred is about to come back to it.
class CooperativeWork final : public std::enable_shared_from_this<CooperativeWork> {
public:
    using List = std::list<std::shared_ptr<CooperativeWork>>;
    enum class State : std::uint8_t { active, done, failed, stopped, schedulerStopped };

    CooperativeWork(Cooperation* home, std::shared_ptr<StepSource> source, std::source_location created)
        : home_(home), source_(std::move(source)), created_(created), context_(LogContext::current()) {}
    ~CooperativeWork() {
        if (state_ == State::failed && !asked_) logUnhandled(failure_, created_);
    }

    bool active() const noexcept { return state_ == State::active; }
    Deferred<> whenDone(std::source_location where);
    void pause();
    void resume();
    void stop();
    void own(OwnerHook& hook) {
        if (active()) owners_.add(*this, hook);
    }
    void ownerDies() noexcept { killed_ = true; }
    void ownerDied() {
        if (active()) finish(State::stopped);
    }

    /// One step, and what follows from it. True if the next may come. REQUIRES: somebody keeps this.
    bool step();
    /// It may take a step, as far as it is concerned.
    bool ready() const noexcept { return active() && !stepping_ && !waiting_ && !killed_ && pauses_ == 0; }
    /// Takes it from its Cooperation: it is finished, but nobody has been told.
    void mark(State state, Failure failure = {});
    /// After mark(): cancels, releases, tells.
    void tell();
    void finish(State state, Failure failure = {});

    // The Cooperation's own.
    List::iterator place;
    bool runnable = false;   // in which of the two lists
    std::uint64_t pass = 0;  // in which it took its last step

private:
    void checkActive() const;
    void waitFor(Deferred<>&& deferred);
    void waited(Result<> result);
    void goOn();
    Failure endOf() const;

    Cooperation* home_;                   // null once it is finished
    std::shared_ptr<StepSource> source_;  // also kept by the step that runs and by what was yielded
    State state_ = State::active;
    bool stepping_ = false;
    bool waiting_ = false;  // for what was yielded
    bool killed_ = false;   // its owner dies
    bool asked_ = false;
    unsigned pauses_ = 0;
    Failure failure_;
    WaitingLine<void> askers_;
    OwnerLinks<CooperativeWork> owners_;
    std::source_location created_;
    LogContext context_;
    Scope scope_;  // owns what was yielded
};

/// What a Cooperator is the handle of: it may be destroyed inside a step.
class Cooperation final : public std::enable_shared_from_this<Cooperation> {
public:
    enum class Life : std::uint8_t { waiting, running, stopped, gone };

    Cooperation(Clock& clock, std::optional<Duration> timeSlice, Life life) : clock_(clock), timeSlice_(timeSlice), life_(life) {}

    Life life() const noexcept { return life_; }
    void start();
    void stop(Life life);
    void add(std::shared_ptr<CooperativeWork> work);
    void remove(CooperativeWork& work);
    void makeRunnable(CooperativeWork& work);
    void makeIdle(CooperativeWork& work);

private:
    void tick();
    void link(CooperativeWork& work);
    void schedule();
    void dropTick();
    bool passIsOver();

    Clock& clock_;
    std::optional<Duration> timeSlice_;  // none: the clock's
    Life life_;
    CooperativeWork::List runnable_;  // the next comes first
    CooperativeWork::List idle_;      // paused, waiting, or in a step
    std::uint64_t pass_ = 0;
    TimePoint passBegan_{};
    DelayedCall tick_;  // pending whenever user code runs and somebody is runnable, never if nobody is
};

// --- A task.

Deferred<> CooperativeWork::whenDone(std::source_location where) {
    asked_ = true;
    if (active()) return askers_.join(where);
    if (state_ == State::done) return succeed();
    return fail(endOf(), where);
}

Failure CooperativeWork::endOf() const {
    switch (state_) {
    case State::active: break;
    case State::done: return TaskDone();
    case State::failed: return failure_;
    case State::stopped: return TaskStopped();
    case State::schedulerStopped: return SchedulerStopped();
    }
    return {};
}

void CooperativeWork::checkActive() const {
    if (active()) return;
    if (state_ == State::failed) throw TaskFailed("the task has failed: " + failure_.getErrorMessage());
    endOf().raiseException();
}

void CooperativeWork::pause() {
    checkActive();
    ++pauses_;
    home_->makeIdle(*this);
}

void CooperativeWork::resume() {
    checkActive();
    if (pauses_ == 0) throw NotPaused();
    --pauses_;
    goOn();
}

void CooperativeWork::stop() {
    if (active()) finish(State::stopped);
}

void CooperativeWork::goOn() {
    if (ready()) home_->makeRunnable(*this);
}

bool CooperativeWork::step() {
    endDeadOwners();
    if (!ready()) return false;  // its owner is just dying
    const auto source = source_;  // it may be finished from within
    std::optional<Deferred<>> wait;
    Failure failure;
    bool more = false;
    stepping_ = true;
    try {
        const LogScope scope(context_);
        more = source->next(wait);
    } catch (...) {
        failure = caughtFailure();
    }
    stepping_ = false;
    if (!active()) {
        if (failure) logUnhandled(failure, created_);
        Scope nobody;
        if (wait) wait->ownedBy(nobody);
    } else if (failure) {
        finish(State::failed, std::move(failure));
    } else if (!more) {
        finish(State::done);
    } else if (wait) {
        waitFor(std::move(*wait));
    } else {
        return ready();
    }
    return false;
}

// The first level keeps the frame as long as a coroutine that it yielded may refer to it.
void CooperativeWork::waitFor(Deferred<>&& deferred) {
    waiting_ = true;
    Deferred<> chain = succeed();
    chain.ownedBy(scope_);
    owners_.alsoOwn(chain);
    std::move(chain)
        .addCallback([source = source_, deferred = std::move(deferred)]() mutable { return std::move(deferred); })
        .addBoth([self = shared_from_this()](Result<> result) { self->waited(std::move(result)); });
}

void CooperativeWork::waited(Result<> result) {
    waiting_ = false;
    if (!active()) return;
    if (result.isFailure())
        finish(State::failed, result.failure());
    else
        goOn();
}

void CooperativeWork::finish(State state, Failure failure) {
    const auto self = shared_from_this();
    mark(state, std::move(failure));
    tell();
}

void CooperativeWork::mark(State state, Failure failure) {
    state_ = state;
    failure_ = std::move(failure);
    std::exchange(home_, nullptr)->remove(*this);
}

void CooperativeWork::tell() {
    owners_.clear();
    scope_.cancel();
    source_.reset();
    while (!askers_.empty()) {
        if (state_ == State::done)
            askers_.pop().callback();
        else
            askers_.pop().errback(endOf());
    }
}

// --- All of them.

void Cooperation::start() {
    if (life_ == Life::gone) return;
    life_ = Life::running;
    schedule();
}

void Cooperation::stop(Life life) {
    life_ = life;
    std::vector<std::shared_ptr<CooperativeWork>> all(runnable_.begin(), runnable_.end());
    all.insert(all.end(), idle_.begin(), idle_.end());
    for (const auto& work : all) work->mark(CooperativeWork::State::schedulerStopped);
    for (const auto& work : all) work->tell();
}

void Cooperation::add(std::shared_ptr<CooperativeWork> work) {
    CooperativeWork& added = *work;
    added.place = idle_.insert(idle_.end(), std::move(work));
    if (life_ == Life::stopped || life_ == Life::gone)
        added.finish(CooperativeWork::State::schedulerStopped);
    else
        makeRunnable(added);
}

void Cooperation::remove(CooperativeWork& work) {
    (work.runnable ? runnable_ : idle_).erase(work.place);
    dropTick();
}

void Cooperation::makeRunnable(CooperativeWork& work) {
    if (work.runnable) return;
    link(work);
    schedule();
}

void Cooperation::link(CooperativeWork& work) {
    work.runnable = true;
    runnable_.splice(runnable_.end(), idle_, work.place);
}

void Cooperation::makeIdle(CooperativeWork& work) {
    if (!work.runnable) return;
    work.runnable = false;
    idle_.splice(idle_.end(), runnable_, work.place);
    dropTick();
}

void Cooperation::schedule() {
    if (life_ == Life::running && !runnable_.empty() && !tick_.active()) tick_ = clock_.callLater(Duration::zero(), [this] { tick(); });
}

void Cooperation::dropTick() {
    if (runnable_.empty()) tick_.cancel();
}

// A step may open a dialog, whose loop comes back here: then the others go on, and this frame, when it comes back, finds its time used up.
void Cooperation::tick() {
    const auto self = shared_from_this();
    const TimePoint end = clock_.now() + (timeSlice_ ? *timeSlice_ : clock_.timeSlice());
    ++pass_;
    passBegan_ = clock_.now();
    while (life_ == Life::running && !runnable_.empty() && !passIsOver()) {
        const auto work = runnable_.front();
        work->pass = pass_;
        makeIdle(*work);
        schedule();  // the next turn, should this step keep us
        if (work->step()) link(*work);
        if (clock_.now() >= end) break;
    }
    schedule();
}

// All have had a step, and another pass would be in vain: the clock stands still.
bool Cooperation::passIsOver() {
    if (runnable_.front()->pass != pass_) return false;
    const TimePoint now = clock_.now();
    if (now == passBegan_) return true;
    ++pass_;
    passBegan_ = now;
    return false;
}

}  // namespace detail

// --- The handles.

using detail::Cooperation;

detail::CooperativeWork& CooperativeTask::work() const {
    if (!work_) throw std::logic_error("this CooperativeTask is empty");
    return *work_;
}

Deferred<> CooperativeTask::whenDone(std::source_location where) { return work().whenDone(where); }
void CooperativeTask::pause() { work().pause(); }
void CooperativeTask::resume() { work().resume(); }
void CooperativeTask::stop() {
    if (work_) work_->stop();
}
bool CooperativeTask::active() const noexcept { return work_ && work_->active(); }
void CooperativeTask::own(detail::OwnerHook& hook) const { work().own(hook); }

static Cooperation::Life lifeFrom(Cooperator::Start start) {
    return start == Cooperator::Start::now ? Cooperation::Life::running : Cooperation::Life::waiting;
}

Cooperator::Cooperator(Clock& clock, Start start) : cooperation_(std::make_shared<Cooperation>(clock, std::nullopt, lifeFrom(start))) {}
Cooperator::Cooperator(Clock& clock, Delay timeSlice, Start start) {
    if (timeSlice.value() < Duration::zero()) throw std::invalid_argument("Cooperator: the time slice is negative");
    cooperation_ = std::make_shared<Cooperation>(clock, timeSlice.value(), lifeFrom(start));
}
Cooperator::~Cooperator() { cooperation_->stop(Cooperation::Life::gone); }

CooperativeTask Cooperator::cooperate(Steps steps, std::source_location where) {
    class Source final : public detail::StepSource {
    public:
        explicit Source(Steps&& steps) : steps_(std::move(steps)) {}
        bool next(std::optional<Deferred<>>& wait) override { return steps_.next(wait); }

    private:
        Steps steps_;
    };
    return add(std::make_shared<Source>(std::move(steps)), where);
}

CooperativeTask Cooperator::add(std::shared_ptr<detail::StepSource> source, std::source_location where) {
    auto work = std::make_shared<detail::CooperativeWork>(cooperation_.get(), std::move(source), where);
    cooperation_->add(work);
    return CooperativeTask(std::move(work));
}

Deferred<> Cooperator::endOf(CooperativeTask task, std::source_location where) {
    Resolver<> done([weak = std::weak_ptr<detail::CooperativeWork>(task.work_)] {
        const auto work = weak.lock();
        if (work && work->active()) work->stop();
    });
    Deferred<> deferred = done.deferred(where);
    task.whenDone(where).chainDeferred(std::move(done));
    return deferred;
}

void Cooperator::start() { cooperation_->start(); }
void Cooperator::stop() {
    const auto cooperation = cooperation_;  // this may die of what it runs
    cooperation->stop(Cooperation::Life::stopped);
}
bool Cooperator::running() const noexcept { return cooperation_->life() == Cooperation::Life::running; }

}  // namespace bine::inline v0
