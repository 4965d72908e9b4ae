#include "bine/reactors/reactor_base.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "bine/log/log.h"
#include "bine/reactors/activity.h"
#include "bine/reactors/descriptor_set.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/reactor_core.h"
#include "bine/reactors/thread_pool.h"

namespace bine::inline v0 {

using detail::ReactorCore;
using Life = ReactorCore::Life;

Reactor::~Reactor() = default;

void Reactor::addReader(ReadDescriptor&) { throw std::logic_error("addReader: this reactor has no descriptors"); }
void Reactor::addWriter(WriteDescriptor&) { throw std::logic_error("addWriter: this reactor has no descriptors"); }
void Reactor::removeReader(ReadDescriptor&) {}
void Reactor::removeWriter(WriteDescriptor&) {}
std::vector<FileDescriptor*> Reactor::removeAll() { return {}; }
std::vector<ReadDescriptor*> Reactor::getReaders() const { return {}; }
std::vector<WriteDescriptor*> Reactor::getWriters() const { return {}; }

void Reactor::suggestThreadPoolSize(std::size_t most) {
    ThreadPool& pool = threadPool();
    pool.adjustPoolsize((std::min)(pool.least(), most), most);
}

void Reactor::setTurnBudget(Delay) {}
void Reactor::setNestingLimit(int) {}
void Reactor::setShutdownDeadline(Delay) {}

void Reactor::runInThread(Function<void()> f, std::source_location where) { threadPool().callInThread(std::move(f), where); }

PhaseName::PhaseName(const char* name, std::source_location where) : phase_(Phase::before), where_(where) {
    const std::string_view word(name ? name : "");
    if (word == "during")
        phase_ = Phase::during;
    else if (word == "after")
        phase_ = Phase::after;
    else if (word != "before")
        throw std::invalid_argument("a phase is before, during or after, not '" + std::string(word) + "'");
}

ReactorBase::ReactorBase(std::unique_ptr<detail::Poller> poller) : core_(new ReactorCore(*this, std::move(poller))) {}

ReactorBase::~ReactorBase() {
    closeReactor();
    core_->unref();
}

void ReactorBase::closeReactor() noexcept {
    core_->assertThread("The destructor of a reactor");
    if (core_->reactor()) core_->close();
}

TimePoint ReactorBase::now() const { return core_->clockNow(); }

Duration ReactorBase::timeSlice() const { return core_->timeSlice(); }

std::vector<DelayedCall> ReactorBase::getDelayedCalls() const {
    core_->assertThread("getDelayedCalls()");
    return core_->pendingCalls();
}

void ReactorBase::schedule(detail::Timer& timer) {
    core_->assertThread("callLater()");
    core_->timers().insert(timer);
}

void ReactorBase::run() {
    core_->assertThread("run()");
    core_->assertNotInherited("run");
    if (core_->life() == Life::finishing) throw ReactorNotRestartable("run: the reactor is in its shutdown; run it when run() has returned");
    if (core_->life() != Life::idle) throw ReactorAlreadyRunning("run: the reactor is running already");
    ReactorCore* core = core_;  // this object may be destroyed inside
    core->ref();
    try {
        core->start(gettid() == getpid() ? SignalHandling::on : SignalHandling::off);
        while (core->life() != Life::idle && core->reactor()) core->ownTurn(infinite);
    } catch (...) {
        core->unref();
        throw;
    }
    core->unref();
}

void ReactorBase::stop() {
    core_->assertThread("stop()");
    core_->requestStop();
}

void ReactorBase::crash() {
    core_->assertThread("crash()");
    core_->crash();
}

void ReactorBase::iterate(Delay timeout) {
    core_->assertThread("iterate()");
    core_->assertNotInherited("iterate");
    core_->iterate(timeout.value());
}

bool ReactorBase::running() const { return core_->running(); }

SystemEventTrigger ReactorBase::addTrigger(Phase phase, std::string_view event, TriggerFunction f, std::source_location where) {
    core_->assertThread("addSystemEventTrigger()");
    return SystemEventTrigger(core_->events().add(phase, event, std::move(f), where));
}

void ReactorBase::removeSystemEventTrigger(const SystemEventTrigger& trigger) {
    core_->assertThread("removeSystemEventTrigger()");
    core_->events().remove(trigger.trigger_);
}

void ReactorBase::fireSystemEvent(std::string_view event) {
    core_->assertThread("fireSystemEvent()");
    core_->fireSystemEvent(event);
}

void ReactorBase::whenRunning(Function<void()> f) {
    core_->assertThread("callWhenRunning()");
    if (core_->running())
        f();
    else
        addSystemEventTrigger(Phase::after, "startup", std::move(f));
}

void ReactorBase::postFromThread(Function<void()> f) { core_->mailbox()->post(std::move(f)); }

bool ReactorBase::isInReactorThread() const { return core_->onReactorThread(); }

void ReactorBase::assertThread(std::string_view call) const { core_->assertThread(call); }

std::shared_ptr<detail::Mailbox> ReactorBase::mailbox() const { return core_->mailbox(); }

ThreadPool& ReactorBase::threadPool() {
    core_->assertThread("threadPool()");
    core_->assertNotInherited("threadPool");
    return core_->threadPool();
}

detail::DescriptorSet& ReactorBase::descriptors() {
    if (!core_->descriptors) core_->descriptors = std::make_unique<detail::DescriptorSet>(*core_);
    return *core_->descriptors;
}

void ReactorBase::addReader(ReadDescriptor& reader) {
    core_->assertThread("addReader()");
    core_->assertNotInherited("addReader");
    descriptors().add(reader);
}

void ReactorBase::addWriter(WriteDescriptor& writer) {
    core_->assertThread("addWriter()");
    core_->assertNotInherited("addWriter");
    descriptors().add(writer);
}

void ReactorBase::removeReader(ReadDescriptor& reader) {
    core_->assertThread("removeReader()");
    if (core_->descriptors) core_->descriptors->remove(reader, detail::kReadable);
}

void ReactorBase::removeWriter(WriteDescriptor& writer) {
    core_->assertThread("removeWriter()");
    if (core_->descriptors) core_->descriptors->remove(writer, detail::kWritable);
}

std::vector<FileDescriptor*> ReactorBase::removeAll() {
    core_->assertThread("removeAll()");
    return core_->descriptors ? core_->descriptors->removeAll() : std::vector<FileDescriptor*>();
}

std::vector<ReadDescriptor*> ReactorBase::getReaders() const {
    core_->assertThread("getReaders()");
    return core_->descriptors ? core_->descriptors->readers() : std::vector<ReadDescriptor*>();
}

std::vector<WriteDescriptor*> ReactorBase::getWriters() const {
    core_->assertThread("getWriters()");
    return core_->descriptors ? core_->descriptors->writers() : std::vector<WriteDescriptor*>();
}

void ReactorBase::setTurnBudget(Delay budget) {
    core_->assertThread("setTurnBudget()");
    if (budget.value() < Duration::zero()) throw std::invalid_argument("setTurnBudget: the budget is negative");
    core_->setBudget(budget.value());
}

void ReactorBase::setNestingLimit(int turns) {
    core_->assertThread("setNestingLimit()");
    if (turns < 1) throw std::invalid_argument("setNestingLimit: the limit is " + std::to_string(turns) + ", and must be 1 at least");
    core_->setNestingLimit(turns);
}

void ReactorBase::setShutdownDeadline(Delay deadline) {
    core_->assertThread("setShutdownDeadline()");
    if (deadline.value() < Duration::zero()) throw std::invalid_argument("setShutdownDeadline: the deadline is negative");
    core_->setShutdownDeadline(deadline.value());
}

void ReactorBase::setSignalHandling(SignalHandling handling) {
    core_->assertThread("setSignalHandling()");
    core_->setSignalHandling(handling);
}

int ReactorBase::exitSignal() const { return core_->exitSignal(); }

void ReactorBase::warnOfStalls(Delay longest) {
    core_->assertThread("warnOfStalls()");
    if (longest.value() <= Duration::zero()) throw std::invalid_argument("warnOfStalls: the time is not positive");
    core_->warnOfStalls(longest.value());
}

ReactorStats ReactorBase::stats() const { return core_->stats(); }

void ReactorBase::shutDownNow() { core_->shutDownNow(); }

std::shared_ptr<void> ReactorBase::findService(std::type_index interface) const {
    core_->assertThread("service()");
    const auto found = core_->services.find(interface);
    return found == core_->services.end() ? nullptr : found->second;
}

void ReactorBase::storeService(std::type_index interface, std::shared_ptr<void> service) {
    core_->assertThread("provideService()");
    auto& place = core_->services[interface];
    std::swap(place, service);  // the old one dies after the new one stands
}

}  // namespace bine::inline v0
