#include "bine/net/stream.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "bine/log/log.h"
#include "bine/net/errors.h"
#include "bine/net/half_close.h"
#include "bine/net/network.h"
#include "bine/net/protocol.h"

namespace bine::inline v0 {

namespace {

const Logger& logger() {
    static const Logger log("bine.net");
    return log;
}

/// What a read waits for.
struct Want {
    enum class Kind { some, exactly, line, lastLine, until, all };
    Kind kind;
    std::size_t size; // how many at most; with `exactly` how many
    std::string delimiter;
};

} // namespace

EndOfStreamError::EndOfStreamError(std::string partial)
    : Error("the stream ended, " + std::to_string(partial.size()) + " bytes into what was to be read"),
      partial_(std::move(partial)) {}
EndOfStreamError::~EndOfStreamError() = default;
std::string EndOfStreamError::userMessage() const { return "The server ended the connection before it had answered."; }

StreamLimitError::StreamLimitError(std::string what, std::size_t maximum)
    : ProtocolError(what + " is longer than " + std::to_string(maximum) + " bytes"), maximum_(maximum) {}
StreamLimitError::~StreamLimitError() = default;
std::string StreamLimitError::userMessage() const { return "The server sent more than this program accepts."; }

namespace detail {

class StreamProtocol final : public Protocol, public HalfCloseableProtocol {
public:
    explicit StreamProtocol(StreamHandler* handler = nullptr) : handler_(handler) {}

    static Stream streamOf(std::shared_ptr<StreamProtocol> protocol) { return Stream(std::move(protocol)); }

    Deferred<std::string> read(Want want, std::source_location where);
    Deferred<> closed(std::source_location where);
    bool atEnd() const noexcept { return ended() && buffered() == 0; }

    void connectionMade() override;
    void dataReceived(std::string_view data) override;
    void readConnectionLost() override;
    void writeConnectionLost() override {}
    void connectionLost(const Failure& reason) override;
    std::string logPrefix() const override { return "Stream"; }

private:
    static constexpr std::size_t kKept = 64 * 1024; // buffered without being asked for

    bool ended() const noexcept { return inputEnded_ || lost_; }
    std::size_t buffered() const noexcept { return buffer_.size() - begin_; }
    std::string take(std::size_t count, std::size_t skipped = 0);
    std::optional<Result<std::string>> attempt(const Want& want);
    std::optional<Result<std::string>> upTo(std::string_view delimiter, const Want& want);
    Result<std::string> atTheEnd(const Want& want);
    void serve();
    void pauseIfFull();
    void resume();

    StreamHandler* const handler_; // of the factory, which this keeps
    std::string buffer_;
    std::size_t begin_ = 0;   // of what is unread
    std::size_t scanned_ = 0; // unread bytes in which the pending read has found no end
    std::optional<Want> want_;
    std::optional<Resolver<std::string>> pending_;
    std::vector<Resolver<>> closing_;
    std::optional<Failure> reason_; // of the loss
    bool inputEnded_ = false;
    bool lost_ = false;
    bool paused_ = false;
};

// --- Reading

std::string StreamProtocol::take(std::size_t count, std::size_t skipped) {
    std::string taken = buffer_.substr(begin_, count);
    begin_ += count + skipped;
    scanned_ = 0;
    if (begin_ == buffer_.size()) {
        buffer_.clear();
        begin_ = 0;
    }
    return taken;
}

std::optional<Result<std::string>> StreamProtocol::upTo(std::string_view delimiter, const Want& want) {
    const std::string_view unread = std::string_view(buffer_).substr(begin_);
    const std::size_t overlap = delimiter.size() - 1;
    const std::size_t at = unread.find(delimiter, scanned_ > overlap ? scanned_ - overlap : 0);
    const bool isLine = want.kind != Want::Kind::until;
    if (at == unread.npos) {
        scanned_ = unread.size();
        // A return may belong to the end of the line, and a part of the delimiter may be there already.
        if (unread.size() > want.size && unread.size() - want.size > (isLine ? 1 : overlap))
            return StreamLimitError(isLine ? "a line" : "the text before a delimiter", want.size);
        return std::nullopt;
    }
    const std::size_t returned = isLine && at > 0 && unread[at - 1] == '\r' ? 1 : 0;
    if (at - returned > want.size)
        return StreamLimitError(isLine ? "a line" : "the text before a delimiter", want.size);
    return take(at - returned, returned + delimiter.size());
}

// The result of a read, if there is one yet.
std::optional<Result<std::string>> StreamProtocol::attempt(const Want& want) {
    switch (want.kind) {
    case Want::Kind::some:
        if (buffered() > 0)
            return take((std::min)(want.size, buffered()));
        break;
    case Want::Kind::exactly:
        if (buffered() >= want.size)
            return take(want.size);
        break;
    case Want::Kind::line:
    case Want::Kind::lastLine:
        if (auto line = upTo("\n", want))
            return line;
        break;
    case Want::Kind::until:
        if (auto text = upTo(want.delimiter, want))
            return text;
        break;
    case Want::Kind::all:
        if (buffered() > want.size)
            return StreamLimitError("the stream", want.size);
        break;
    }
    if (!ended())
        return std::nullopt;
    return atTheEnd(want);
}

Result<std::string> StreamProtocol::atTheEnd(const Want& want) {
    if (reason_ && !reason_->check<ConnectionDone>())
        return *reason_;
    const bool isValue = want.kind == Want::Kind::some || want.kind == Want::Kind::all ||
                         (want.kind == Want::Kind::lastLine && buffered() > 0);
    if (isValue) {
        std::string rest = take(buffered());
        if (want.kind == Want::Kind::lastLine && rest.ends_with('\r'))
            rest.pop_back();
        return rest;
    }
    return EndOfStreamError(take(buffered()));
}

Deferred<std::string> StreamProtocol::read(Want want, std::source_location where) {
    if (pending_ && !pending_->called())
        throw std::logic_error("Stream: a read waits already; await it before the next one");
    scanned_ = 0;
    if (auto result = attempt(want)) {
        if (result->isFailure())
            return fail<std::string>(result->failure(), where);
        return succeed(std::move(*result).value());
    }
    want_ = std::move(want);
    pending_.emplace([weak = weak_from_this()](Resolver<std::string>&) {
        if (const auto self = std::static_pointer_cast<StreamProtocol>(weak.lock()))
            self->want_.reset();
    });
    auto answer = pending_->deferred(where);
    resume();
    return answer;
}

// What the pending read waits for may be there.
void StreamProtocol::serve() {
    const auto self = shared_from_this();
    if (want_) {
        auto result = attempt(*want_);
        if (result) {
            want_.reset();
            auto pending = std::move(*pending_);
            pending_.reset();
            if (!pending.called())
                pending.callback(std::move(*result));
        }
    }
    pauseIfFull();
}

void StreamProtocol::pauseIfFull() {
    if (paused_ || want_ || buffered() < kKept || !connected())
        return;
    paused_ = true;
    transport().pauseProducing();
}

void StreamProtocol::resume() {
    if (std::exchange(paused_, false))
        transport().resumeProducing();
}

// --- What the transport says

void StreamProtocol::connectionMade() {
    if (!handler_)
        return;
    const auto self = std::static_pointer_cast<StreamProtocol>(shared_from_this());
    (*handler_)(Stream(self)).addErrback([self](const Failure& failure) {
        if (failure.check<ConnectionClosed>() || failure.check<EndOfStreamError>())
            logger().debug("The handler of a connection ended with it: " + failure.getErrorMessage());
        else if (failure.check<ProtocolError>())
            return self->transport().abortConnection(failure);
        else
            logger().failure(failure.exceptionPtr(), "The handler of a connection failed; the connection is aborted",
                             LogLevel::error, failure.getTraceback());
        self->transport().abortConnection();
    });
}

void StreamProtocol::dataReceived(std::string_view data) {
    if (begin_ > 0 && begin_ >= buffer_.size() / 2) {
        buffer_.erase(0, begin_);
        begin_ = 0;
    }
    buffer_.append(data);
    serve();
}

void StreamProtocol::readConnectionLost() {
    inputEnded_ = true;
    serve();
}

void StreamProtocol::connectionLost(const Failure& reason) {
    lost_ = true;
    reason_ = reason;
    serve();
    for (auto& waiter : std::exchange(closing_, {}))
        if (!waiter.called())
            waiter.callback();
}

Deferred<> StreamProtocol::closed(std::source_location where) {
    if (lost_ || !connected())
        return succeed();
    return closing_.emplace_back().deferred(where);
}

namespace {

class StreamFactory final : public Factory {
public:
    explicit StreamFactory(StreamHandler handler) : handler_(std::move(handler)) {}
    std::shared_ptr<Protocol> buildProtocol(const Address&) override {
        return std::make_shared<StreamProtocol>(&handler_);
    }
    std::string logPrefix() const override { return "StreamFactory"; }

private:
    StreamHandler handler_;
};

} // namespace

std::shared_ptr<Factory> makeStreamFactory(StreamHandler handler) {
    return std::make_shared<StreamFactory>(std::move(handler));
}

} // namespace detail

// --- The handle

Stream::Stream() noexcept = default;
Stream::Stream(std::shared_ptr<detail::StreamProtocol> protocol) noexcept : protocol_(std::move(protocol)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&& other) noexcept {
    Stream old(std::exchange(protocol_, std::exchange(other.protocol_, nullptr)));
    return *this;
}
Stream::~Stream() { close(); }

Stream Stream::over(Reactor& reactor, const std::shared_ptr<Transport>& transport) {
    auto protocol = std::make_shared<detail::StreamProtocol>();
    attach(reactor, transport, protocol);
    return Stream(std::move(protocol));
}

static Deferred<std::string> readOf(const std::shared_ptr<detail::StreamProtocol>& protocol, Want want, std::source_location where) {
    if (!protocol)
        return fail<std::string>(ConnectionLost("the Stream has no connection"), where);
    return protocol->read(std::move(want), where);
}

Deferred<std::string> Stream::read(std::size_t maximum, std::source_location where) {
    if (maximum == 0)
        throw std::invalid_argument("Stream::read: maximum must be at least 1");
    return readOf(protocol_, {Want::Kind::some, maximum, {}}, where);
}

Deferred<std::string> Stream::readLine(std::size_t maximum, std::source_location where) { return readOf(protocol_, {Want::Kind::line, maximum, {}}, where); }

Deferred<std::optional<std::string>> Stream::nextLine(std::size_t maximum, std::source_location where) {
    using Line = std::optional<std::string>;
    return readOf(protocol_, {Want::Kind::lastLine, maximum, {}}, where)
        .addCallbacks([](std::string line) { return Line(std::move(line)); },
                      [](const Failure& failure) -> Line {
                          failure.trap<EndOfStreamError>();
                          return std::nullopt;
                      });
}

Deferred<std::string> Stream::readExactly(std::size_t count, std::source_location where) { return readOf(protocol_, {Want::Kind::exactly, count, {}}, where); }

Deferred<std::string> Stream::readUntil(std::string_view delimiter, std::size_t maximum, std::source_location where) {
    if (delimiter.empty())
        throw std::invalid_argument("Stream::readUntil: the delimiter is empty");
    return readOf(protocol_, {Want::Kind::until, maximum, std::string(delimiter)}, where);
}

Deferred<std::string> Stream::readAll(std::size_t maximum, std::source_location where) { return readOf(protocol_, {Want::Kind::all, maximum, {}}, where); }

Deferred<> Stream::drained(std::source_location where) { return transport().drained(where); }

void Stream::endWriting() {
    if (auto* halfCloseable = transport().as<HalfCloseableTransport>())
        halfCloseable->loseWriteConnection();
}

void Stream::close() {
    if (protocol_)
        transport().loseConnection();
}

void Stream::abort() { transport().abortConnection(); }

Deferred<> Stream::closed(std::source_location where) { return protocol_ ? protocol_->closed(where) : succeed(); }

bool Stream::connected() const noexcept { return protocol_ && protocol_->connected(); }
bool Stream::atEnd() const noexcept { return !protocol_ || protocol_->atEnd(); }
Transport& Stream::transport() const noexcept { return protocol_ ? protocol_->transport() : nullTransport(); }

Deferred<Stream> openConnection(Reactor& reactor, const TextArgument& host, Port port, const TCPClientOptions& options,
                                std::source_location where) {
    return connectProtocol(reactor, host, port, std::make_shared<detail::StreamProtocol>(), options, where)
        .addCallback([](std::shared_ptr<detail::StreamProtocol> protocol) {
            return detail::StreamProtocol::streamOf(std::move(protocol));
        });
}

} // namespace bine::inline v0
