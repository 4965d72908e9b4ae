// Deferreds of Bine.
#include "bine/defer/deferred.h"
#include "measure.h"

using bine::Deferred;
using bine::Resolver;

static std::int64_t oneCallback(std::int64_t count, std::int64_t) {
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        Resolver<std::int64_t> answer;
        answer.deferred().addCallback([](std::int64_t value) { use(value); });
        answer.callback(i);
    }
    endMeasured();
    return count;
}

static std::int64_t tenCallbacks(std::int64_t count, std::int64_t) {
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        Resolver<std::int64_t> answer;
        Deferred<std::int64_t> deferred = answer.deferred();
        for (int k = 0; k < 9; ++k) deferred.addCallback([](std::int64_t value) { return value + 1; });
        std::move(deferred).addCallback([](std::int64_t value) { use(value); });
        answer.callback(i);
    }
    endMeasured();
    return count;
}

static Deferred<std::int64_t> waitingFor(Deferred<std::int64_t> inner) {
    return bine::succeed().addCallback([inner = std::move(inner)]() mutable { return std::move(inner); });
}

static std::int64_t chain(std::int64_t count, std::int64_t links) {
    std::int64_t done = 0;
    while (done < count) {
        beginMeasured();
        Resolver<std::int64_t> innermost;
        Deferred<std::int64_t> deferred = innermost.deferred();
        for (std::int64_t i = 0; i < links; ++i) deferred = waitingFor(std::move(deferred));
        std::move(deferred).addCallback([](std::int64_t value) { use(value); });
        innermost.callback(1);
        endMeasured();
        done += links;
    }
    return done;
}

static std::int64_t longChain(std::int64_t count, std::int64_t callbacks) {
    std::int64_t done = 0;
    while (done < count) {
        beginMeasured();
        {
            Resolver<std::int64_t> answer;
            Deferred<std::int64_t> deferred = answer.deferred();
            for (std::int64_t i = 0; i < callbacks; ++i) deferred.addCallback([](std::int64_t value) { return value + 1; });
            std::move(deferred).addCallback([](std::int64_t value) { use(value); });
            answer.callback(1);
        }
        endMeasured();
        done += callbacks;
    }
    return done;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {{"one callback", oneCallback, 0, 0},
                                           {"ten callbacks", tenCallbacks, 0, 0},
                                           {"chain", chain, 1'000, 0},
                                           {"long chain", longChain, 1'000'000, 0},
                                           {}};
    return measureMain(argc, argv, measures);
}
