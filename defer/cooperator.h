#pragma once
// Cooperator: long work in small portions, several tasks side by side, while the program stays awake.
//
//     bine::Cooperator cooperator(reactor, 2ms);
//     cooperator.coiterate(index_.addAll(files)).ownedBy(this).addCallback([this] { showIndex(); });
//
// Each task takes a step in turn, for as long as the time slice lasts; then the loop has its turn. A task is a coroutine of type Steps (steps.h), or a function
// that is called for each step. One that yields a Deferred rests until that has fired. All belongs to the clock's thread; the clock outlives the Cooperator.
// Without a task that can go on nothing is scheduled. Cost: one timer per turn, a look at the clock per step.

#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "bine/defer/clock.h"
#include "bine/defer/deferred.h"
#include "bine/defer/errors.h"
#include "bine/defer/owner.h"
#include "bine/defer/steps.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

/// The root of what goes wrong with a Cooperator.
class BINE_EXPORT SchedulerError : public Error {
public:
    using Error::Error;
    ~SchedulerError() override;
};
/// The Cooperator was stopped, and its tasks with it.
class BINE_EXPORT SchedulerStopped : public SchedulerError {
public:
    explicit SchedulerStopped(const std::string& why = "the Cooperator has been stopped");
    ~SchedulerStopped() override;
};
/// An operation on a task that has come to its end; the classes below say how it did.
class BINE_EXPORT TaskFinished : public SchedulerError {
public:
    using SchedulerError::SchedulerError;
    ~TaskFinished() override;
};
class BINE_EXPORT TaskDone : public TaskFinished {
public:
    explicit TaskDone(const std::string& why = "the task is done");
    ~TaskDone() override;
};
/// It was stopped by stop(), or by its owner's death.
class BINE_EXPORT TaskStopped : public TaskFinished {
public:
    explicit TaskStopped(const std::string& why = "the task has been stopped");
    ~TaskStopped() override;
};
class BINE_EXPORT TaskFailed : public TaskFinished {
public:
    explicit TaskFailed(const std::string& why = "the task has failed");
    ~TaskFailed() override;
};
/// One resume() more than pause(). Thrown.
class BINE_EXPORT NotPaused : public SchedulerError {
public:
    explicit NotPaused(const std::string& why = "the task is not paused");
    ~NotPaused() override;
};

namespace detail {

class Cooperation;
class CooperativeWork;

/// Where the steps of a task come from.
class BINE_EXPORT StepSource {
public:
    StepSource() = default;
    StepSource(const StepSource&) = delete;
    StepSource& operator=(const StepSource&) = delete;
    virtual ~StepSource();
    virtual bool next(std::optional<Deferred<>>& wait) = 0;  ///< as Steps::next()
};

/// A lambda that is a coroutine, and its frame, which refers to it.
template <class F>
class StepsOfFunction final : public StepSource {
public:
    template <class G>
    explicit StepsOfFunction(G&& f) : f_(std::forward<G>(f)), steps_(std::invoke(f_)) {}
    bool next(std::optional<Deferred<>>& wait) override { return steps_.next(wait); }

private:
    F f_;
    Steps steps_;
};

template <class F>
class StepFunction final : public StepSource {
    using Returned = std::remove_cvref_t<std::invoke_result_t<F&>>;
    static_assert(std::is_same_v<Returned, bool> || std::is_same_v<Returned, std::optional<Deferred<>>>,
                  "a step returns bool (whether there is more to do) or std::optional<Deferred<>> (what to wait for, or that there is nothing more to do)");

public:
    template <class G>
    explicit StepFunction(G&& f) : f_(std::forward<G>(f)) {}
    bool next(std::optional<Deferred<>>& wait) override {
        if constexpr (std::is_same_v<Returned, bool>) {
            return std::invoke(f_);
        } else {
            wait = std::invoke(f_);
            return wait.has_value();
        }
    }

private:
    F f_;
};

}  // namespace detail

/// A task of a Cooperator. Copies mean the same task; dropping them changes nothing about it, and they may outlive the Cooperator. An empty one throws
/// std::logic_error. What is said here of a finished task: these functions throw TaskDone, TaskFailed, TaskStopped or SchedulerStopped then.
class BINE_EXPORT CooperativeTask {
public:
    CooperativeTask() noexcept = default;
    explicit CooperativeTask(std::shared_ptr<detail::CooperativeWork> work) noexcept : work_(std::move(work)) {}

    /// A new Deferred at each call. It fires when the task is done, or fails with what the task failed with, TaskStopped or SchedulerStopped. Cancelling
    /// it does nothing to the task. A failure for which nobody has asked in this way is logged as critical.
    Deferred<> whenDone(std::source_location where = std::source_location::current());
    /// No further step until as many resume() calls have come. Throws if finished.
    void pause();
    /// Throws NotPaused if there is no pause() left; if finished.
    void resume();
    /// Ends it: its frame or function is destroyed (inside a step: after that), what it waits for is cancelled at its source. No effect if
    /// finished, nor on an empty handle.
    void stop();
    /// Not finished.
    bool active() const noexcept;
    explicit operator bool() const noexcept { return work_ != nullptr; }

    /// Stopped when `owner` dies.
    template <class X>
    CooperativeTask ownedBy(X& owner) const {
        own(detail::hookOf(owner));
        return *this;
    }
    template <class X>
    CooperativeTask ownedBy(X* owner) const {
        return ownedBy(detail::ownerAt(owner));
    }

private:
    friend class Cooperator;
    detail::CooperativeWork& work() const;
    void own(detail::OwnerHook& hook) const;

    std::shared_ptr<detail::CooperativeWork> work_;
};

class BINE_EXPORT Cooperator {
public:
    enum class Start { now, later };

    /// The clock says how long the tasks may take together in one turn: Clock::timeSlice(). The step that exceeds it is the last. On a clock that stands still
    /// (a ManualClock) each task gets one step per turn. With Start::later the tasks wait for start().
    explicit Cooperator(Clock& clock, Start start = Start::now);
    /// The same with a time slice of its own. Throws std::invalid_argument if it is negative.
    Cooperator(Clock& clock, Delay timeSlice, Start start = Start::now);
    Cooperator(const Cooperator&) = delete;
    Cooperator& operator=(const Cooperator&) = delete;
    /// As stop().
    ~Cooperator();

    /// A new task; its first step comes in a later turn. Once stopped, the task is finished from the beginning, with SchedulerStopped.
    CooperativeTask cooperate(Steps steps, std::source_location where = std::source_location::current());
    /// f() is either a coroutine that returns Steps, and lives as long as the task, or the step itself: it returns whether there is more to do (bool), or what
    /// to wait for before the next step, with std::nullopt when there is none (std::optional<Deferred<>>).
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>&>
    CooperativeTask cooperate(F&& f, std::source_location where = std::source_location::current()) {
        using Callable = std::decay_t<F>;
        if constexpr (std::is_same_v<std::invoke_result_t<Callable&>, Steps>)
            return add(std::make_shared<detail::StepsOfFunction<Callable>>(std::forward<F>(f)), where);
        else
            return add(std::make_shared<detail::StepFunction<Callable>>(std::forward<F>(f)), where);
    }
    /// As cooperate(), with the Deferred of its end. Cancelling that (or the death of its owner) stops the task; then it fails with TaskStopped.
    Deferred<> coiterate(Steps steps, std::source_location where = std::source_location::current()) {
        return endOf(cooperate(std::move(steps), where), where);
    }
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>&>
    auto coiterate(F&& f, std::source_location where = std::source_location::current()) {
        return detail::DeferredFor<void, F>(endOf(cooperate(std::forward<F>(f), where), where));
    }

    /// Lets the tasks go on; after stop(), new ones. No effect if it runs.
    void start();
    /// All tasks end, with SchedulerStopped; also those that are paused or wait. No effect if stopped.
    void stop();
    bool running() const noexcept;

private:
    CooperativeTask add(std::shared_ptr<detail::StepSource> source, std::source_location where);
    static Deferred<> endOf(CooperativeTask task, std::source_location where);

    std::shared_ptr<detail::Cooperation> cooperation_;
};

}  // namespace bine::inline v0
