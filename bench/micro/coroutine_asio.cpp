// Coroutines of asio. There is nothing that is ready before it is awaited; what was pending is resumed through the loop's queue.
#include <asio.hpp>

#include "measure.h"

static std::int64_t run(asio::awaitable<void> coroutine, std::int64_t count) {
    asio::io_context context(1);
    asio::co_spawn(context, std::move(coroutine), asio::detached);
    beginMeasured();
    context.run();
    endMeasured();
    return count;
}

static asio::awaitable<void> awaitingPending(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) co_await asio::post(asio::use_awaitable);
}

static std::int64_t awaitPending(std::int64_t count, std::int64_t) { return run(awaitingPending(count), count); }

[[gnu::noinline]] static asio::awaitable<std::int64_t> answer(std::int64_t value) { co_return value; }

static asio::awaitable<void> calling(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) use(co_await answer(i));
}

static std::int64_t callAndAwait(std::int64_t count, std::int64_t) { return run(calling(count), count); }

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {{"await pending", awaitPending, 0, 0}, {"call and await", callAndAwait, 0, 0}, {}};
    return measureMain(argc, argv, measures);
}
