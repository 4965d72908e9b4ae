#pragma once
// LineReceiver: a protocol of lines, with raw bytes in between. LineOnlyReceiver: of lines alone.
//
// Reactor's thread, as Protocol. A line ends with delimiter(), exactly that: "\r\n" unless set. Lines are views of the receive buffer, copied
// only if they came in pieces; the cost is linear in what is received, however it is cut. Between two lines nothing is kept. After
// loseConnection() or abortConnection() no more lines come. See docs/line_receiver.md.

#include <cstddef>
#include <string>
#include <string_view>

#include "bine/base/text_traits.h"
#include "bine/log/export.h"
#include "bine/net/producer.h"
#include "bine/net/protocol.h"
#include "bine/protocols/line_buffer.h"

namespace bine::inline v0 {

class BINE_EXPORT LineOnlyReceiver : public Protocol {
public:
    /// A line, without its delimiter; valid during the call.
    virtual void lineReceived(std::string_view line) = 0;
    /// A line is longer than maxLength(). `bytes` is its first maxLength() + 1 bytes, however the stream is cut. Closes the connection unless overridden. An override that
    /// does not close gets the next line next: the rest of this one is skipped, unless setRawMode() is called here, which gets it.
    virtual void lineLengthExceeded(std::string_view bytes);

    /// Writes the line and the delimiter.
    void sendLine(const TextArgument& line);

    const std::string& delimiter() const noexcept { return delimiter_; }
    /// From the next line on. Throws std::invalid_argument if empty.
    void setDelimiter(std::string_view delimiter);
    /// In bytes, without the delimiter: 16384 unless set.
    std::size_t maxLength() const noexcept { return maxLength_; }
    void setMaxLength(std::size_t bytes) noexcept { maxLength_ = bytes; }

    void dataReceived(std::string_view data) override;

protected:
    LineOnlyReceiver();
    ~LineOnlyReceiver() override;

private:
    friend class LineReceiver;
    virtual void deliver();
    bool deliverLine();
    bool listening() const noexcept;

    detail::LineBuffer buffer_;
    std::string delimiter_ = "\r\n";
    std::size_t maxLength_ = 16384;
    bool wasConnected_ = false;
};

class BINE_EXPORT LineReceiver : public LineOnlyReceiver, public Producer {
public:
    /// What comes in raw mode: all there is, cut anywhere. Throws std::logic_error unless overridden.
    virtual void rawDataReceived(std::string_view data);

    /// From now on, in the middle of a piece too: what follows the present line goes to rawDataReceived().
    void setRawMode();
    /// From now on lines. `rest` is what rawDataReceived() was given and did not want: it is read as lines. If it is the end of what was given, it is not copied.
    void setLineMode(std::string_view rest = {});
    bool lineMode() const noexcept { return lineMode_; }

    /// No more lines and no more raw data until resumeProducing(), in the middle of a piece too; the transport is paused with it.
    void pauseProducing() override;
    /// Delivers what was kept meanwhile, then lets the transport go on. Called in lineReceived() or rawDataReceived(), the delivery follows when these return.
    void resumeProducing() override;
    /// Pauses for good, and closes the connection.
    void stopProducing() override;
    bool paused() const noexcept { return paused_; }

    bool holdsInput() const noexcept override;

    /// Takes what has arrived and was not delivered.
    std::string clearLineBuffer();

protected:
    LineReceiver();
    ~LineReceiver() override;

private:
    void deliver() final;
    void goOn();

    bool lineMode_ = true;
    bool paused_ = false;
};

}  // namespace bine::inline v0
