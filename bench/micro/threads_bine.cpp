// Calls from other threads, and to them, with Bine: threads_bine [epoll|qt|glib] MEASURE.
#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "bine/reactors/reactor_names.h"
#include "bine/reactors/threads.h"
#include "measure.h"
#ifdef BENCH_QT
#include <QCoreApplication>

#include "bine/qtreactor/qt_reactor.h"
#endif
#ifdef BENCH_GLIB
#include "bine/gtkreactor/glib_reactor.h"
#endif

static bine::ReactorBase* reactor;

static std::int64_t callFrom(std::int64_t producers, std::int64_t count) {
    const std::int64_t each = (count + producers - 1) / producers;
    const std::int64_t all = each * producers;
    std::int64_t ran = 0;
    std::vector<std::jthread> threads;
    reactor->callWhenRunning([&] {
        beginMeasured();
        for (std::int64_t i = 0; i < producers; ++i)
            threads.emplace_back([&ran, each, all] {
                for (std::int64_t k = 0; k < each; ++k)
                    reactor->callFromThread([&ran, all] {
                        if (++ran < all) return;
                        endMeasured();
                        reactor->crash();
                    });
            });
    });
    reactor->run();
    return all;
}

static std::int64_t oneProducer(std::int64_t count, std::int64_t) { return callFrom(1, count); }
static std::int64_t eightProducers(std::int64_t count, std::int64_t) { return callFrom(8, count); }

static void goAndReturn(std::int64_t left) {
    bine::deferToThread(*reactor, [left] { return left - 1; }).addCallback([](std::int64_t rest) {
        if (rest > 0) return goAndReturn(rest);
        endMeasured();
        reactor->crash();
    });
}

static std::int64_t roundTrip(std::int64_t count, std::int64_t) {
    reactor->callWhenRunning([count] {
        beginMeasured();
        goAndReturn(count);
    });
    reactor->run();
    return count;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {
        {"1 producer", oneProducer, 0, 0}, {"8 producers", eightProducers, 0, 0}, {"round trip", roundTrip, 0, 0}, {}};
#ifdef BENCH_QT
    int one = 1;
    const QCoreApplication application(one, argv);
    bine::registerQtReactor();
#endif
#ifdef BENCH_GLIB
    bine::registerGlibReactor();
#endif
    const auto names = bine::reactorNames();
    const bool named = argc > 1 && std::find(names.begin(), names.end(), argv[1]) != names.end();
    const std::unique_ptr<bine::ReactorBase> made = bine::reactorByName(named ? argv[1] : "epoll");
    reactor = made.get();
    return measureMain(argc - named, argv + named, measures);
}
