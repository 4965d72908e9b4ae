#include "bine/reactors/reactor_core.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "bine/defer/unhandled.h"
#include "bine/log/log.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/descriptor_set.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/shutdown_work.h"
#include "bine/reactors/thread_pool.h"
#include "bine/reactors/turn.h"

namespace bine::inline v0::detail {
namespace {

// Debugging aids that make rare orders common: one callback of each kind per turn, and events in a shuffled order.
bool budgetOfOne() {
    const char* value = std::getenv("BINE_BUDGET");
    return value && std::strcmp(value, "one") == 0;
}

std::uint64_t shuffleSeed() {
    const char* value = std::getenv("BINE_SHUFFLE");
    return value ? std::strtoull(value, nullptr, 10) : 0;
}

}  // namespace

ReactorCore::ReactorCore(ReactorBase& handle, std::unique_ptr<Poller> poller)
    : handle_(&handle), poller_(std::move(poller)), mailbox_(std::make_shared<Mailbox>()),
      shuffle_(shuffleSeed()),
      atFork_(this, *[] { static const AtFork::Functions functions{nullptr, nullptr, &ReactorCore::forked}; return &functions; }()) {
    if (budgetOfOne()) budget_ = Duration::zero();
    poller_->watch(mailbox_->fd(), kWakeToken, 0, kReadable);
}

ReactorCore::~ReactorCore() {
    if (timerFd_ >= 0) ::close(timerFd_);
}

void ReactorCore::unref() noexcept {
    if (--references_ == 0) delete this;
}

// --- fork()

// In the child, on the thread that forked. Memory and descriptors stay as they are: most children exec() next.
void ReactorCore::forked(void* object) noexcept {
    ReactorCore& core = *static_cast<ReactorCore*>(object);
    core.inherited_ = true;
    core.running_ = false;
    core.exported_ = false;  // no timer is armed, nobody is woken
    core.inheritedPoller_ = std::move(core.poller_);
    core.mailbox_->forked();
    core.endTurns();
    // Its own thread may have been changing them just now; then they are let go of when the reactor is destroyed.
    if (core.onReactorThread()) core.letGoOfHandlers();
}

// What is not open sends nothing, changes no socket, and is watched nowhere: so nothing else has to ask whose copy it is.
void ReactorCore::letGoOfHandlers() noexcept {
    for (const Slot& slot : slots_)
        if (slot.handler) slot.handler->letGo();
}

void ReactorCore::endTurns() noexcept {
    for (Turn* turn = innermost_; turn; turn = turn->outer) turn->dead = true;
}

// The parent's connections go on. So no callback runs here, no Deferred fails, and what waits is kept rather than destroyed.
void ReactorCore::closeInherited() noexcept {
    ref();
    keepForever(std::shared_ptr<ReactorCore>(this, [](ReactorCore*) {}));
    handle_ = nullptr;
    life_ = Life::idle;
    endTurns();
    letGoOfHandlers();
    for (const Slot& slot : slots_)
        if (slot.handler) slot.handler->closeInherited();
    inheritedPoller_.reset();
    if (timerFd_ >= 0) ::close(std::exchange(timerFd_, -1));
    mailbox_->closeInherited();
    signals_.reset();
    meter_.unwatch();
    auto released = std::move(services);
    services.clear();
}

void ReactorCore::assertNotInherited(const char* what) const {
    if (!inherited_) [[likely]]
        return;
    throw std::logic_error(std::string(what) + ": this reactor belongs to the parent process; a child of fork() makes a reactor of its own, or calls exec()");
}

// --- Turns

void ReactorCore::turn(Duration budget, bool fetched) {
    Turn turn(*this, budget);
    if (life_ == Life::pending) start();
    // Looked at from here: most turns have an event or two to serve and nothing else.
    if (firstDirty_ && !turn.over()) flushDirty();
    if (!turn.over()) seeToStop();
    if (goodbyes_.telling() && !turn.over()) goodbyes_.tell();
    if (ended_ && !turn.over()) endSome();
    if (!soon_.empty() && !turn.over()) runSoon(turn);
    if ((timers_.mayBeDue(turn.started) || armedFor_ <= turn.started) && !turn.over()) runTimers(turn);
    if (!mailbox_->empty() && !turn.over()) runCalls(turn);
    if (timers_.hasImmediate() && !turn.over()) runImmediate(turn);
    if (!turn.over()) runIo(turn, fetched);
    unhandledTurnOver();
    if (turn.cut) ++cutTurns_;
    if (turn.dead) return;
    if (firstDirty_) flushAtEnd(turn);
    if (goodbyes_.pending() && !turn.over()) seeToGoodbyes();
    if (!turn.over()) seeToStop();
}

void ReactorCore::hostedTurn(Duration budget) {
    if (life_ == Life::idle) return;
    assertNotInherited("dispatch");
    if (depth_ >= nestingLimit_) [[unlikely]]
        return holdTurns();
    turn(budgetOr(budget), false);
}

void ReactorCore::iterate(Duration timeout) {
    if (depth_ < nestingLimit_) return ownTurn(timeout);
    holdTurns();
    aboutToWait();
    // Not longer: the caller may wait for something that another thread does.
    constexpr std::chrono::milliseconds kLongest{100};
    ::poll(nullptr, 0, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(std::clamp<Duration>(timeout, Duration::zero(), kLongest)).count()));
    meter_.loopWoke();
}

// --- The nesting limit. Callbacks that run the host's loop would otherwise nest as deep as there are events, and overflow the stack. At the limit a turn runs
// nothing, and the host must not call again: the descriptor stays readable. The turn below it, which has the callback on the stack, serves what waits.

void ReactorCore::setNestingLimit(int turns) {
    nestingLimit_ = turns;
    if (turnsHeld_ && depth_ < nestingLimit_) resumeTurns();
}

void ReactorCore::holdTurns() {
    turnsHeld_ = true;
    guarded("Unhandled error at the nesting limit", [this] { handle_->holdTurns(true); });
    if (std::exchange(nestingWarned_, true)) return;
    Logger("bine.reactor").warn("Nesting limit reached: " + meter_.current().text() + " runs an event loop inside " + std::to_string(depth_ - 1) +
                                    " others. The reactor serves nothing in this loop, and goes on when one has ended. Run event loops outside of frequent callbacks, or raise setNestingLimit()",
                                {{"callback", meter_.current().text()}, {"limit", nestingLimit_}});
}

void ReactorCore::resumeTurns() {
    turnsHeld_ = false;
    if (!handle_) return;
    guarded("Unhandled error below the nesting limit", [this] { handle_->holdTurns(false); });
}

void ReactorCore::ownTurn(Duration timeout) {
    assertNotInherited("run or iterate");
    ref();
    aboutToWait();
    const bool waits = ready_.empty();
    if (waits) {
        if (workWaits() || !mailbox_->empty())
            timeout = Duration::zero();
        else
            timeout = (std::min)(timeout, untilNextTimer());
        fetch(timeout, turnNumber_ + 1);
    }
    turn(budgetOr(Poller::kForever), waits);
    unref();
}

void ReactorCore::runSoon(Turn& turn) {
    for (std::size_t n = soon_.size(); n > 0 && !soon_.empty(); --n) {
        Function<void()> call = std::move(soon_.front());
        soon_.pop_front();
        acknowledgeWake();
        {
            const CallbackMeter::Scope measured(meter_, {CallbackName::Kind::next, 0, nullptr});
            guarded("Unhandled error in the reactor", call);
            call = nullptr;
        }
        if (turn.over() || turn.spentByCallback()) return;
    }
}

void ReactorCore::measuredCall(DelayedCall& call) {
    const std::source_location where = call.where();
    const CallbackMeter::Scope measured(meter_, {CallbackName::Kind::delayedCall, where.line(), where.file_name()});
    ++callbacks_;
    runDelayedCall(call);
}

void ReactorCore::runTimers(Turn& turn) {
    const auto limit = timers_.sequence();  // what is scheduled from here on waits for the next turn
    if (armedFor_ <= turn.started) armTimer(turn.started);
    while (DelayedCall call = timers_.popDue(turn.started, limit)) {
        armTimer(turn.started);
        measuredCall(call);
        if (turn.over() || turn.spentByCallback()) return;
    }
}

void ReactorCore::runCalls(Turn& turn) {
    // Other threads can post faster than calls are run: the rest waits for the next turn.
    constexpr std::size_t kMostCalls = 1024;
    for (std::size_t n = (std::min)(mailbox_->collect(), kMostCalls); n > 0 && mailbox_->collected() > 0; --n) {
        Function<void()> call = mailbox_->take();
        acknowledgeWake();
        ++callbacks_;
        {
            const CallbackMeter::Scope measured(meter_, {CallbackName::Kind::threadCall, 0, nullptr});
            guarded("Unhandled error in a call from a thread", call);
            call = nullptr;
        }
        if (turn.over() || turn.spentByCallback()) return;
    }
}

void ReactorCore::runImmediate(Turn& turn) {
    const auto limit = timers_.sequence();
    while (DelayedCall call = timers_.popImmediate(limit)) {
        acknowledgeWake();
        measuredCall(call);
        if (turn.over() || turn.spentByCallback()) return;
    }
}

// The reactor's own descriptors are wake-ups and nothing else (timers are taken by the clock): they may not be what a turn's one event goes to.
void ReactorCore::fetch(Duration timeout, std::uint64_t turn) {
    ready_.filled(poller_->wait(ready_.room(), timeout), turn);
    ready_.remove([this](const PollEvent& event) {
        if (event.token == kWakeToken) acknowledgeWake();
        return event.token == kWakeToken || event.token == kTimerToken;
    });
    if (shuffle_ != 0) ready_.shuffle(shuffle_);
}

// If an earlier turn left some, these are enough for this one: with what the kernel says next to them, a descriptor could be served twice.
void ReactorCore::runIo(Turn& turn, bool fetched) {
    if (!fetched && ready_.empty()) fetch(Duration::zero(), turn.number);
    while (!ready_.empty()) {
        if (serve(ready_.take()) && (turn.over() || (!ready_.empty() && turn.spentByCallback()))) return;
    }
}

bool ReactorCore::serve(PollEvent event) {
    const auto at = static_cast<std::uint32_t>(event.token);
    if (at >= slots_.size() || slots_[at].generation != event.token >> 32 || !slots_[at].handler) return false;
    const std::shared_ptr<IoHandler> handler = slots_[at].handler;
    if (handler->busy()) return handler->readyWhileBusy(event.events), false;
    ++callbacks_;
    const CallbackMeter::Scope measured(meter_, handler->callbackName());
    guarded("Unhandled error in the reactor", [&] { handler->ioReady(event.events); });
    return true;
}

bool ReactorCore::turnIsOver() const noexcept { return innermost_ && (innermost_->over() || innermost_->spent()); }

// --- What the host sees

int ReactorCore::exportedDescriptor() {
    if (inherited_) return inheritedPoller_ ? inheritedPoller_->fileno() : -1;
    if (exported_) return poller_->fileno();
    timerFd_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timerFd_ < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
    poller_->watch(timerFd_, kTimerToken, 0, kReadable);
    exported_ = true;
    armTimer(clockNow());
    if (workWaits() || !everStarted_) mailbox_->wake();  // the first dispatch() starts it
    return poller_->fileno();
}

// Sets the kernel's timer to the next deadline. An expired one stays readable while something is due, and one that will only fire too early is left:
// that costs a wake-up, changing it would cost a system call per reset.
void ReactorCore::armTimer(TimePoint now) {
    if (!exported_) return;
    const TimePoint next = timers_.nextDeadline();
    const bool expired = armedFor_ <= now;
    if (next == armedFor_ || (expired && next <= now) || (!expired && next > armedFor_)) return;
    itimerspec setting{};
    if (next != TimePoint::max()) {
        const auto nanoseconds = (std::max<Duration::rep>)(next.time_since_epoch().count(), 1);
        setting.it_value = {static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
    }
    timerfd_settime(timerFd_, TFD_TIMER_ABSTIME, &setting, nullptr);
    armedFor_ = next;
}

void ReactorCore::deadlineMovedUp() {
    if (exported_) armTimer(armedFor_ == TimePoint::max() ? TimePoint::min() : clockNow());
}

void ReactorCore::immediateCallAdded() { workCame(); }

void ReactorCore::soon(Function<void()> call) {
    soon_.push_back(std::move(call));
    workCame();
}

// For the next turn: the host is to call, also if nothing else happens. In a loop of its own the reactor asks workWaits().
void ReactorCore::workCame() {
    if (exported_) mailbox_->wake();
}

bool ReactorCore::workWaits() const noexcept {
    return !soon_.empty() || timers_.hasImmediate() || goodbyes_.telling() || (stopRequested_ && active()) || ended_ || signalWaits() || life_ == Life::pending;
}

void ReactorCore::acknowledgeWake() {
    if (workWaits() || !mailbox_->empty()) return;
    mailbox_->acknowledge();
    if (signalWaits()) mailbox_->wake();  // it came in between, and its wake-up has just been quietened
}

Duration ReactorCore::untilNextTimer() {
    const TimePoint next = timers_.nextDeadline();
    if (next == TimePoint::max()) return Poller::kForever;
    return (std::max)(next - clockNow(), Duration::zero());
}

void ReactorCore::aboutToWait() {
    if (firstDirty_) flushDirty();
    meter_.loopWaits();
    // A host's toolkit may take the signals at any time. In a loop of its own the reactor looks after the startup, and after the first turn.
    if (!signals_ || (!exported_ && signalLooks_ == 0)) return;
    if (!exported_) --signalLooks_;
    signals_->lookAgain();
}

// --- Life

void ReactorCore::attach() {
    exportedDescriptor();
    mailbox_->answerThreads();
    life_ = Life::pending;
    everStarted_ = true;
    stopRequested_ = false;
    mailbox_->wake();
}

void ReactorCore::start(SignalHandling signalHandling) {
    life_ = Life::starting;
    exitSignal_ = 0;
    nestingWarned_ = false;
    everStarted_ = true;
    mailbox_->answerThreads();
    startThreads();
    startWatchdog();
    meter_.turnBegins(clockNow());
    const CallbackMeter::Scope measured(meter_, {CallbackName::Kind::startup, 0, nullptr});
    events_.fire("startup", [this, signalHandling] {
        if (life_ != Life::starting) return succeed();
        life_ = Life::running;
        running_ = true;
        if (signalHandling_.value_or(signalHandling) == SignalHandling::on) watchSignals();
        return succeed();
    });
}

void ReactorCore::requestStop() {
    assertNotInherited("stop");
    // A host's callback may come before the first turn: then that turn starts the reactor, and stops it.
    const bool aboutToStart = life_ == Life::pending && handle_ && handle_->loopRuns();
    const bool isOver = life_ == Life::stopping || life_ == Life::finishing || (life_ == Life::idle && everStarted_);
    if (isOver || stopRequested_) return;
    if (!active() && !aboutToStart) throw ReactorNotRunning("stop: the reactor has not been started: call stop() in a callback, or run() first");
    stopRequested_ = true;
    workCame();
}

void ReactorCore::fireSystemEvent(std::string_view event) {
    const auto neverRan = [this] { return life_ == Life::idle || life_ == Life::pending; };
    if (event != "shutdown" || !neverRan()) return events_.fire(event);
    // Somebody ends what does not run: work may be queued for the threads.
    shutdownEnd_ = shutdownDeadline_ == Poller::kForever ? TimePoint::max() : clockNow() + shutdownDeadline_;
    events_.fire(
        event, [this, neverRan] { if (neverRan()) stopThreads(); return succeed(); }, [this, neverRan] { if (neverRan() && threadPool_) threadPool_->hold(); });
}

void ReactorCore::setSignalHandling(SignalHandling handling) {
    signalHandling_ = handling;
    if (handling == SignalHandling::off)
        signals_.reset();
    else if (signals_)
        signals_->lookAgain();
    else if (life_ == Life::running)
        watchSignals();
}

void ReactorCore::watchSignals() {
    signals_ = std::make_unique<SignalWatch>(mailbox_);
    signalLooks_ = 2;
}

void ReactorCore::stopForSignal(int number) {
    if (!active() || life_ == Life::stopping || stopRequested_) return;
    exitSignal_ = number;
    stopRequested_ = true;
    Logger("bine.reactor").info(std::string("Received ") + signalName(number) + ", shutting down");
}

void ReactorCore::seeToStop() {
    if (signalWaits()) stopForSignal(signals_->take());
    if (stopRequested_ && (life_ == Life::starting || life_ == Life::running)) beginShutdown();
}

void ReactorCore::beginShutdown() {
    stopRequested_ = false;
    events_.abandon("startup");
    life_ = Life::stopping;
    shutdownEnd_ = TimePoint::max();
    goodbyes_.reset();
    if (shutdownDeadline_ != Poller::kForever) {
        shutdownEnd_ = clockNow() + shutdownDeadline_;
        boundShutdown(shutdownDeadline_);
    }
    const CallbackMeter::Scope measured(meter_, {CallbackName::Kind::shutdown, 0, nullptr});
    events_.fire("shutdown", [this] { return leaveRunningState(); }, [this] { shutdownDone(); }, [this] { return goodbyes_.done(); });
    if (life_ == Life::stopping) goodbyes_.begin();  // while the triggers' Deferreds are waited for
}

void ReactorCore::boundShutdown(Duration deadline) {
    if (!handle_) return;
    shutdownTimer_ = handle_->callLater(deadline, [this] { shutdownDeadlinePassed(); });
}

void ReactorCore::boundGoodbyes() {
    if (!shutdownTimer_.active()) boundShutdown(kShutdownDeadline);
}

void ReactorCore::shutdownDeadlinePassed() {
    goodbyes_.giveUp();
    if (life_ == Life::stopping) events_.giveUpWaiting("shutdown");
}

void ReactorCore::seeToGoodbyes() {
    const CallbackMeter::Scope measured(meter_, {CallbackName::Kind::shutdown, 0, nullptr});
    events_.proceed("shutdown");
}

Deferred<void> ReactorCore::leaveRunningState() {
    shutdownTimer_.cancel();
    running_ = false;
    life_ = Life::finishing;
    flushDirty();
    Deferred<void> ended = ended_.emplace().deferred();
    endAt_ = 0;
    endPasses_ = 0;
    endSome();
    return ended;
}

// A slice of it, as long as a turn takes but never of fewer than kFewest: in most programs no connection hears of another's end before its own. The rest in the
// next turns, until the deadline. Each end runs user code, which may open a loop that does the rest, or
// destroy the reactor.
void ReactorCore::endSome() {
    ref();
    constexpr int kFewest = 256;
    const TimePoint sliceEnd = clockNow() + timeSlice();
    bool left = true;
    for (int done = 1; ended_ && handle_ && left; ++done) {
        left = endOne();
        const TimePoint now = clockNow();
        if (now >= shutdownEnd_) break;
        if (left && done >= kFewest && now >= sliceEnd) {
            if (exported_) mailbox_->wake();
            return unref();
        }
    }
    if (ended_ && handle_) {
        if (left) {
            disconnectAll();
            for (int pass = 0; pass < 10; ++pass)
                for (std::size_t n = soon_.size(); n > 0 && !soon_.empty(); --n) runOneSoon();
        }
        if (ended_ && handle_) {
            stopThreads();
            Resolver<void> ended = std::move(*ended_);
            ended_.reset();
            ended.callback();
        }
    }
    unref();
}

bool ReactorCore::endOne() {
    if (const auto work = shutdownWork(); work && work->endOne()) return true;
    if (disconnectOne()) return true;
    if (soon_.empty()) return false;
    runOneSoon();  // connections that ended a moment ago have not told their protocols yet, and another turn may never come
    return true;
}

std::shared_ptr<ShutdownWork> ReactorCore::shutdownWork() const {
    const auto found = services.find(typeid(ShutdownWork));
    return found == services.end() ? nullptr : std::static_pointer_cast<ShutdownWork>(found->second);
}

void ReactorCore::runOneSoon() {
    Function<void()> call = std::move(soon_.front());
    soon_.pop_front();
    guarded("Unhandled error in the reactor", call);
}

// Handlers that are made meanwhile are ended too, unless they are made without end.
bool ReactorCore::disconnectOne() {
    for (; handlerCount_ != 0 && endPasses_ < 10; ++endPasses_, endAt_ = 0) {
        while (endAt_ < slots_.size()) {
            const std::shared_ptr<IoHandler> handler = slots_[endAt_++].handler;
            if (!handler) continue;
            guarded("Unhandled error at the shutdown of a descriptor", [&] { handler->reactorStopped(); });
            return true;
        }
    }
    return false;
}

// All of it now, in a bounded number of steps.
void ReactorCore::disconnectAll() {
    if (const auto work = shutdownWork()) work->endAll();
    endAt_ = 0;
    endPasses_ = 0;
    while (disconnectOne()) {}
}

void ReactorCore::startThreads() {
    if (threadPool_) guarded("The reactor's threads could not be started", [this] { threadPool_->start(); });
}

void ReactorCore::warnOfStalls(Duration longest) {
    stallLimit_ = longest;
    meter_.unwatch();
    if (longest != Poller::kForever && life_ != Life::idle && life_ != Life::pending) meter_.watch(longest);
}

void ReactorCore::startWatchdog() {
    if (stallLimit_ != Poller::kForever) guarded("The stall watchdog could not be started", [this] { meter_.watch(stallLimit_); });
}

void ReactorCore::stopThreads() {
    mailbox_->refuseThreads();  // a worker that waits for this thread is not to be waited for
    if (!threadPool_) return;
    const Duration left = shutdownEnd_ == TimePoint::max() ? Poller::kForever : (std::max)(shutdownEnd_ - clockNow(), Duration::zero());
    const std::vector<std::string> stuck = threadPool_->stop(left);
    if (stuck.empty()) return;
    std::string text = "The shutdown deadline has passed; leaving " + std::to_string(stuck.size()) + " thread(s) that are still at work";
    for (const std::string& thread : stuck) text += (&thread == &stuck.front() ? ": " : "; ") + thread;
    Logger("bine.reactor").error(text);
}

void ReactorCore::shutdownDone() {
    life_ = Life::idle;
    goodbyes_.reset();
    signals_.reset();
    meter_.unwatch();
    if (threadPool_) threadPool_->hold();
    ref();
    reportLiving();
    if (handle_) handle_->shutdownFinished();
    unref();
}

void ReactorCore::crash() {
    if (inherited_ || (!active() && life_ != Life::pending)) return;
    life_ = Life::idle;
    running_ = false;
    stopRequested_ = false;
    goodbyes_.reset();
    signals_.reset();
    meter_.unwatch();
    shutdownTimer_.cancel();
    events_.abandon("startup");
    events_.abandon("shutdown");
    ref();
    mailbox_->refuseThreads();
    if (handle_) handle_->crashed();
    unref();
}

void ReactorCore::shutDownNow() {
    if (inherited_) return;
    if (life_ == Life::pending) {
        life_ = Life::idle;
        stopRequested_ = false;
        ref();
        mailbox_->refuseThreads();
        if (handle_) handle_->shutdownFinished();
        unref();
        return;
    }
    if (life_ == Life::starting || life_ == Life::running) stopRequested_ = true;
    ref();
    while ((active() || ended_) && handle_) ownTurn(Poller::kForever);
    unref();
}

void ReactorCore::close() {
    if (inherited_) return closeInherited();
    ref();
    guarded("Unhandled error when the reactor was destroyed", [this] { shutDownNow(); });
    handle_ = nullptr;
    signals_.reset();
    meter_.unwatch();
    events_.abandon();
    ended_.reset();
    goodbyes_.reset();
    endTurns();
    life_ = Life::idle;
    running_ = false;
    disconnectAll();
    for (std::size_t i = 0; i < slots_.size(); ++i)
        if (const auto handler = slots_[i].handler) handler->closeDescriptor();
    // User code may hang off any of these, and come back here while it is destroyed: it may even ask for the services again.
    const auto dropServices = [this] {
        for (auto old = std::exchange(services, {}); !old.empty(); old = std::exchange(services, {})) old.clear();
    };
    dropServices();
    auto waiting = std::move(soon_);
    soon_.clear();
    waiting.clear();
    timers_.clear();
    dropServices();
    mailbox_->close();
    threadPool_.reset();
    poller_.reset();
    unref();
}

std::vector<DelayedCall> ReactorCore::pendingCalls() const {
    std::vector<DelayedCall> all = timers_.pending();
    const auto leaveOut = [&](const DelayedCall& own) {
        if (own.active()) std::erase_if(all, [&](const DelayedCall& call) { return &call.timer() == &own.timer(); });
    };
    leaveOut(shutdownTimer_);
    if (descriptors) leaveOut(descriptors->timer());
    return all;
}

ReactorStats ReactorCore::stats() const {
    ReactorStats stats;
    stats.turns = turnNumber_;
    stats.cutTurns = cutTurns_;
    stats.callbacks = callbacks_;
    stats.descriptors = handlerCount_;
    stats.delayedCalls = pendingCalls().size();
    stats.longestCallback = meter_.longest();
    stats.longestCallbackName = meter_.longestName().text();
    return stats;
}

ThreadPool& ReactorCore::threadPool() {
    if (!threadPool_) {
        threadPool_ = std::make_unique<ThreadPool>(ThreadPool::OnHold());
        if (active())
            startThreads();
        else if (life_ == Life::finishing)
            threadPool_->stop(Duration::zero());
    }
    return *threadPool_;
}

// --- Slots and the dirty list

std::uint32_t ReactorCore::allotSlot(IoHandler& handler) {
    std::uint32_t at = 0;
    if (freeSlots_.empty()) {
        at = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
        freeSlots_.reserve(slots_.capacity());  // so that freeing cannot fail
    } else {
        at = freeSlots_.back();
        freeSlots_.pop_back();
    }
    slots_[at].handler = handler.shared_from_this();
    ++handlerCount_;
    goodbyes_.handlerOpened(at);
    return at;
}

void ReactorCore::freeSlot(std::uint32_t at) {
    ++slots_[at].generation;
    --handlerCount_;
    freeSlots_.push_back(at);
    const std::shared_ptr<IoHandler> last = std::move(slots_[at].handler);
}

void ReactorCore::markDirty(IoHandler& handler) {
    if (handler.dirty_) return;
    handler.dirty_ = true;
    handler.dirtyPrevious_ = lastDirty_;
    handler.dirtyNext_ = nullptr;
    ++dirtyCount_;
    (lastDirty_ ? lastDirty_->dirtyNext_ : firstDirty_) = &handler;
    lastDirty_ = &handler;
}

void ReactorCore::unmarkDirty(IoHandler& handler) noexcept {
    if (!handler.dirty_) return;
    handler.dirty_ = false;
    --dirtyCount_;
    (handler.dirtyPrevious_ ? handler.dirtyPrevious_->dirtyNext_ : firstDirty_) = handler.dirtyNext_;
    (handler.dirtyNext_ ? handler.dirtyNext_->dirtyPrevious_ : lastDirty_) = handler.dirtyPrevious_;
}

void ReactorCore::flushDirty() {
    while (IoHandler* handler = firstDirty_) {
        const std::shared_ptr<IoHandler> keep = slots_[handler->slot_].handler;
        unmarkDirty(*handler);
        guarded("Unhandled error when sending", [&] { handler->flush(); });
    }
}

// Sending takes longer than reading: a turn that spent its budget on reading would take a multiple of it. So turns reckon with what sending took the last times.
// A turn that was cut is always measured: if sending took long once, because the machine had other things to do, only that tells that it is over.
void ReactorCore::flushAtEnd(const Turn& turn) {
    constexpr std::size_t kWorthMeasuring = 16;
    const std::size_t count = dirtyCount_;
    flushDirty();
    if (!turn.limited || (count < kWorthMeasuring && !turn.cut)) return;
    const Duration took = clockNow() - meter_.lastLook();
    sendCost_ += (took / static_cast<Duration::rep>(count) - sendCost_) / 4;
}

BufferLease::BufferLease(ReactorCore& core) : core_(&core) {
    if (core.leased_ == core.buffers_.size()) core.buffers_.push_back(std::make_unique_for_overwrite<Buffer>());
    data_ = core.buffers_[core.leased_++]->bytes;
    core.ref();
}

BufferLease::~BufferLease() {
    if (--core_->leased_ >= kKept) core_->buffers_.pop_back();
    core_->unref();
}

}  // namespace bine::inline v0::detail
