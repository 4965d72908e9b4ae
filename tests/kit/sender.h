#pragma once
// Sender: what a transport is to the reactor when it has bytes that no callback's end will send. It counts
// how often it is asked to send. Reactor's thread.

#include <sys/eventfd.h>

#include <functional>
#include <memory>

#include "bine/reactors/io_handler.h"
#include "bine/reactors/reactor_base.h"

namespace bine::kit {

class Sender final : public bine::detail::IoHandler {
public:
    /// In the reactor until its end. `sent` is called each time; it runs inside the host's hook, so not for
    /// anything that calls back.
    static std::shared_ptr<Sender> make(
        ReactorBase& reactor, std::function<void()> sent = [] {}) {
        const std::shared_ptr<Sender> sender(new Sender(reactor, std::move(sent)));
        sender->openIn(*reactor.core(), ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        return sender;
    }
    /// There is something to send from now on.
    void write() {
        writtenIn_ = reactor_.stats().turns;
        markDirty();
    }

    int sent = 0;
    bool inATurn = false; ///< it took a turn of the reactor, where the host's hook should have done it

    void ioReady(unsigned) override {}
    void flush() override {
        ++sent;
        inATurn = inATurn || reactor_.stats().turns != writtenIn_;
        sent_();
    }
    void reactorStopped() override { closeDescriptor(); }

private:
    Sender(ReactorBase& reactor, std::function<void()> sent) : reactor_(reactor), sent_(std::move(sent)) {}

    ReactorBase& reactor_;
    std::function<void()> sent_;
    std::uint64_t writtenIn_ = 0;
};

} // namespace bine::kit
