// Contract 2.E, R-084: blockingCallFromThread, and what ends the wait.

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bine/defer/coroutine.h"
#include "bine/reactors/blocking_call.h"
#include "bine/reactors/errors.h"
#include "conformance/threads_testing.h"
#include "kit/reactor_test.h"

using namespace std::chrono_literals;
using bine::blockingCallFromThread;
using bine::Deferred;
using bine::Resolver;
using bine::kit::Steps;

namespace {

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

class BlockingCallTest : public bine::kit::ReactorTest {
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
        QCOMPARE(outcomeOf([] { return Resolver<int>().deferred(); }).substr(0, 23), std::string("there will be no answer"));
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
};

int main(int argc, char** argv) { return bine::kit::runTests<BlockingCallTest>(argc, argv); }
#include "blocking_call.moc"
