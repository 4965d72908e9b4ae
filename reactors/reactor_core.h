#pragma once
// ReactorCore: the re-entrant dispatcher behind a reactor. Internal; reactor's thread only.
//
// The rule behind everything here: user code may run a nested loop at any point, and that loop comes back into turn(). So whatever others
// see (the kernel's sets, the timer, the wake-up) is right before user code runs; nothing pending lives on the stack: pop one, run one;
// and after each call a frame asks whether it is still alive and still the latest (Turn::over).

#include <cstdint>
#include <memory>
#include <deque>
#include <optional>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include "bine/defer/home_thread.h"
#include "bine/reactors/fork.h"
#include "bine/reactors/goodbyes.h"
#include "bine/reactors/io_handler.h"
#include "bine/reactors/mailbox.h"
#include "bine/reactors/reactor_base.h"
#include "bine/reactors/ready_events.h"
#include "bine/reactors/signal_watch.h"
#include "bine/reactors/stalls.h"
#include "bine/reactors/system_events.h"
#include "bine/reactors/timer_heap.h"

namespace bine::inline v0::detail {

/// The shared receive buffer, for the time of one callback. Several may be out at once, one for each depth. The last that was taken is the first to go.
class BINE_EXPORT BufferLease {
public:
    static constexpr std::size_t kSize = 256 * 1024;
    explicit BufferLease(ReactorCore& core);
    ~BufferLease();
    BufferLease(const BufferLease&) = delete;
    BufferLease& operator=(const BufferLease&) = delete;
    char* data() const noexcept { return data_; }
    static constexpr std::size_t size() noexcept { return kSize; }

    /// At the beginning of a page: the kernel copies noticeably faster to where a cache line begins than to within one.
    struct alignas(4096) Buffer {
        char bytes[kSize];
    };

private:
    static constexpr std::size_t kKept = 2;  // one for the loop, one for a dialog

    ReactorCore* core_;
    char* data_;
};

class DescriptorSet;
class ShutdownWork;

class BINE_EXPORT ReactorCore final : private TimerHeap::Listener {
public:
    ReactorCore(ReactorBase& handle, std::unique_ptr<Poller> poller);
    ReactorCore(const ReactorCore&) = delete;
    ReactorCore& operator=(const ReactorCore&) = delete;

    void ref() noexcept { ++references_; }
    void unref() noexcept;

    /// This is the copy of the parent's reactor in a child of fork(): it has no part in the kernel's side any more.
    bool inherited() const noexcept { return inherited_; }
    /// Throws std::logic_error if it is. For what would begin something.
    void assertNotInherited(const char* what) const;
    /// Null once the reactor has been destroyed.
    ReactorBase* reactor() const noexcept { return handle_; }
    const std::shared_ptr<Mailbox>& mailbox() const noexcept { return mailbox_; }
    /// How many turns are on the stack.
    int depth() const noexcept { return depth_; }
    /// The number of the last turn that began, at whatever depth.
    std::uint64_t turnNumber() const noexcept { return turnNumber_; }
    /// Within an ioReady(): the event was fetched for an earlier turn, and what it says may not be true any more.
    bool eventIsOld() const noexcept { return ready_.fetchedFor() != turnNumber_; }
    /// Runs `call` in a later turn, before everything else. For what flush() and the like may not call themselves. Destroyed unrun with the reactor.
    void soon(Function<void()> call);
    /// Within an ioReady() that does several things: whether to leave the rest for the next turn (the budget is spent, or a nested turn ran).
    bool turnIsOver() const noexcept;
    /// Aborts, naming both threads, if this is not the reactor's thread.
    void assertThread(std::string_view call) const {
        if (!inherited_) home_.check(call);  // a child of a fork() on another thread cleans up
    }
    /// Number of open handlers.
    std::size_t handlers() const noexcept { return handlerCount_; }

    // --- For ReactorBase and the hosts.

    enum class Life : std::uint8_t { idle, pending, starting, running, stopping, finishing };

    TimePoint clockNow() const override { return std::chrono::steady_clock::now(); }
    TimerHeap& timers() noexcept { return timers_; }
    SystemEvents& events() noexcept { return events_; }
    Life life() const noexcept { return life_; }
    /// Whether it has ever been started or attached.
    bool everStarted() const noexcept { return everStarted_; }
    std::vector<DelayedCall> pendingCalls() const;
    bool onReactorThread() const noexcept { return home_.isHere(); }
    const HomeThread& home() const noexcept { return home_; }
    bool running() const noexcept { return running_; }

    /// A host will dispatch: the timers are kept in the kernel, wake-ups are made visible at the descriptor.
    int exportedDescriptor();
    /// idle -> pending: the next hosted turn starts the reactor.
    void attach();
    /// One bounded turn, as a host calls it.
    void hostedTurn(Duration budget);
    /// One turn of the own loop: sends, waits at most `timeout`, dispatches.
    void ownTurn(Duration timeout);
    /// The same for a user's loop, which may be one too many.
    void iterate(Duration timeout);
    void aboutToWait();
    /// `signalHandling` is what counts if nobody has said another.
    void start(SignalHandling signalHandling = SignalHandling::off);
    void requestStop();
    void crash();
    void fireSystemEvent(std::string_view event);
    /// stop, then own turns until the phases are over.
    void shutDownNow();
    /// The handle is being destroyed.
    void close();

    /// How long a turn in a host takes unless setBudget() says otherwise.
    static constexpr Duration kHostBudget = std::chrono::milliseconds(1);
    /// How many turns may be on the stack unless setNestingLimit() says otherwise.
    static constexpr int kNestingLimit = 64;
    void setNestingLimit(int turns);
    /// The limit was reached: the host is not to call until a turn has ended.
    bool turnsHeld() const noexcept { return turnsHeld_; }
    void setBudget(Duration budget) noexcept { budget_ = budget; }
    Duration budgetOr(Duration otherwise) const noexcept { return budget_ < Duration::zero() ? otherwise : budget_; }
    Duration timeSlice() const noexcept { return budgetOr(exported_ ? kHostBudget : std::chrono::milliseconds(10)); }
    void setShutdownDeadline(Duration deadline) noexcept { shutdownDeadline_ = deadline; }
    void setSignalHandling(SignalHandling handling);
    int exitSignal() const noexcept { return exitSignal_; }
    void warnOfStalls(Duration longest);
    CallbackMeter& meter() noexcept { return meter_; }
    ReactorStats stats() const;
    ThreadPool& threadPool();

    std::unordered_map<std::type_index, std::shared_ptr<void>> services;
    /// The users' descriptors; null until the first is added.
    std::unique_ptr<DescriptorSet> descriptors;

private:
    friend class IoHandler;
    friend class BufferLease;
    friend class Goodbyes;
    struct Turn;
    struct Slot {
        std::shared_ptr<IoHandler> handler;
        std::uint32_t generation = 0;
    };
    static constexpr std::uint64_t kWakeToken = ~std::uint64_t{0};
    static constexpr std::uint64_t kTimerToken = ~std::uint64_t{1};

    ~ReactorCore();

    static void forked(void* core) noexcept;
    void letGoOfHandlers() noexcept;
    void closeInherited() noexcept;
    void endTurns() noexcept;
    void deadlineMovedUp() override;
    void immediateCallAdded() override;

    void turn(Duration budget, bool fetched);
    void holdTurns();
    void resumeTurns();
    void runSoon(Turn& turn);
    void runTimers(Turn& turn);
    void measuredCall(DelayedCall& call);
    void runCalls(Turn& turn);
    void runImmediate(Turn& turn);
    void fetch(Duration timeout, std::uint64_t turn);
    void runIo(Turn& turn, bool fetched);
    bool serve(PollEvent event);  // false: it concerns nobody now, and cost nothing
    void seeToStop();
    bool signalWaits() const noexcept { return signals_ && signals_->waits(); }
    void watchSignals();
    void stopForSignal(int number);
    void beginShutdown();
    void boundShutdown(Duration deadline);
    /// A shutdown without a deadline does not wait for ever for a peer that does not read.
    void boundGoodbyes();
    void shutdownDeadlinePassed();
    void seeToGoodbyes();
    Deferred<void> leaveRunningState();
    void endSome();
    bool endOne();
    bool disconnectOne();
    void disconnectAll();
    void runOneSoon();
    std::shared_ptr<ShutdownWork> shutdownWork() const;
    void stopThreads();
    void startThreads();
    void startWatchdog();
    void shutdownDone();
    void flushDirty();
    void flushAtEnd(const Turn& turn);
    /// What sending at the turn's end will take, judging by earlier turns.
    Duration sendingAhead() const noexcept { return sendCost_ * static_cast<Duration::rep>(dirtyCount_); }
    void acknowledgeWake();
    void workCame();
    void armTimer(TimePoint now);
    bool workWaits() const noexcept;
    Duration untilNextTimer();
    bool active() const noexcept { return life_ == Life::starting || life_ == Life::running || life_ == Life::stopping; }

    std::uint32_t allotSlot(IoHandler& handler);
    void freeSlot(std::uint32_t slot);
    static std::uint64_t tokenOf(std::uint32_t slot, std::uint32_t generation) noexcept {
        return std::uint64_t{generation} << 32 | slot;
    }
    void markDirty(IoHandler& handler);
    void unmarkDirty(IoHandler& handler) noexcept;

    std::uint32_t references_ = 1;
    ReactorBase* handle_;
    std::unique_ptr<Poller> poller_;
    std::unique_ptr<Poller> inheritedPoller_;  // the parent's, which is not to be changed
    std::shared_ptr<Mailbox> mailbox_;
    TimerHeap timers_{*this};
    SystemEvents events_;
    Goodbyes goodbyes_{*this};
    std::unique_ptr<ThreadPool> threadPool_;
    std::deque<Function<void()>> soon_;
    std::unique_ptr<SignalWatch> signals_;  // from 'during startup' to the end of the shutdown
    CallbackMeter meter_;

    ReadyEvents ready_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> freeSlots_;
    std::size_t handlerCount_ = 0;
    IoHandler* firstDirty_ = nullptr;
    IoHandler* lastDirty_ = nullptr;
    std::size_t dirtyCount_ = 0;
    Duration sendCost_{0};  // of one of them
    std::vector<std::unique_ptr<BufferLease::Buffer>> buffers_;  // those that are leased first
    std::size_t leased_ = 0;

    Turn* innermost_ = nullptr;
    int depth_ = 0;
    int nestingLimit_ = kNestingLimit;
    bool turnsHeld_ = false;
    bool nestingWarned_ = false;  // since the last start
    std::uint64_t turnNumber_ = 0;
    std::uint64_t cutTurns_ = 0;
    std::uint64_t callbacks_ = 0;

    Life life_ = Life::idle;
    bool running_ = false;
    bool everStarted_ = false;
    bool stopRequested_ = false;
    bool exported_ = false;
    bool inherited_ = false;
    std::uint8_t signalLooks_ = 0;  // that are left in a loop of its own
    std::optional<SignalHandling> signalHandling_;
    int exitSignal_ = 0;
    int timerFd_ = -1;
    TimePoint armedFor_ = (TimePoint::max)();
    Duration stallLimit_ = Poller::kForever;
    Duration budget_{-1};  // negative: the loop's own default
    static constexpr Duration kShutdownDeadline = std::chrono::milliseconds(750);
    Duration shutdownDeadline_ = kShutdownDeadline;
    TimePoint shutdownEnd_ = (TimePoint::max)();
    DelayedCall shutdownTimer_;
    std::optional<Resolver<void>> ended_;  // while the shutdown ends the connections, over several turns if they are many
    std::size_t endAt_ = 0;                // the next slot to end, and how often all slots have been gone through
    int endPasses_ = 0;
    const HomeThread home_;
    std::uint64_t shuffle_ = 0;  // state of the event shuffler; 0 is off
    AtFork atFork_;
};

}  // namespace bine::inline v0::detail
