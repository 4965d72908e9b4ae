// Calls from other threads, and to them, with Qt. QT_NO_GLIB=1 takes Qt's own dispatcher instead of the one over GLib.
#include <QCoreApplication>
#include <QtConcurrentRun>
#include <thread>
#include <vector>

#include "measure.h"

static std::int64_t callFrom(std::int64_t producers, std::int64_t count) {
    const std::int64_t each = (count + producers - 1) / producers;
    const std::int64_t all = each * producers;
    std::int64_t ran = 0;
    QObject receiver;
    std::vector<std::jthread> threads;
    const auto begin = [&] {
        beginMeasured();
        for (std::int64_t i = 0; i < producers; ++i)
            threads.emplace_back([&ran, &receiver, each, all] {
                const auto call = [&ran, all] {
                    if (++ran < all) return;
                    endMeasured();
                    QCoreApplication::quit();
                };
                for (std::int64_t k = 0; k < each; ++k) QMetaObject::invokeMethod(&receiver, call, Qt::QueuedConnection);
            });
    };
    QMetaObject::invokeMethod(&receiver, begin, Qt::QueuedConnection);
    QCoreApplication::exec();
    return all;
}

static std::int64_t oneProducer(std::int64_t count, std::int64_t) { return callFrom(1, count); }
static std::int64_t eightProducers(std::int64_t count, std::int64_t) { return callFrom(8, count); }

static void goAndReturn(std::int64_t left) {
    QtConcurrent::run([left] { return left - 1; }).then(QCoreApplication::instance(), [](std::int64_t rest) {
        if (rest > 0) return goAndReturn(rest);
        endMeasured();
        QCoreApplication::quit();
    });
}

static std::int64_t roundTrip(std::int64_t count, std::int64_t) {
    const auto begin = [count] {
        beginMeasured();
        goAndReturn(count);
    };
    QMetaObject::invokeMethod(QCoreApplication::instance(), begin, Qt::QueuedConnection);
    QCoreApplication::exec();
    return count;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {
        {"1 producer", oneProducer, 0, 0}, {"8 producers", eightProducers, 0, 0}, {"round trip", roundTrip, 0, 0}, {}};
    int one = 1;
    const QCoreApplication application(one, argv);
    return measureMain(argc, argv, measures);
}
