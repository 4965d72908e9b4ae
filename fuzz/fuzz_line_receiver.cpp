// What a LineReceiver hears does not depend on how the stream is cut, whatever its lines make it do.
//
// Input: one byte for the maximal length, one for the cuts, then the stream. Lines that begin with a letter below are orders.
#include <memory>
#include <string>

#include "bine/net/memory_transport.h"
#include "bine/protocols/line_receiver.h"
#include "fuzzing.h"

namespace {

class Obedient : public bine::LineReceiver {
public:
    void lineReceived(std::string_view line) override {
        heard += "[" + std::string(line) + "]";
        switch (line.empty() ? '\0' : line[0]) {
        case 'R':  // so many raw bytes follow
            raw_ = line.size();
            setRawMode();
            break;
        case 'P': pauseProducing(); break;
        case 'Q':  // paused and resumed at once
            pauseProducing();
            resumeProducing();
            break;
        case 'D': setDelimiter(line.size() % 2 == 0 ? "\r\n" : line.size() % 3 == 0 ? "--" : "\n"); break;
        case 'L': transport().loseConnection(); break;
        case 'A': transport().abortConnection(); break;
        case 'S': sendLine(line); break;
        case 'T': throw std::runtime_error("told to");
        case 'B':  // both at once, in both orders
            setRawMode();
            setLineMode();
            break;
        default: break;
        }
    }
    void rawDataReceived(std::string_view data) override {
        const auto mine = data.substr(0, raw_);
        heard += mine;
        raw_ -= mine.size();
        if (raw_ > 0) return;
        heard += ";";
        // Sometimes as a view of what was given, sometimes as bytes of our own.
        const std::string copy(data.substr(mine.size()));
        setLineMode(copy.size() % 2 == 0 ? data.substr(mine.size()) : std::string_view(copy));
    }
    void lineLengthExceeded(std::string_view bytes) override {
        heard += "!" + std::string(bytes) + "!";
        if (maxLength() % 2 == 0) LineReceiver::lineLengthExceeded(bytes);
    }
    std::string heard;

private:
    std::size_t raw_ = 0;
};

std::string heardOf(std::string_view stream, std::size_t maximum, std::uint32_t seed) {
    const auto transport = std::make_shared<bine::MemoryTransport>();
    const auto receiver = std::make_shared<Obedient>();
    receiver->setMaxLength(maximum);
    receiver->makeConnection(transport);
    const auto resume = [&] {
        while (receiver->paused() && transport->connected() && !transport->closing()) receiver->resumeProducing();
    };
    inPieces(stream, seed, [&](std::string_view piece) {
        transport->feed(piece);
        if (seed % 2 == 0) resume();
    });
    resume();
    return receiver->heard + "|" + transport->value() + (transport->closing() ? "closing" : "") + (transport->aborted() ? "aborted" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FuzzInput input(data, size);
    const std::size_t maximum = input.byte();
    const std::uint32_t seed = input.byte();
    const std::string whole = heardOf(input.rest(), maximum, 0);
    FUZZ_CHECK(heardOf(input.rest(), maximum, seed * 2 + 1) == whole);
    FUZZ_CHECK(heardOf(input.rest(), maximum, seed * 2 + 2) == whole);
    return 0;
}
