#pragma once
// Flow control: who makes data (Producer) and who takes it (Consumer). Twisted's IPushProducer, IPullProducer
// and IConsumer.
//
// A streaming (push) producer writes by itself until it is paused. A pull producer writes once each time it
// is resumed and is never paused. Reactor's thread only.

#include <memory>
#include <string_view>

#include "bine/base/text_traits.h"
#include "bine/log/export.h"

namespace bine::inline v0 {

class BINE_EXPORT Producer {
public:
    virtual ~Producer();
    /// Stop writing until resumed. Pull producers never hear this.
    virtual void pauseProducing() = 0;
    /// Write on (streaming), or write one more piece (pull).
    virtual void resumeProducing() = 0;
    /// The consumer is gone; nobody wants the rest. Heard at most once.
    virtual void stopProducing() = 0;

protected:
    Producer() = default;
    Producer(const Producer&) = default;
    Producer& operator=(const Producer&) = default;
};

class BINE_EXPORT Consumer {
public:
    virtual ~Consumer();
    /// Attaches a producer; kept until unregisterProducer() or the end. A second one throws
    /// ProducerAlreadyRegistered. If the consumer is gone, the producer's stopProducing() is called now. A
    /// pull producer's resumeProducing() is called now.
    virtual void registerProducer(std::shared_ptr<Producer> producer, bool streaming) = 0;
    /// No more will be written. No effect without a producer.
    virtual void unregisterProducer() = 0;
    virtual void write(std::string_view data) = 0;
    /// Text or bytes of a toolkit (base/text_traits.h).
    template <ForeignText Text>
    void write(const Text& data) {
        write(std::string_view(TextTraits<Text>::read(data)));
    }

protected:
    Consumer() = default;
    Consumer(const Consumer&) = default;
    Consumer& operator=(const Consumer&) = default;
};

} // namespace bine::inline v0
