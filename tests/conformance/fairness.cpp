// 500 descriptors that are always ready beside timers, zero-delay calls and calls from threads that never end. Counted in callbacks and turns.
// That connections fare alike is shown in tests/dialogs/fairness_test.cpp.

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "bine/reactors/descriptor.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::kit::cpuTimeOfThread;

namespace {

constexpr bine::Duration kBudget = 1ms;
constexpr bine::Duration kWork = 50us;

/// How many callbacks came in a turn, and how many of them when its budget had been spent, by the reactor's own clock: whatever stopped this thread meanwhile, the
/// reactor has seen it too.
class Books {
public:
    explicit Books(bine::ReactorBase& reactor) : reactor_(reactor) {}

    /// A callback that takes kWork.
    void work() {
        const std::uint64_t turn = reactor_.stats().turns;
        if (turn != turn_) {
            turn_ = turn;
            turnBegan_ = reactor_.now();
            inTurn_ = 0;
            afterSpent_ = 0;
            spent_ = false;
        }
        if (spent_)
            ++afterSpent_;
        mostInATurn = (std::max)(mostInATurn, ++inTurn_);
        mostAfterSpent = (std::max)(mostAfterSpent, afterSpent_);
        for (const auto began = cpuTimeOfThread(); cpuTimeOfThread() - began < kWork;) {}
        spent_ = reactor_.now() - turnBegan_ >= kBudget;
    }

    std::size_t mostInATurn = 0;
    std::size_t mostAfterSpent = 0;

private:
    bine::ReactorBase& reactor_;
    std::uint64_t turn_ = 0;
    std::size_t inTurn_ = 0;
    std::size_t afterSpent_ = 0;
    bine::TimePoint turnBegan_;
    bool spent_ = false;
};

/// Nobody ever reads what makes it ready.
class AlwaysReady : public bine::ReadDescriptor {
public:
    AlwaysReady(bine::Reactor& reactor, Books& books, std::size_t& all)
        : reactor_(reactor), books_(books), all_(all), fd_(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)) {
        reactor_.addReader(*this);
    }
    ~AlwaysReady() override {
        reactor_.removeReader(*this);
        ::close(fd_);
    }
    int fileno() const override { return fd_; }
    bine::IoResult doRead() override {
        ++all_;
        ++served;
        longestGap = (std::max)(longestGap, all_ - last);
        last = all_;
        books_.work();
        return {};
    }
    void connectionLost(const bine::Failure&) override {}

    std::size_t served = 0;
    std::size_t last = 0;
    std::size_t longestGap = 0; ///< in callbacks of descriptors

private:
    bine::Reactor& reactor_;
    Books& books_;
    std::size_t& all_;
    int fd_;
};

} // namespace

class FairnessTest : public bine::kit::ReactorTest {
    Q_OBJECT

private slots:
    void r255_r265_everythingAtOnce_data() {
        QTest::addColumn<bool>("others");
        QTest::newRow("descriptors alone") << false;
        QTest::newRow("with timers, zero-delay calls and thread calls") << true;
    }
    void r255_r265_everythingAtOnce() {
        QFETCH(bool, others);
        constexpr std::size_t n = 500;
        reactor().setTurnBudget(kBudget);
        Books books(reactor());
        std::size_t served = 0;
        bool over = false;

        // Each of these asks for the next one of its kind; none may come later than in the second turn after that in which it was due.
        struct Chain {
            std::uint64_t asked = 0;
            std::uint64_t latest = 0;
            int times = 0;
            bool waits = false;
            std::function<void()> ask;
        };
        std::array<Chain, 3> chains;
        const auto heard = [&](Chain& chain) {
            return [&] {
                chain.latest = (std::max)(chain.latest, reactor().stats().turns - chain.asked);
                ++chain.times;
                books.work();
                chain.asked = reactor().stats().turns;
                chain.waits = !over;
                if (!over)
                    chain.ask();
            };
        };
        chains[0].ask = [&] { reactor().callLater(1ns, heard(chains[0])); };
        chains[1].ask = [&] { reactor().callFromThread(heard(chains[1])); };
        chains[2].ask = [&] { reactor().callLater(0s, heard(chains[2])); };

        // The host's own doings: how many turns pass between two of them.
        std::uint64_t turnsThen = 0, mostTurns = 0;
        int hosts = 0;
        bool hostWaits = host().hosted();
        std::function<void()> hostAgain = [&] {
            const std::uint64_t turns = reactor().stats().turns;
            if (hosts++ > 0)
                mostTurns = (std::max)(mostTurns, turns - turnsThen);
            turnsThen = turns;
            hostWaits = !over;
            if (!over)
                host().hostTimer(1ms, hostAgain);
        };

        {
            std::vector<std::unique_ptr<AlwaysReady>> all;
            for (std::size_t i = 0; i < n; ++i)
                all.push_back(std::make_unique<AlwaysReady>(reactor(), books, served));
            if (others) {
                for (Chain& chain : chains) {
                    chain.asked = reactor().stats().turns;
                    chain.waits = true;
                    chain.ask();
                }
            }
            if (host().hosted())
                host().hostTimer(1ms, hostAgain);
            QVERIFY(host().spinUntil([&] { return served >= 6 * n; }));
            over = true;
            std::size_t longestGap = 0;
            for (const auto& each : all)
                longestGap = std::max({longestGap, each->longestGap, served - each->last});
            QVERIFY2(longestGap <= 2 * n, qPrintable(QString("a gap of %1 callbacks").arg(longestGap)));
        }
        const auto nothingWaits = [&] {
            return !hostWaits && std::none_of(chains.begin(), chains.end(), [](const Chain& chain) { return chain.waits; });
        };
        QVERIFY(host().spinUntil(nothingWaits));

        // Each takes 50 us, of 1 ms; and each kind gets one when the budget is spent.
        QVERIFY2(books.mostInATurn <= 24, qPrintable(QString("%1 callbacks in a turn").arg(books.mostInATurn)));
        QVERIFY2(books.mostAfterSpent <= (others ? 3u : 0u), qPrintable(QString("%1 callbacks with nothing left").arg(books.mostAfterSpent)));
        QVERIFY(reactor().stats().cutTurns > 0);
        if (host().hosted()) {
            QVERIFY2(hosts >= 10, qPrintable(QString::number(hosts)));
            QVERIFY2(mostTurns <= 3, qPrintable(QString("%1 turns without the host").arg(mostTurns)));
        }
        for (const Chain& chain : chains) {
            QVERIFY2(chain.latest <= 2, qPrintable(QString("%1 turns later").arg(chain.latest)));
            QVERIFY(!others || chain.times >= 20);
        }
    }

    // What comes from other threads while everything is saturated.
    void r265_callsOfOtherThreadsGetThrough() {
        reactor().setTurnBudget(kBudget);
        Books books(reactor());
        std::size_t served = 0;
        int calls = 0;
        {
            std::vector<std::unique_ptr<AlwaysReady>> all;
            for (int i = 0; i < 100; ++i)
                all.push_back(std::make_unique<AlwaysReady>(reactor(), books, served));
            QVERIFY(host().spinUntil([&] { return served >= 100; }));
            std::vector<std::jthread> threads;
            for (int i = 0; i < 4; ++i)
                threads.emplace_back([&] {
                    for (int k = 0; k < 1000; ++k)
                        reactor().callFromThread([&] { ++calls; });
                });
            const std::size_t before = served;
            QVERIFY(host().spinUntil([&] { return calls == 4000; }));
            QVERIFY(host().spinUntil([&] { return served > before; }));
        }
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<FairnessTest>(argc, argv); }
#include "fairness.moc"
