// Observers come, go, throw and log, on one thread and on many.

#include <QtTest>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bine/log/log.h"

using namespace bine;

class TestLogObservers : public QObject {
    Q_OBJECT

    using Messages = std::vector<std::string>;
    static LogObserver into(Messages& messages) {
        return [&messages](const LogEvent& event) { messages.push_back(event.message); };
    }

private slots:
    void init() {
        output_ = setDefaultLogObserver(into(printed_));
        printed_.clear();
    }
    void cleanup() { output_.remove(); }

    void observersHearInTheOrderTheyWereAdded() {
        Messages heard;
        LogSubscription one = addLogObserver([&](const LogEvent&) { heard.push_back("one"); });
        LogSubscription two = addLogObserver([&](const LogEvent&) { heard.push_back("two"); });
        log_.info("x");
        QCOMPARE(heard, Messages({"one", "two"}));
    }

    void aSubscriptionsEndIsTheObserversEnd() {
        Messages heard;
        {
            LogSubscription one = addLogObserver(into(heard));
            log_.info("a");
        }
        log_.info("b");
        QCOMPARE(heard, Messages({"a"}));
    }

    void aMovedSubscriptionStillHolds() {
        Messages heard, other;
        LogSubscription one = addLogObserver(into(heard));
        LogSubscription two = std::move(one);
        QVERIFY(!one);
        log_.info("a");
        two = addLogObserver(into(other)); // the first ends here
        log_.info("b");
        two.remove();
        two.remove();
        QVERIFY(!two);
        log_.info("c");
        QCOMPARE(heard, Messages({"a"}));
        QCOMPARE(other, Messages({"b"}));
    }

    void removalReleasesWhatTheObserverHeld() {
        auto held = std::make_shared<int>(1);
        LogSubscription one = addLogObserver([held](const LogEvent&) {});
        QCOMPARE(held.use_count(), 2L);
        one.remove();
        QCOMPARE(held.use_count(), 1L);
    }

    void anEmptyFunctionIsRefused() {
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, LogSubscription one = addLogObserver({}));
        QVERIFY_THROWS_EXCEPTION(std::invalid_argument, LogSubscription one = setDefaultLogObserver({}));
    }

    void anObserverThatThrowsIsReportedToTheOthers() {
        std::vector<LogEvent> heard;
        LogSubscription bad = addLogObserver([](const LogEvent&) { throw std::runtime_error("bad"); });
        LogSubscription good = addLogObserver([&](const LogEvent& event) { heard.push_back(event); });
        log_.info("a");
        QCOMPARE(heard.size(), 2U);
        QCOMPARE(heard[0].logNamespace, std::string("bine.log"));
        QVERIFY(heard[0].failure);
        QCOMPARE(heard[0].level, LogLevel::error);
        QCOMPARE(heard[1].message, std::string("a"));
        QCOMPARE(printed_.size(), 2U);
    }

    void anObserverThatAlwaysThrowsIsReportedOnce() {
        LogSubscription bad = addLogObserver([](const LogEvent&) { throw 1; });
        for (int i = 0; i < 5; ++i)
            log_.info("a");
        QCOMPARE(printed_.size(), 6U);
    }

    void anObserverThatThrowsAnewIsReportedAnew() {
        LogSubscription bad = addLogObserver([](const LogEvent& event) {
            if (event.message == "bad")
                throw 1;
        });
        log_.info("bad");
        log_.info("good");
        log_.info("bad");
        QCOMPARE(printed_.size(), 5U);
    }

    void observersThatAllThrowEndInTheOutput() {
        std::vector<LogSubscription> bad;
        for (int i = 0; i < 4; ++i)
            bad.push_back(addLogObserver([](const LogEvent&) { throw 1; }));
        log_.info("a");
        QCOMPARE(printed_.size(), 5U);
        QCOMPARE(printed_.back(), std::string("a"));
    }

    void anObserverMayRemoveItself() {
        auto held = std::make_shared<int>(1);
        int heard = 0;
        LogSubscription one;
        one = addLogObserver([&, held](const LogEvent&) {
            ++heard;
            one.remove();
            QVERIFY(held.use_count() > 1); // its captures live until it returns
        });
        log_.info("a");
        log_.info("b");
        QCOMPARE(heard, 1);
        QCOMPARE(held.use_count(), 1L);
    }

    void anObserverMayRemoveTheNext() {
        Messages heard;
        LogSubscription next;
        LogSubscription one = addLogObserver([&](const LogEvent&) { next.remove(); });
        next = addLogObserver(into(heard));
        log_.info("a");
        QVERIFY(heard.empty());
    }

    void anObserverAddedMeanwhileHearsTheNextEvent() {
        Messages heard;
        std::vector<LogSubscription> more;
        LogSubscription one =
            addLogObserver([&](const LogEvent&) { more.push_back(addLogObserver(into(heard))); });
        log_.info("a");
        QVERIFY(heard.empty());
        log_.info("b");
        QCOMPARE(heard, Messages({"b"}));
    }

    void anObserverThatLogsDoesNotCallItself() {
        Messages heard;
        int calls = 0;
        LogSubscription one = addLogObserver([&](const LogEvent& event) {
            ++calls;
            log_.info("about " + event.message);
        });
        LogSubscription two = addLogObserver(into(heard));
        log_.info("a");
        QCOMPARE(calls, 1);
        QCOMPARE(heard, Messages({"about a", "a"}));
        QCOMPARE(printed_, Messages({"about a", "a"}));
    }

    void twoObserversThatLogComeToAnEnd() {
        int calls = 0;
        auto chatter = [&](const LogEvent&) {
            ++calls;
            log_.info("and");
        };
        LogSubscription one = addLogObserver(chatter);
        LogSubscription two = addLogObserver(chatter);
        log_.info("a");
        QCOMPARE(calls, 4); // each hears the event, and what the other says of it
    }

    void aCaptureThatLogsWhenItDiesIsHarmless() {
        struct Speaker {
            ~Speaker() { Logger("speaker").info("goodbye"); }
        };
        auto speaker = std::make_shared<Speaker>();
        LogSubscription one = addLogObserver([speaker](const LogEvent&) {});
        speaker.reset();
        one.remove();
        QCOMPARE(printed_, Messages({"goodbye"}));
    }

    void theYoungestOutputCounts() {
        Messages young;
        {
            LogSubscription other = setDefaultLogObserver(into(young));
            log_.info("a");
        }
        log_.info("b");
        QCOMPARE(young, Messages({"a"}));
        QCOMPARE(printed_, Messages({"b"}));
    }

    void outputsMayEndInAnyOrder() {
        Messages one, two;
        LogSubscription first = setDefaultLogObserver(into(one));
        LogSubscription second = setDefaultLogObserver(into(two));
        first.remove();
        log_.info("a");
        second.remove();
        log_.info("b");
        QCOMPARE(two, Messages({"a"}));
        QVERIFY(one.empty());
        QCOMPARE(printed_, Messages({"b"}));
    }

    void whatTheOutputLogsOrRefusesGoesToTheOneBelow() {
        LogSubscription chatty =
            setDefaultLogObserver([&](const LogEvent&) { log_.info("from the output"); });
        log_.info("a");
        QCOMPARE(printed_, Messages({"from the output"}));
        chatty.remove();
        printed_.clear();
        LogSubscription bad = setDefaultLogObserver([](const LogEvent&) { throw std::runtime_error("bad"); });
        log_.info("b");
        QCOMPARE(printed_.size(), 2U);
        QCOMPARE(printed_.back(), std::string("b"));
    }

    void everyThreadIsHeard() {
        constexpr int threads = 4, each = 2000;
        std::atomic<int> heard{0};
        LogSubscription quiet = setDefaultLogObserver([](const LogEvent&) {});
        LogSubscription one = addLogObserver([&](const LogEvent&) { ++heard; });
        {
            std::vector<std::jthread> running;
            for (int i = 0; i < threads; ++i)
                running.emplace_back([] {
                    for (int n = 0; n < each; ++n)
                        Logger("thread").info("x", {{"n", n}});
                });
        }
        QCOMPARE(heard.load(), threads * each);
    }

    void observersComeAndGoWhileThreadsLog() {
        LogSubscription quiet = setDefaultLogObserver([](const LogEvent&) {});
        std::atomic<bool> enough{false};
        std::atomic<int> logged{0};
        std::vector<std::jthread> running;
        for (int i = 0; i < 3; ++i)
            running.emplace_back([&] {
                while (!enough) {
                    Logger("thread").info("x");
                    ++logged;
                }
            });
        for (int n = 0; n < 2000 || logged < 1000; ++n) {
            auto counter = std::make_unique<int>(0); // freed right after: a late call would be seen by ASan
            LogSubscription one =
                addLogObserver([&counter = *counter, lock = std::make_shared<std::mutex>()](const LogEvent&) {
                    std::lock_guard guard(*lock);
                    ++counter;
                });
            one.remove();
        }
        enough = true;
    }

    void removalWaitsForACallOnAnotherThread() {
        std::promise<void> entered, go;
        std::atomic<bool> returned{false};
        LogSubscription one = addLogObserver([&](const LogEvent&) {
            entered.set_value();
            go.get_future().wait();
            returned = true;
        });
        std::jthread other([] { Logger("other").info("x"); });
        entered.get_future().wait();
        std::jthread release([&] { go.set_value(); });
        one.remove();
        QVERIFY(returned);
    }

    void removalInsideAnObserverDoesNotWait() {
        std::promise<void> entered, go;
        LogSubscription slow = addLogObserver([&](const LogEvent& event) {
            if (event.message != "slow")
                return;
            entered.set_value();
            go.get_future().wait();
        });
        LogSubscription remover = addLogObserver([&](const LogEvent& event) {
            if (event.message == "remove")
                slow.remove();
        });
        std::jthread other([] { Logger("other").info("slow"); });
        entered.get_future().wait();
        log_.info("remove"); // would hang here
        QVERIFY(!slow);
        go.set_value();
        other.join();
    }

private:
    const Logger log_{"test"};
    LogSubscription output_;
    Messages printed_;
};

QTEST_GUILESS_MAIN(TestLogObservers)
#include "test_log_observers.moc"
