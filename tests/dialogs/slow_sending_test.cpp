// What a turn reckons sending will take, by a clock on which a send() takes as long as the test says.

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

std::chrono::nanoseconds nextSendTakes{}, everySendTakes{};
int sends = 0;
std::atomic<std::int64_t> ahead{0};  // nanoseconds that the clock has gained by now

}  // namespace

/// In the place of the C library's, for this program and the libraries it uses: a send() that takes time by the clock, and by the clock alone.
extern "C" ssize_t send(int fd, const void* data, size_t size, int flags) {
    ahead += (everySendTakes + std::exchange(nextSendTakes, 0ns)).count();
    ++sends;
    return ::sendto(fd, data, size, flags, nullptr, 0);
}

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const int error = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
    if (error != 0) return error;
    const std::int64_t nanoseconds = now->tv_nsec + ahead;
    now->tv_sec += nanoseconds / 1'000'000'000;
    now->tv_nsec = nanoseconds % 1'000'000'000;
    return 0;
}

namespace {

/// Connections that answer what they are told.
class Lines {
public:
    Lines(Scene& scene, std::size_t number) : scene_(scene) {
        while (lines_.size() < number) {
            lines_.push_back(scene.line());
            lines_.back().talker->onData = [this](Talker& talker, std::string_view data) {
                if (turn_ != scene_.reactor().stats().turns)
                    turnOver();
                ++served_;
                talker.transport().write(data);
            };
        }
    }

    struct Round {
        std::uint64_t turns = 0;
        int mostSends = 0; // of a turn
    };
    /// Each is told something, and answers; sending takes that long once, and that long each time.
    Round round(std::chrono::nanoseconds once, std::chrono::nanoseconds each) {
        for (const auto& line : lines_)
            line.peer->send("x");
        round_ = {};
        turn_ = scene_.reactor().stats().turns;
        served_ = 0;
        sends = 0;
        nextSendTakes = once;
        everySendTakes = each;
        const auto before = turn_;
        if (!scene_.spinUntil([&] { return served_ == lines_.size(); }))
            qFatal("not all were served");
        turnOver();
        everySendTakes = 0ns;
        round_.turns = turn_ - before;
        return round_;
    }

private:
    void turnOver() { // what it sends it sends when its callbacks are over
        round_.mostSends = std::max(round_.mostSends, std::exchange(sends, 0));
        turn_ = scene_.reactor().stats().turns;
    }

    Scene& scene_;
    std::vector<Scene::Line> lines_;
    std::size_t served_ = 0;
    std::uint64_t turn_ = 0;
    Round round_;
};

} // namespace

class SlowSendingTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    // Most of the work of a request and its answer is the sending, which comes when the callbacks are over.
    void r255_whatIsSentAtTheEndIsPartOfTheTurn() {
        Scene scene(host());
        reactor().setTurnBudget(1ms);
        Lines lines(scene, 250);
        for (int i = 0; i < 20; ++i) // what sending takes is learned by and by
            lines.round(0s, 20us);
        const int most = lines.round(0s, 20us).mostSends;
        QVERIFY2(most <= 51, qPrintable(QString("%1 sends of 20 us in a turn of 1 ms").arg(most)));
    }

    // The machine was suspended, or had other things to do.
    void r255_isForgottenWhenItIsOver() {
        Scene scene(host());
        reactor().setTurnBudget(20ms);
        Lines lines(scene, 32);
        const auto fewest = [&](int rounds) {
            auto turns = lines.round(0s, 0s).turns;
            for (int i = 1; i < rounds; ++i)
                turns = std::min(turns, lines.round(0s, 0s).turns);
            return turns;
        };

        const auto before = fewest(5);
        const auto began = reactor().now();
        lines.round(1s, 0s);
        QVERIFY(reactor().now() - began >= 1s);
        const auto after = fewest(20);
        QVERIFY2(after <= before, qPrintable(QString("%1 turns, and %2 before").arg(after).arg(before)));
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<SlowSendingTest>(argc, argv); }
#include "slow_sending_test.moc"
