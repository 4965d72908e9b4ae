// What a turn reckons sending will take, when sending took long once: the machine was suspended, or had other things to do.

#include <QtTest/QtTest>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "dialogs/scene.h"
#include "kit/reactor_test.h"

using namespace dialogs;

namespace {

bool nextSendIsSlow = false;
std::atomic<long> secondsMore{0};  // that the clock is ahead

}  // namespace

/// In the place of the C library's, for this program and the libraries it uses: a send() that takes a second by the clock, and by the clock alone.
extern "C" ssize_t send(int fd, const void* data, size_t size, int flags) {
    if (std::exchange(nextSendIsSlow, false)) ++secondsMore;
    return ::sendto(fd, data, size, flags, nullptr, 0);
}

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const int error = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
    if (error == 0) now->tv_sec += secondsMore;
    return error;
}

class SlowSendingTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r255_isForgottenWhenItIsOver() {
        Scene scene(host());
        reactor().setTurnBudget(20ms);
        constexpr int kLines = 32;
        int served = 0;
        std::vector<Scene::Line> lines;
        for (int i = 0; i < kLines; ++i) {
            lines.push_back(scene.line());
            lines.back().talker->onData = [&](Talker& talker, std::string_view data) {
                ++served;
                talker.transport().write(data);
            };
        }
        const auto turnsOfARound = [&](bool slow) {
            served = 0;
            for (const auto& line : lines)
                line.peer->send("x");
            nextSendIsSlow = slow;
            const auto before = reactor().stats().turns;
            if (!scene.spinUntil([&] { return served == kLines; }))
                qFatal("not all were served");
            return reactor().stats().turns - before;
        };
        const auto fewest = [&](int rounds) {
            auto turns = turnsOfARound(false);
            for (int i = 1; i < rounds; ++i)
                turns = std::min(turns, turnsOfARound(false));
            return turns;
        };

        const auto before = fewest(5);
        const auto began = reactor().now();
        turnsOfARound(true);
        QVERIFY(reactor().now() - began >= 1s);
        const auto after = fewest(20);
        QVERIFY2(after <= before, qPrintable(QString("%1 turns, and %2 before").arg(after).arg(before)));
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<SlowSendingTest>(argc, argv); }
#include "slow_sending_test.moc"
