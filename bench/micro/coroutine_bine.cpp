// Coroutines of Bine.
#include "bine/defer/deferred.h"
#include "measure.h"

using bine::Deferred;
using bine::Resolver;

static Deferred<> awaitingReady(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) use(co_await bine::succeed(i));
}

static std::int64_t awaitReady(std::int64_t count, std::int64_t) {
    beginMeasured();
    const Deferred<> end = awaitingReady(count);
    endMeasured();
    return count;
}

static Deferred<> awaitingPending(Resolver<std::int64_t>* next, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
        *next = Resolver<std::int64_t>();
        use(co_await next->deferred());
    }
}

static std::int64_t awaitPending(std::int64_t count, std::int64_t) {
    Resolver<std::int64_t> next;
    beginMeasured();
    const Deferred<> end = awaitingPending(&next, count);
    for (std::int64_t i = 0; i < count; ++i) {
        Resolver<std::int64_t> answer = std::move(next);
        answer.callback(i);
    }
    endMeasured();
    return count;
}

[[gnu::noinline]] static Deferred<std::int64_t> answer(std::int64_t value) { co_return value; }

static Deferred<> calling(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) use(co_await answer(i));
}

static std::int64_t callAndAwait(std::int64_t count, std::int64_t) {
    beginMeasured();
    const Deferred<> end = calling(count);
    endMeasured();
    return count;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {
        {"await ready", awaitReady, 0, 0}, {"await pending", awaitPending, 0, 0}, {"call and await", callAndAwait, 0, 0}, {}};
    return measureMain(argc, argv, measures);
}
