// KJ, the promises and streams of Cap'n Proto; a buffer for each connection.
#include <kj/async-io.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "clock.h"
#include "options.h"
#include "work.h"

static Options options;

/// A connection; attached to the promise of its own end.
class Session {
public:
    explicit Session(kj::Own<kj::AsyncIoStream> stream) : stream_(kj::mv(stream)), buffer_(kj::heapArray<kj::byte>(64 * 1024)) {}

    /// Until the peer's end of file.
    kj::Promise<void> serve() {
        return stream_->tryRead(buffer_.begin(), 1, buffer_.size()).then([this](size_t got) -> kj::Promise<void> {
            if (got == 0) return kj::READY_NOW;
            return answer(got).then([this] { return serve(); });
        });
    }

private:
    kj::Promise<void> answer(size_t got) {
        if (options.mode == ModeWrites) return writeLines(requestsIn(&begun_, got) * kLines);
        busyFor(options.handlerNs);
        if (options.mode == ModeSink) return kj::READY_NOW;
        return stream_->write(buffer_.begin(), got);
    }
    kj::Promise<void> writeLines(size_t lines) {
        if (lines == 0) return kj::READY_NOW;
        if (lines % kLines == 0) busyFor(options.handlerNs);
        return stream_->write(kLine, kLineSize).then([this, lines] { return writeLines(lines - 1); });
    }

    kj::Own<kj::AsyncIoStream> stream_;
    kj::Array<kj::byte> buffer_;
    size_t begun_ = 0;
};

/// Connections end as their peers like.
class Tolerant : public kj::TaskSet::ErrorHandler {
public:
    void taskFailed(kj::Exception&&) override {}
};

/// Accepts for ever.
class Server {
public:
    Server(kj::Own<kj::ConnectionReceiver> receiver, kj::Timer& timer)
        : receiver_(kj::mv(receiver)), timer_(timer), connections_(tolerant_) {}

    kj::uint port() { return receiver_->getPort(); }

    kj::Promise<void> acceptAll() {
        // evalNow: an error of accept() may also come as an exception.
        return kj::evalNow([this] { return receiver_->accept(); }).then(
            [this](kj::Own<kj::AsyncIoStream> stream) -> kj::Promise<void> {
                begin(kj::mv(stream));
                return acceptAll();
            },
            [this](kj::Exception&&) -> kj::Promise<void> {
                // No descriptor is left; at once it would be tried again for ever, and nothing else done.
                return timer_.afterDelay(10 * kj::MILLISECONDS).then([this] { return acceptAll(); });
            });
    }

private:
    void begin(kj::Own<kj::AsyncIoStream> stream) {
        const int one = 1;
        stream->setsockopt(IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        auto session = kj::heap<Session>(kj::mv(stream));
        auto end = session->serve();
        connections_.add(end.attach(kj::mv(session)));
    }

    kj::Own<kj::ConnectionReceiver> receiver_;
    kj::Timer& timer_;
    Tolerant tolerant_;
    kj::TaskSet connections_;
};

int main(int argc, char** argv) {
    options = parseOptions(argc, argv, 0);
    auto io = kj::setupAsyncIo();
    auto address = io.provider->getNetwork().parseAddress("127.0.0.1", 0).wait(io.waitScope);
    Server server(address->listen(), io.provider->getTimer());
    announcePort(static_cast<int>(server.port()));
    server.acceptAll().wait(io.waitScope);
}
