// Contract 2.E, R-074 to R-089: calls from threads, and calls in threads. (The pool by itself is in
// tests/reactors/thread_pool_test.cpp.)

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>

#include "bine/defer/coroutine.h"
#include "bine/reactors/errors.h"
#include "bine/reactors/threads.h"
#include "kit/nest.h"
#include "kit/reactor_test.h"
#include "kit/wire.h"

using namespace std::chrono_literals;
using bine::blockingCallFromThread;
using bine::deferToThread;
using bine::Deferred;
using bine::Failure;
using bine::Resolver;
using bine::Result;
using bine::kit::Steps;
using bine::kit::Wire;

namespace {

/// Notes on which thread it died.
class Probe {
public:
    explicit Probe(std::thread::id& died) : died_(&died) {}
    Probe(Probe&& other) noexcept : died_(std::exchange(other.died_, nullptr)) {}
    ~Probe() {
        if (died_)
            *died_ = std::this_thread::get_id();
    }

private:
    std::thread::id* died_;
};

class NoLuck : public std::runtime_error {
public:
    explicit NoLuck(int code) : std::runtime_error("no luck"), code(code) {}
    int code;
};

Deferred<int> addOne(Deferred<int> number) { co_return co_await std::move(number) + 1; }

Deferred<int> useUntilTheEnd(Resolver<int>& never, bool& inUse) {
    struct User {
        explicit User(bool& inUse) : inUse(inUse) { inUse = true; }
        ~User() { inUse = false; }
        bool& inUse;
    };
    const User user(inUse);
    Deferred<int> waiting = never.deferred();
    co_return co_await std::move(waiting);
}

} // namespace

class ThreadsTest : public bine::kit::ReactorTest {
    Q_OBJECT

    /// What a blocking call on another thread comes to, when the reactor is served by `serve`.
    template <class F, class Serve>
    std::string outcomeOf(F f, Serve serve) {
        std::string outcome;
        {
            const std::jthread other([&, mailbox = reactor().mailbox()] {
                try {
                    outcome = "answer " + std::to_string(blockingCallFromThread(mailbox, f));
                } catch (const bine::ReactorNotRunning&) {
                    outcome = "not running";
                } catch (const NoLuck& error) {
                    outcome = "no luck " + std::to_string(error.code);
                } catch (const std::exception& error) {
                    outcome = error.what();
                }
            });
            serve();
        }
        return outcome;
    }
    /// The same in a running reactor, which stops when it has been answered.
    template <class F>
    std::string outcomeOf(F f) {
        std::string outcome;
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                try {
                    outcome = "answer " + std::to_string(blockingCallFromThread(reactor(), f));
                } catch (const NoLuck& error) {
                    outcome = "no luck " + std::to_string(error.code);
                } catch (const std::exception& error) {
                    outcome = error.what();
                }
                reactor().callFromThread([&] { reactor().stop(); });
            });
        });
        run();
        other = {};
        return outcome;
    }
    void waitUntilSomethingIsPosted() {
        while (reactor().mailbox()->empty())
            std::this_thread::yield();
    }

private slots:
    // --- callFromThread

    void r074_itRunsOnTheReactorsThread() {
        bool here = false;
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                reactor().callFromThread([&] {
                    here = reactor().isInReactorThread();
                    reactor().stop();
                });
            });
        });
        run();
        QVERIFY(here);
    }

    void r074_theOrderIsThatOfAllCallersTogether() {
        constexpr int kCalls = 300;
        std::atomic<int> turn{0};
        std::vector<int> order;
        const auto caller = [&](int me) {
            for (int i = me; i < kCalls; i += 3) {
                while (turn != i)
                    std::this_thread::yield();
                reactor().callFromThread([&, i] {
                    order.push_back(i);
                    if (i + 1 == kCalls)
                        reactor().stop();
                });
                ++turn;
            }
        };
        const std::jthread first(caller, 0), second(caller, 1), third(caller, 2);
        run();
        QCOMPARE(order.size(), std::size_t(kCalls));
        QVERIFY(std::is_sorted(order.begin(), order.end()));
    }

    void r074_oneThatThrowsIsLoggedAndHurtsNoOther() {
        bool called = false;
        reactor().callFromThread([] { throw NoLuck(1); });
        reactor().callFromThread([&] {
            called = true;
            reactor().stop();
        });
        run();
        QVERIFY(called);
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY(errors.front().find("no luck") != std::string::npos);
    }

    void r074_afterTheReactorsDeathTheFunctionDies() {
        const auto held = std::make_shared<int>();
        const auto mailbox = reactor().mailbox();
        reactor().callFromThread([held] {});
        host().destroyReactor();
        QCOMPARE(held.use_count(), 1l);
        QVERIFY(!mailbox->post([held] {}));
        QCOMPARE(held.use_count(), 1l);
    }

    void r075_beforeRunItWaitsForIt() {
        Steps steps;
        reactor().callFromThread(steps.adder("queued"));
        reactor().callWhenRunning([&] {
            steps.add("running");
            reactor().callFromThread([&] { reactor().stop(); });
        });
        QCOMPARE(steps.text(), "");
        run();
        QCOMPARE(steps.text(), "running queued");
    }

    void r075_onTheReactorsThreadItRunsInTheNextPass() {
        // Nothing else is there to wake the loop.
        Steps steps;
        reactor().callWhenRunning([&] {
            reactor().callFromThread([&] {
                steps.add("first");
                reactor().callFromThread([&] {
                    steps.add("third");
                    reactor().stop();
                });
                steps.add("second");
            });
            steps.add("running");
        });
        run();
        QCOMPARE(steps.text(), "running first second third");
    }

    void r076_oneThatQueuesItselfAgainLeavesRoomForTheRest() {
        bool timer = false, data = false;
        std::function<void()> again = [&] {
            if (timer && data)
                reactor().stop();
            else
                reactor().callFromThread(again);
        };
        Wire wire(reactor(), [&](std::string) { data = true; });
        wire.send("x");
        reactor().callLater(1ms, [&] { timer = true; });
        reactor().callFromThread(again);
        run();
        QVERIFY(timer && data);
    }

    void r077_aHundredThousandCallsAllRun() {
        int ran = 0;
        bool inOrder = true;
        for (int i = 0; i < 100'000; ++i)
            reactor().callFromThread([&, i] { inOrder = ran++ == i && inOrder; });
        reactor().callFromThread([&] { reactor().stop(); });
        run();
        QCOMPARE(ran, 100'000);
        QVERIFY(inOrder);
    }

    // --- The pool

    void r078_callInThreadRunsElsewhere() {
        std::atomic<int> here{-1};
        std::thread::id worker;
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                here = reactor().isInReactorThread();
                worker = std::this_thread::get_id();
                reactor().callFromThread([&] { reactor().stop(); });
            });
        });
        run();
        QCOMPARE(here.load(), 0);
        QVERIFY(worker != std::this_thread::get_id());
        QVERIFY(reactor().isInReactorThread());
    }

    void r078_whatItThrowsIsLogged() {
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            reactor().callInThread([] { throw NoLuck(1); });
            reactor().callInThread([&] { reactor().callFromThread([&] { reactor().stop(); }); });
        });
        run();
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY(errors.front().find("no luck") != std::string::npos);
    }

    void r079_itStartsWhenTheReactorDoes() {
        const auto before = bine::kit::Belongings::now();
        std::atomic<bool> ran{false};
        reactor().callInThread([&] {
            ran = true;
            reactor().callFromThread([&] { reactor().stop(); });
        });
        QCOMPARE(reactor().threadPool().queued(), std::size_t(1));
        QCOMPARE(bine::kit::Belongings::now().threads(), before.threads());
        QVERIFY(!ran);
        run();
        QVERIFY(ran);
        QCOMPARE(reactor().threadPool().threads(), std::size_t(0));
    }

    void r079_madeLateItWorksToo() {
        bool done = false;
        reactor().callLater(1ms, [&] {
            deferToThread(reactor(), [] {}).addCallback([&] {
                done = true;
                reactor().stop();
            });
        });
        run();
        QVERIFY(done);
    }

    void r079_theStartupMayWaitForAThread() {
        Steps steps;
        reactor().addSystemEventTrigger("before", "startup", [&] {
            return deferToThread(reactor(), [] {}).addCallback(steps.adder("job"));
        });
        reactor().callWhenRunning(steps.adder("running"));
        runToTheEnd();
        QCOMPARE(steps.text(), "job running");
    }

    void r079_theShutdownMayWaitForAThread() {
        Steps steps;
        reactor().addSystemEventTrigger("before", "shutdown", [&] {
            return deferToThread(reactor(), [] {}).addCallback(steps.adder("job"));
        });
        reactor().addSystemEventTrigger("during", "shutdown", steps.adder("during"));
        runToTheEnd();
        QCOMPARE(steps.text(), "job during");
    }

    void r079_duringShutdownItTakesNoMoreWork() {
        Steps steps;
        const auto held = std::make_shared<int>();
        reactor().addSystemEventTrigger("during", "shutdown", [&] {
            deferToThread(reactor(), [held] {}).addErrback([&](const Failure& failure) {
                failure.trap<bine::AbandonedError>();
                steps.add("refused");
            });
            steps.add(held.use_count() == 1 ? "gone" : "kept");
        });
        runToTheEnd();
        QCOMPARE(steps.text(), "refused gone");
    }

    void r079_afterwardsItQueuesForTheNextRun() {
        runToTheEnd();
        bool done = false;
        deferToThread(reactor(), [] {}).addCallback([&] {
            done = true;
            reactor().stop();
        });
        QCOMPARE(reactor().threadPool().queued(), std::size_t(1));
        run();
        QVERIFY(done);
    }

    void r079_aShutdownWithoutARunDropsWhatIsQueued() {
        const auto held = std::make_shared<int>();
        bool abandoned = false;
        deferToThread(reactor(), [held] {}).addErrback([&](const Failure& failure) {
            abandoned = failure.check<bine::AbandonedError>();
        });
        reactor().fireSystemEvent("shutdown");
        QVERIFY(abandoned);
        QCOMPARE(held.use_count(), 1l);
    }

    void r079_aReactorThatNeverRanDropsWhatIsQueued() {
        const auto held = std::make_shared<int>();
        bool abandoned = false;
        deferToThread(reactor(), [held] {}).addErrback([&](const Failure& failure) {
            abandoned = failure.check<bine::AbandonedError>();
        });
        host().destroyReactor();
        QVERIFY(abandoned);
        QCOMPARE(held.use_count(), 1l);
    }

    void r080_whatIsBeyondTheLimitWaits() {
        std::atomic<int> atOnce{0}, most{0};
        std::atomic<int> left{20};
        reactor().suggestThreadPoolSize(3);
        reactor().callWhenRunning([&] {
            for (int i = 0; i < 20; ++i)
                reactor().callInThread([&] {
                    const int now = ++atOnce;
                    for (int before = most; now > before && !most.compare_exchange_weak(before, now);) {
                    }
                    std::this_thread::yield();
                    --atOnce;
                    if (--left == 0)
                        reactor().callFromThread([&] { reactor().stop(); });
                });
        });
        run();
        QVERIFY2(most <= 3, qPrintable(QString::number(most)));
    }

    void r080_itGrowsWhenWorkWaits() {
        constexpr int kJobs = 5; // each waits for all others
        std::latch all(kJobs);
        int done = 0;
        reactor().suggestThreadPoolSize(kJobs);
        reactor().callWhenRunning([&] {
            for (int i = 0; i < kJobs; ++i)
                deferToThread(reactor(), [&] { all.arrive_and_wait(); }).addCallback([&] {
                    if (++done == kJobs)
                        reactor().stop();
                });
        });
        run();
        QCOMPARE(done, kJobs);
    }

    void r080_aHigherLimitHelpsWhatWaitsAlready() {
        std::latch both(2);
        int done = 0;
        reactor().suggestThreadPoolSize(1);
        reactor().callWhenRunning([&] {
            for (int i = 0; i < 2; ++i)
                deferToThread(reactor(), [&] { both.arrive_and_wait(); }).addCallback([&] {
                    if (++done == 2)
                        reactor().stop();
                });
            reactor().suggestThreadPoolSize(2);
        });
        run();
        QCOMPARE(done, 2);
    }

    void r080_theLeastNumberIsThereAtTheStart() {
        std::size_t before = 9, after = 0;
        reactor().threadPool().adjustPoolsize(2, 4);
        before = reactor().threadPool().threads();
        reactor().callWhenRunning([&] {
            after = reactor().threadPool().threads();
            reactor().stop();
        });
        run();
        QCOMPARE(before, std::size_t(0));
        QCOMPARE(after, std::size_t(2));
    }

    void r080_aPoolOfNoneIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, reactor().suggestThreadPoolSize(0));
    }

    // --- deferToThread

    void r081_valuesAndExceptionsComeHome() {
        Steps steps;
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), [] { return std::make_unique<int>(42); })
                .addCallback([&](std::unique_ptr<int> value) {
                    steps.add(reactor().isInReactorThread() ? std::to_string(*value) : "elsewhere");
                    return deferToThread(reactor(), []() -> int { throw NoLuck(7); });
                })
                .addErrback([&](const Failure& failure) {
                    steps.add(std::to_string(failure.check<NoLuck>()->code));
                    return 0;
                })
                .addCallback([&](int) { reactor().stop(); });
        });
        run();
        QCOMPARE(steps.text(), "42 7");
    }

    void r081_aPoolOfOnesOwn() {
        bine::ThreadPool pool(0, 1, "mine");
        int answer = 0;
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), pool, [] { return 42; }).addCallback([&](int value) {
                answer = value;
                reactor().stop();
            });
        });
        run();
        QCOMPARE(answer, 42);
        QVERIFY(pool.stop(bine::ReactorBase::infinite).empty());
    }

    void r081_itIsRefusedOnAnotherThread() {
        bine::ThreadPool pool;
        std::jthread([&] {
            QVERIFY_THROWS_EXCEPTION(std::logic_error, deferToThread(reactor(), pool, [] {}));
        }).join();
    }

    // What one job left behind is nothing to the next.
    void r081_aJobThatFailsAfterOneThatSucceeded() {
        Steps steps;
        reactor().callWhenRunning([&] {
            auto good = deferToThread(reactor(), [] { return 1; });
            auto bad = deferToThread(reactor(), []() -> int { throw NoLuck(2); });
            std::move(good).addCallback([&, bad = std::move(bad)](int value) mutable {
                steps.add(std::to_string(value));
                std::move(bad).addErrback([&](const Failure& failure) {
                    steps.add(failure.getErrorMessage());
                    return 0;
                }).addCallback([&](int) { reactor().stop(); });
            });
        });
        run();
        QCOMPARE(steps.text(), "1 no luck");
    }

    void r082_theCallbackGetsTheResultOnTheWorker() {
        Steps steps;
        std::thread::id worker, reported;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            reactor().threadPool().callInThreadWithCallback(
                [&](Result<int> result) {
                    reported = std::this_thread::get_id();
                    steps.add(std::to_string(*result));
                    throw NoLuck(1);
                },
                [&] {
                    worker = std::this_thread::get_id();
                    return 42;
                });
            // The worker lives.
            reactor().threadPool().callInThreadWithCallback(
                [&](Result<void> result) {
                    steps.add(result.isFailure() ? result.failure().getErrorMessage() : "fine");
                    reactor().callFromThread([&] { reactor().stop(); });
                },
                [] { throw NoLuck(2); });
        });
        run();
        QCOMPARE(steps.text(), "42 no luck");
        QVERIFY(worker == reported && worker != std::this_thread::get_id());
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r083_workersKeepNothingOfAJob() {
        const auto held = std::make_shared<int>();
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), [held] { return held; }).addCallback([&](std::shared_ptr<int>) {
                // The worker lives, and has nothing to do.
                host().spinUntil([&] { return reactor().threadPool().stats().idle == 1; });
                reactor().stop();
            });
        });
        run();
        QCOMPARE(held.use_count(), 1l);
    }

    // --- blockingCallFromThread

    void r084_theValueComesBack() {
        std::atomic<int> here{-1};
        QCOMPARE(outcomeOf([&] {
                     here = reactor().isInReactorThread();
                     return 42;
                 }),
                 std::string("answer 42"));
        QCOMPARE(here.load(), 1);
    }

    void r084_valuesThatCanOnlyBeMovedAndNone() {
        int answer = 0;
        bool called = false;
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                answer = *blockingCallFromThread(reactor(), [value = std::make_unique<int>(42)]() mutable {
                    return std::move(value);
                });
                blockingCallFromThread(reactor(), [&] { called = true; });
                reactor().callFromThread([&] { reactor().stop(); });
            });
        });
        run();
        QCOMPARE(answer, 42);
        QVERIFY(called);
    }

    void r084_aDeferredIsWaitedFor() {
        QCOMPARE(outcomeOf([&] {
                     Resolver<int> answer;
                     Deferred<int> result = answer.deferred();
                     reactor().callLater(1ms, [answer = std::move(answer)]() mutable { answer.callback(41); });
                     return addOne(std::move(result));
                 }),
                 std::string("answer 42"));
    }

    void r084_exceptionsAreThrownAgain() {
        QCOMPARE(outcomeOf([]() -> int { throw NoLuck(3); }), std::string("no luck 3"));
    }

    void r084_failuresAreThrown() {
        QCOMPARE(outcomeOf([&] {
                     Resolver<int> answer;
                     Deferred<int> result = answer.deferred();
                     reactor().callLater(1ms, [answer = std::move(answer)]() mutable { answer.errback(NoLuck(4)); });
                     return result;
                 }),
                 std::string("no luck 4"));
    }

    void r084_aDeferredThatNobodyFiresAnyMoreIsAnError() {
        QCOMPARE(outcomeOf([] { return Resolver<int>().deferred(); }).substr(0, 6), std::string("nobody"));
    }

    void r084_itIsRefusedOnTheReactorsThread() {
        bool refused = false, called = false;
        reactor().callWhenRunning([&] {
            try {
                blockingCallFromThread(reactor(), [&] { called = true; });
            } catch (const std::logic_error&) {
                refused = true;
            }
            reactor().stop();
        });
        run();
        QVERIFY(refused && !called);
    }

    void r084_itKeepsItsPlaceAmongTheCalls() {
        Steps steps;
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                reactor().callFromThread(steps.adder("one"));
                blockingCallFromThread(reactor(), steps.adder("two"));
                reactor().callFromThread([&] {
                    steps.add("three");
                    reactor().stop();
                });
            });
        });
        run();
        QCOMPARE(steps.text(), "one two three");
    }

    void r084_whatTheFunctionHoldsDiesOnTheReactorsThreadFirst() {
        std::thread::id died;
        bool inTime = false;
        std::jthread other;
        reactor().callWhenRunning([&] {
            other = std::jthread([&] {
                blockingCallFromThread(reactor(), [probe = Probe(died)] { return 1; });
                inTime = died != std::thread::id();
                reactor().callFromThread([&] { reactor().stop(); });
            });
        });
        run();
        QVERIFY(inTime);
        QVERIFY(died == std::this_thread::get_id());
    }

    void r084_beforeRunItWaitsForIt() {
        QCOMPARE(outcomeOf(
                     [&] {
                         reactor().stop();
                         return 42;
                     },
                     [&] {
                         waitUntilSomethingIsPosted();
                         run();
                     }),
                 std::string("answer 42"));
    }

    void r084_aReactorThatDiesEndsTheWait() {
        bool called = false;
        QCOMPARE(outcomeOf([&] { return called = true; },
                           [&] {
                               waitUntilSomethingIsPosted();
                               host().destroyReactor();
                           }),
                 std::string("not running"));
        QVERIFY(!called);
    }

    void r084_aReactorThatIsDeadRefuses() {
        const auto mailbox = reactor().mailbox();
        host().destroyReactor();
        std::jthread([&] {
            QVERIFY_THROWS_EXCEPTION(bine::ReactorNotRunning, blockingCallFromThread(mailbox, [] {}));
        }).join();
    }

    void r084_aReactorThatStopsEndsTheWaitOfThoseThatHaveNotBegun() {
        bool called = false;
        QCOMPARE(outcomeOf([&] { return called = true; },
                           [&] {
                               reactor().callWhenRunning([&] {
                                   waitUntilSomethingIsPosted();
                                   reactor().stop();
                               });
                               run();
                           }),
                 std::string("not running"));
        QVERIFY(!called);
    }

    void r084_aReactorThatStopsEndsWhatHasBegun() {
        Resolver<int> never;
        bool inUse = false, wasInUse = false;
        QCOMPARE(outcomeOf(
                     [&] {
                         reactor().callLater(0s, [&] {
                             wasInUse = inUse;
                             reactor().stop();
                         });
                         return useUntilTheEnd(never, inUse);
                     },
                     [&] { run(); }),
                 std::string("not running"));
        QVERIFY(wasInUse);
        QVERIFY(!inUse);
    }

    void r084_crashEndsTheWaitToo() {
        Resolver<int> never;
        QCOMPARE(outcomeOf(
                     [&] {
                         reactor().callLater(0s, [&] { reactor().crash(); });
                         return never.deferred();
                     },
                     [&] { run(); }),
                 std::string("not running"));
    }

    void r084_theBeforeShutdownPhaseStillAnswers() {
        Resolver<> released;
        QCOMPARE(outcomeOf(
                     [&] {
                         released.callback();
                         return 42;
                     },
                     [&] {
                         reactor().addSystemEventTrigger("before", "shutdown", [&] { return released.deferred(); });
                         reactor().callWhenRunning([&] { reactor().stop(); });
                         reactor().setShutdownDeadline(bine::ReactorBase::infinite);
                         run();
                     }),
                 std::string("answer 42"));
    }

    void r084_whatHasStoppedRefusesUntilItRunsAgain() {
        runToTheEnd();
        QCOMPARE(outcomeOf([] { return 42; }, [] {}), std::string("not running"));
        QCOMPARE(outcomeOf([] { return 42; }), std::string("answer 42"));
    }

    // Several wait at once; all are answered or refused.
    void r084_manyThreadsWait() {
        constexpr int kThreads = 5;
        std::atomic<int> answered{0}, refused{0};
        bool stopped = false;
        {
            std::vector<std::jthread> threads;
            for (int t = 0; t < kThreads; ++t)
                threads.emplace_back([&, mailbox = reactor().mailbox()] {
                    try {
                        for (int i = 0;; ++i)
                            answered += blockingCallFromThread(mailbox, [&, i] {
                                if (i == 20 && !std::exchange(stopped, true))
                                    reactor().stop();
                                return 1;
                            });
                    } catch (const bine::ReactorNotRunning&) {
                        ++refused;
                    }
                });
            run();
        }
        QVERIFY(answered > 20);
        QCOMPARE(refused.load(), kThreads);
    }

    void r084_aWaitingWorkerDoesNotHoldTheShutdownUp() {
        // Whoever waited for ever here would wait for a worker that waits for him.
        Resolver<int> never;
        std::atomic<int> ended{0};
        reactor().setShutdownDeadline(bine::ReactorBase::infinite);
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                try {
                    blockingCallFromThread(reactor(), [&] {
                        reactor().callLater(0s, [&] { reactor().stop(); });
                        return never.deferred();
                    });
                } catch (const bine::ReactorNotRunning&) {
                    ++ended;
                }
                try {
                    blockingCallFromThread(reactor(), [] {});
                } catch (const bine::ReactorNotRunning&) {
                    ++ended;
                }
            });
        });
        run();
        QCOMPARE(ended.load(), 2);
    }

    // The function uses the caller's locals: he may not go while it is on the stack.
    void r084_aFunctionOnTheStackIsWaitedForAlsoWhenTheReactorStops() {
        const std::shared_ptr<bine::kit::NestedLoop> dialog = host().nestedLoop();
        bool closed = false;
        // A value is there when the function has returned.
        QCOMPARE(outcomeOf(
                     [&] {
                         int local = 0;
                         reactor().callLater(0s, [&] { reactor().stop(); });
                         reactor().addSystemEventTrigger("after", "shutdown", [&] {
                             ++local;
                             dialog->quit();
                         });
                         dialog->exec();
                         closed = true;
                         return local;
                     },
                     [&] { run(); }),
                 std::string("answer 1"));
        QVERIFY(closed);
    }

    // --- The rest

    void r085_theListRunsInOrderOnOneThread() {
        Steps steps;
        std::vector<std::thread::id> threads;
        auto held = std::make_shared<int>();  // not const: a const capture is copied where it should be moved, and two hold it for a while
        const auto note = [&](const char* step) {
            return [&, step] {
                steps.add(step);
                threads.push_back(std::this_thread::get_id());
            };
        };
        reactor().callWhenRunning([&] {
            bine::callMultipleInThread(
                reactor(), [held, first = note("one")] { first(); },
                [&, second = note("two")] {
                    second();
                    steps.add(held.use_count() == 1 ? "alone" : "kept");
                },
                note("three"), [&] { reactor().callFromThread([&] { reactor().stop(); }); });
        });
        run();
        QCOMPARE(steps.text(), "one two alone three");
        QVERIFY(threads[0] == threads[1] && threads[1] == threads[2]);
        QVERIFY(threads[0] != std::this_thread::get_id());
    }

    void r085_oneThatThrowsEndsTheList() {
        bool called = false;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            std::vector<bine::Function<void()>> list;
            list.emplace_back([] { throw NoLuck(1); });
            list.emplace_back([&] { called = true; });
            bine::callMultipleInThread(reactor(), std::move(list));
            deferToThread(reactor(), [] {}).addCallback([&] { reactor().stop(); });
        });
        run();
        QVERIFY(!called);
        QCOMPARE(loggedErrors().size(), std::size_t(1));
    }

    void r086_aJobMayWaitForALaterOne() {
        std::latch opened(1);
        int done = 0;
        const auto finished = [&] {
            if (++done == 2)
                reactor().stop();
        };
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(2);
            // A worker that is idle already must not be thought to serve both.
            deferToThread(reactor(), [] {}).addCallback([&] {
                deferToThread(reactor(), [&] { opened.wait(); }).addCallback(finished);
                deferToThread(reactor(), [&] { opened.count_down(); }).addCallback(finished);
            });
        });
        run();
        QCOMPARE(done, 2);
    }

    void r087_r089_aQueuedJobThatIsCancelledGoesHere() {
        std::latch started(1), opened(1);
        std::atomic<bool> ran{false};
        std::thread::id died;
        bool gone = false, cancelled = false;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            auto running = deferToThread(reactor(), [&] {
                started.count_down();
                opened.wait();
            });
            started.wait();
            auto queued = deferToThread(reactor(), [probe = Probe(died), &ran] { ran = true; });
            queued.addErrback([&](const Failure& failure) { cancelled = failure.check<bine::CancelledError>(); });
            queued.cancel();
            gone = died == std::this_thread::get_id() && reactor().threadPool().queued() == 0;
            opened.count_down();
            std::move(running).addCallback([&] { reactor().stop(); });
        });
        run();
        QVERIFY(cancelled && gone && !ran);
    }

    void r087_aRunningJobThatIsCancelledLosesItsAudience() {
        std::latch started(1);
        Steps steps;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            auto job = deferToThread(reactor(), [&](std::stop_token stop) {
                started.count_down();
                while (!stop.stop_requested())
                    std::this_thread::yield();
                throw NoLuck(1);
            });
            job.addCallbacks(steps.adder("result"), [&](const Failure& failure) {
                steps.add(failure.check<bine::CancelledError>() ? "cancelled" : "failed");
            });
            started.wait();
            job.cancel();
            deferToThread(reactor(), [] {}).addCallback([&] {
                // What the first one posted has come by.
                reactor().stop();
            });
        });
        run();
        QCOMPARE(steps.text(), "cancelled");
    }

    void r087_anOwnersDeathTakesAQueuedJobBack() {
        std::latch opened(1);
        std::atomic<bool> ran{false};
        std::thread::id died;
        bine::Scope scope;
        reactor().callWhenRunning([&] {
            reactor().suggestThreadPoolSize(1);
            auto running = deferToThread(reactor(), [&] { opened.wait(); });
            deferToThread(reactor(), [probe = Probe(died), &ran] { ran = true; }).ownedBy(scope);
            scope.cancel();
            opened.count_down();
            std::move(running).addCallback([&] { reactor().stop(); });
        });
        run();
        QVERIFY(!ran);
        QVERIFY(died == std::this_thread::get_id());
    }

    void r088_aWorkerThatIsStuckIsWaitedForUpToTheDeadline() {
        std::atomic<bool> stop{false}, done{false};
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                reactor().callFromThread([&] { reactor().stop(); });
                while (!stop)
                    std::this_thread::yield();
                done = true;
            });
        });
        reactor().addSystemEventTrigger("during", "shutdown", [] {});
        reactor().setShutdownDeadline(bine::ReactorBase::infinite);
        // It ends while the shutdown waits for it.
        reactor().addSystemEventTrigger("before", "shutdown", [&] { stop = true; });
        run();
        QVERIFY(done);
        QVERIFY(loggedErrors().empty());
    }

    void r088_oneThatStaysStuckIsNamedAndLeft() {
        std::latch opened(1);
        std::atomic<bool> done{false};
        reactor().setShutdownDeadline(20ms);
        reactor().callWhenRunning([&] {
            reactor().callInThread([&] {
                reactor().callFromThread([&] { reactor().stop(); });
                opened.wait();
                done = true;
            });
        });
        run();
        QVERIFY(!done);
        const auto errors = loggedErrors();
        QCOMPARE(errors.size(), std::size_t(1));
        QVERIFY2(errors.front().find("bine-0") != std::string::npos, errors.front().c_str());
        QVERIFY2(errors.front().find("threads.cpp") != std::string::npos, errors.front().c_str());
        // It is no part of the pool any more.
        QCOMPARE(reactor().threadPool().threads(), std::size_t(0));
        opened.count_down();
        while (!done)
            std::this_thread::yield();
    }

    void r089_capturesDieOnTheWorkerBeforeTheResultIsSeen() {
        std::thread::id died, worker;
        bool dead = false;
        reactor().callWhenRunning([&] {
            deferToThread(reactor(), [probe = Probe(died), &worker] { worker = std::this_thread::get_id(); })
                .addCallback([&] {
                    dead = died == worker;
                    reactor().stop();
                });
        });
        run();
        QVERIFY(dead);
        QVERIFY(worker != std::this_thread::get_id());
    }
};

int main(int argc, char** argv) { return bine::kit::runTests<ThreadsTest>(argc, argv); }
#include "threads.moc"
