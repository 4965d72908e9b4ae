// Promises of KJ. They do nothing until somebody waits. A long chain takes stack for each callback, and so ends early.
#include <kj/async.h>

#include "measure.h"

static kj::EventLoop loop;
static kj::WaitScope waitScope(loop);

static int64_t oneCallback(int64_t count, int64_t) {
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        auto answer = kj::newPromiseAndFulfiller<int64_t>();
        auto promise = answer.promise.then([](int64_t value) { use(value); });
        answer.fulfiller->fulfill(kj::cp(i));
        promise.wait(waitScope);
    }
    endMeasured();
    return count;
}

static int64_t tenCallbacks(int64_t count, int64_t) {
    beginMeasured();
    for (int64_t i = 0; i < count; ++i) {
        auto answer = kj::newPromiseAndFulfiller<int64_t>();
        kj::Promise<int64_t> promise = kj::mv(answer.promise);
        for (int k = 0; k < 9; ++k) promise = promise.then([](int64_t value) { return value + 1; });
        auto last = promise.then([](int64_t value) { use(value); });
        answer.fulfiller->fulfill(kj::cp(i));
        last.wait(waitScope);
    }
    endMeasured();
    return count;
}

static kj::Promise<int64_t> waitingFor(kj::Promise<int64_t> inner) {
    return kj::Promise<void>(kj::READY_NOW).then([inner = kj::mv(inner)]() mutable { return kj::mv(inner); });
}

static int64_t chain(int64_t count, int64_t links) {
    int64_t done = 0;
    while (done < count) {
        beginMeasured();
        {
            auto innermost = kj::newPromiseAndFulfiller<int64_t>();
            kj::Promise<int64_t> promise = kj::mv(innermost.promise);
            for (int64_t i = 0; i < links; ++i) promise = waitingFor(kj::mv(promise));
            auto last = promise.then([](int64_t value) { use(value); });
            last.poll(waitScope); // now each waits for the next
            innermost.fulfiller->fulfill(1);
            last.wait(waitScope);
        }
        endMeasured();
        done += links;
    }
    return done;
}

static int64_t longChain(int64_t count, int64_t callbacks) {
    int64_t done = 0;
    while (done < count) {
        beginMeasured();
        {
            auto answer = kj::newPromiseAndFulfiller<int64_t>();
            kj::Promise<int64_t> promise = kj::mv(answer.promise);
            for (int64_t i = 0; i < callbacks; ++i) promise = promise.then([](int64_t value) { return value + 1; });
            answer.fulfiller->fulfill(1);
            use(promise.wait(waitScope));
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
                                           {"long chain", longChain, 1'000, 2'000},
                                           {}};
    return measureMain(argc, argv, measures);
}
