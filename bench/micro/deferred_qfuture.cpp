// QPromise and QFuture, all on one thread. Chains take stack for each link, and so end early.
#include <QFuture>
#include <QPromise>

#include "measure.h"

static std::int64_t oneCallback(std::int64_t count, std::int64_t) {
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        QPromise<std::int64_t> answer;
        answer.start();
        answer.future().then([](std::int64_t value) { use(value); });
        answer.addResult(i);
        answer.finish();
    }
    endMeasured();
    return count;
}

static std::int64_t tenCallbacks(std::int64_t count, std::int64_t) {
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        QPromise<std::int64_t> answer;
        answer.start();
        QFuture<std::int64_t> future = answer.future();
        for (int k = 0; k < 9; ++k) future = future.then([](std::int64_t value) { return value + 1; });
        future.then([](std::int64_t value) { use(value); });
        answer.addResult(i);
        answer.finish();
    }
    endMeasured();
    return count;
}

static QFuture<std::int64_t> waitingFor(const QFuture<std::int64_t>& inner) {
    return QtFuture::makeReadyFuture().then([inner] { return inner; }).unwrap();
}

static std::int64_t chain(std::int64_t count, std::int64_t links) {
    std::int64_t done = 0;
    while (done < count) {
        beginMeasured();
        {
            QPromise<std::int64_t> innermost;
            innermost.start();
            QFuture<std::int64_t> future = innermost.future();
            for (std::int64_t i = 0; i < links; ++i) future = waitingFor(future);
            future.then([](std::int64_t value) { use(value); });
            innermost.addResult(1);
            innermost.finish();
        }
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
            QPromise<std::int64_t> answer;
            answer.start();
            QFuture<std::int64_t> future = answer.future();
            for (std::int64_t i = 0; i < callbacks; ++i) future = future.then([](std::int64_t value) { return value + 1; });
            future.then([](std::int64_t value) { use(value); });
            answer.addResult(1);
            answer.finish();
        }
        endMeasured();
        done += callbacks;
    }
    return done;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {{"one callback", oneCallback, 0, 0},
                                           {"ten callbacks", tenCallbacks, 0, 0},
                                           {"chain", chain, 1'000, 10'000},
                                           {"long chain", longChain, 10'000, 10'000},
                                           {}};
    return measureMain(argc, argv, measures);
}
