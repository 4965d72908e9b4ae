#include "bine/reactors/native_reactors.h"

#include "bine/reactors/errors.h"
#include "bine/reactors/reactor_core.h"

namespace bine::inline v0 {

using Life = detail::ReactorCore::Life;

EpollReactor::EpollReactor() : ReactorBase(detail::makeEpollPoller()) {}
EpollReactor::~EpollReactor() { closeReactor(); }

int EpollReactor::fileno() {
    core_->assertThread("fileno()");
    return core_->exportedDescriptor();
}

void EpollReactor::dispatch() { dispatch(detail::ReactorCore::kHostBudget); }

void EpollReactor::dispatch(Duration budget) {
    core_->assertThread("dispatch()");
    if (!core_->everStarted()) attach();
    core_->hostedTurn(budget);
}

bool EpollReactor::turnsHeld() const { return core_->turnsHeld(); }

void EpollReactor::aboutToWait() {
    core_->assertThread("aboutToWait()");
    core_->aboutToWait();
}

void EpollReactor::attach() {
    core_->assertThread("attach()");
    core_->assertNotInherited("attach");
    if (core_->life() == Life::finishing) throw ReactorNotRestartable("attach: the reactor is in its shutdown");
    if (core_->life() != Life::idle) throw ReactorAlreadyRunning("attach: the reactor is attached or running already");
    core_->attach();
}

bool EpollReactor::detached() const { return core_->life() == Life::idle; }

PollReactor::PollReactor() : ReactorBase(detail::makePollPoller()) {}
PollReactor::~PollReactor() { closeReactor(); }

SelectReactor::SelectReactor() : ReactorBase(detail::makeSelectPoller()) {}
SelectReactor::~SelectReactor() { closeReactor(); }

}  // namespace bine::inline v0
