// Calls from other threads: order, the wake-up, and what happens when nobody is home any more.

#include <QtTest/QtTest>

#include <poll.h>

#include <memory>
#include <thread>

#include "bine/log/sanitizer.h"
#include "bine/reactors/mailbox.h"
#include "bine/reactors/native_reactors.h"

using bine::detail::Mailbox;
using namespace std::chrono_literals;

static bool readable(int fd) {
    pollfd set{fd, POLLIN, 0};
    return ::poll(&set, 1, 0) == 1;
}

class MailboxTest : public QObject {
    Q_OBJECT

private slots:
    void r074_eachThreadsCallsKeepTheirOrder() {
        bine::EpollReactor reactor;
        constexpr int kThreads = 4;
        constexpr int kCalls = 5000;
        std::vector<int> next(kThreads, 0);
        int outOfOrder = 0;
        int left = kThreads * kCalls;
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < kCalls; ++i)
                    reactor.callFromThread([&, t, i] {
                        outOfOrder += next[t]++ != i;
                        if (--left == 0) reactor.stop();
                    });
            });
        reactor.run();
        for (auto& thread : threads) thread.join();
        QCOMPARE(outOfOrder, 0);
        QCOMPARE(left, 0);
    }

    void r077_aHundredThousandCallsAllRun() {
        bine::EpollReactor reactor;
        int ran = 0;
        for (int i = 0; i < 100000; ++i) reactor.callFromThread([&] { ++ran; });
        reactor.callFromThread([&] { reactor.stop(); });
        reactor.run();
        QCOMPARE(ran, 100000);
    }

    void r074_aMillionCallsFromEightThreads() {
#if defined(BINE_SANITIZED)
        constexpr int kCalls = 12'500;
#else
        constexpr int kCalls = 125'000;
#endif
        constexpr int kThreads = 8;
        bine::EpollReactor reactor;
        int next[kThreads] = {};
        int outOfOrder = 0;
        int left = kThreads * kCalls;
        {
            std::vector<std::jthread> threads;
            for (int t = 0; t < kThreads; ++t)
                threads.emplace_back([&, t] {
                    for (int i = 0; i < kCalls; ++i)
                        reactor.callFromThread([&, t, i] {
                            outOfOrder += next[t]++ != i;
                            if (--left == 0) reactor.stop();
                        });
                });
            reactor.run();
        }
        QCOMPARE(outOfOrder, 0);
        QCOMPARE(left, 0);
    }

    void theDescriptorIsReadableUntilTheLastCallIsTaken() {
        Mailbox box;
        QVERIFY(!readable(box.fd()));
        box.post([] {});
        box.post([] {});
        QVERIFY(readable(box.fd()));
        QCOMPARE(box.collect(), std::size_t(2));
        box.take();
        box.acknowledge();
        QVERIFY(readable(box.fd()));
        box.take();
        box.acknowledge();
        QVERIFY(!readable(box.fd()));
        box.post([] {});
        QVERIFY(readable(box.fd()));
    }

    void aClosedBoxDestroysWhatIsPosted() {
        Mailbox box;
        auto held = std::make_shared<int>(1);
        box.post([held] {});
        QCOMPARE(held.use_count(), 2l);
        box.close();
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(!box.post([held] {}));
        QCOMPARE(held.use_count(), 1l);
    }

    void capturesMayComeBackWhileTheyDie() {
        Mailbox box;
        struct Poster {
            Mailbox& box;
            ~Poster() { box.post([] {}); }
        };
        box.post([poster = std::make_shared<Poster>(Poster{box})] {});
        box.close();
        QVERIFY(box.empty());
    }

    void theReactorMayDieWhileOthersPost() {
        for (int round = 0; round < 20; ++round) {
            auto reactor = std::make_unique<bine::EpollReactor>();
            auto box = reactor->mailbox();
            std::atomic<bool> go{true};
            std::thread poster([&] {
                while (go) box->post([] {});
            });
            for (int i = 0; i < 5; ++i) reactor->iterate(1ms);
            reactor.reset();
            go = false;
            poster.join();
        }
    }
};

QTEST_GUILESS_MAIN(MailboxTest)
#include "mailbox_test.moc"
