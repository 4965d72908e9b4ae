// QTimers. Their cost grows with how many live, so fewer do. QT_NO_GLIB=1 takes Qt's own dispatcher instead of the one over GLib.
#include <QCoreApplication>
#include <QTimer>
#include <deque>

#include "timers.h"

static std::deque<QTimer>& liveTimers(std::int64_t n) {
    static std::deque<QTimer> live;
    while (std::ssize(live) < n) live.emplace_back().start(static_cast<int>(farDelayMs()));
    return live;
}

static std::int64_t scheduleAndCancel(std::int64_t count, std::int64_t n) {
    liveTimers(n);
    QTimer timer;
    timer.setSingleShot(true);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        timer.start(static_cast<int>(farDelayMs()));
        timer.stop();
        if (i % kPerPass == 0) QCoreApplication::processEvents();
    }
    endMeasured();
    return count;
}

static std::int64_t scheduleAndFire(std::int64_t, std::int64_t n) {
    std::int64_t fired = 0;
    beginMeasured();
    for (std::int64_t i = 0; i < n; ++i) QTimer::singleShot(static_cast<int>(nearDelayMs()), QCoreApplication::instance(), [&fired] { ++fired; });
    endMeasured();
    waitUntilAllAreDue();
    beginMeasured();
    while (fired < n) QCoreApplication::processEvents();
    endMeasured();
    return n;
}

static std::int64_t reset(std::int64_t count, std::int64_t n) {
    auto& live = liveTimers(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) {
        live[static_cast<std::size_t>(busyOne(i, n))].start(2 * kHourMs);
        if (i % kPerPass == 0) QCoreApplication::processEvents();
    }
    endMeasured();
    return count;
}

static std::int64_t pass(std::int64_t count, std::int64_t n) {
    liveTimers(n);
    beginMeasured();
    for (std::int64_t i = 0; i < count; ++i) QCoreApplication::processEvents();
    endMeasured();
    return count;
}

int main(int argc, char** argv) {
    static constexpr Measure measures[] = {{"schedule and cancel", scheduleAndCancel, 20'000, 0},
                                           {"schedule and fire", scheduleAndFire, 20'000, 0},
                                           {"reset", reset, 10'000, 0},
                                           {"pass", pass, 10'000, 0},
                                           {}};
    int one = 1;
    const QCoreApplication application(one, argv);
    const int status = measureMain(argc, argv, measures);
    std::fflush(nullptr);
    std::_Exit(status); // to take ten thousand timers away costs more than the measuring
}
