#include "kit/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "bine/reactors/io_handler.h"
#include "bine/reactors/reactor_core.h"

namespace bine::kit {

class Wire::End final : public detail::IoHandler {
public:
    explicit End(std::function<void(std::string)> received) : received_(std::move(received)) {}

    void start(detail::ReactorCore& core, int fd) {
        openIn(core, fd);
        wantReading(true);
    }
    void stop() { closeDescriptor(); }
    void whenStopped(std::function<void()> f) { stopped_ = std::move(f); }

    void ioReady(unsigned) override {
        char buffer[4096];
        const ssize_t n = ::recv(fd(), buffer, sizeof buffer, 0);
        if (n > 0) {
            const BusyScope busy(*this);
            received_(std::string(buffer, static_cast<std::size_t>(n)));
        } else if (n == 0 || errno != EAGAIN) {
            closeDescriptor();
        }
    }
    void reactorStopped() override {
        closeDescriptor();
        if (stopped_)
            stopped_();
    }

private:
    std::function<void(std::string)> received_;
    std::function<void()> stopped_;
};

Wire::Wire(Reactor& reactor, std::function<void(std::string)> received)
    : end_(std::make_shared<End>(std::move(received))) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    far_ = ends[1];
    end_->start(*reactor.core(), ends[0]);
}

Wire::~Wire() {
    end_->stop();
    ::close(far_);
}

void Wire::send(std::string_view text) {
    if (::send(far_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
        throw std::system_error(errno, std::generic_category(), "send");
}

void Wire::close() { end_->stop(); }

bool Wire::open() const { return end_->open(); }

void Wire::whenStopped(std::function<void()> f) { end_->whenStopped(std::move(f)); }

} // namespace bine::kit
